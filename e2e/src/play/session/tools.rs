//! What meshctl says of the mesh as a whole, beside the article's session.

use super::{NAMESPACE, SETTLING, Session, eventually};
use anyhow::{Result, ensure};

impl Session<'_> {
    /// What meshctl says of the mesh as a whole.
    pub(super) fn tools(&self) -> Result<()> {
        let says = |line: &str, wanted: &[&str]| {
            eventually(SETTLING, || {
                let seen = self.kubectl.shell(line)?;
                let missing = wanted.iter().find(|wanted| !seen.contains(**wanted));
                ensure!(
                    missing.is_none(),
                    "{line}\nprints\n{seen}\nwithout {missing:?}"
                );
                Ok(())
            })
        };
        let (client, server) = (
            format!("{}.{NAMESPACE}", self.client),
            format!("{}.{NAMESPACE}", self.server),
        );
        says(
            "meshctl proxy-status",
            &[&client, &server, "4 (CDS,LDS,EDS,RDS)"],
        )?;
        says(
            &format!("meshctl proxy-status {server}"),
            &["Clusters Match", "Listeners Match", "Routes Match"],
        )?;
        says(
            "meshctl version --remote",
            &[
                "client version:",
                "control plane version:",
                "data plane version:",
            ],
        )?;
        self.dashboard()
    }

    /// The page that it opens is there for as long as it runs.
    fn dashboard(&self) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let line = format!(
            "cd {} || exit
             meshctl -n test dashboard proxy {} --browser=false >said & opened=$!
             for i in $(seq 100); do grep -q http said && break; sleep 0.1; done
             curl -sS --fail --max-time 10 $(head -n 1 said)/server_info
             code=$?; kill -TERM $opened; wait $opened; exit $code",
            folder.path().display(),
            self.server
        );
        let seen = self.kubectl.shell(&line)?;
        ensure!(
            seen.contains("\"state\": \"LIVE\""),
            "{line}\nprints\n{seen}"
        );
        Ok(())
    }
}
