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
        says("meshctl proxy-status", &[&client, &server, "SYNCED"])?;
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
        let line = format!(
            "meshctl -n test dashboard proxy {} --browser=false --port 0 >dashboard.txt & \
             for i in $(seq 100); do grep -q http dashboard.txt && break; sleep 0.1; done; \
             curl -sS --fail --max-time 10 \"$(grep -o 'http://[^ ]*' dashboard.txt | head -n 1)/server_info\"; \
             code=$?; kill -INT $!; wait $!; exit $code",
            self.server
        );
        let folder = tempfile::tempdir()?;
        let line = format!("cd {} && {line}", folder.path().display());
        let seen = self.kubectl.shell(&line)?;
        ensure!(
            seen.contains("\"state\": \"LIVE\""),
            "{line}\nprints\n{seen}"
        );
        Ok(())
    }
}
