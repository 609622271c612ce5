//! What is read and issued again while the process runs: the authority's material, the keys of tokens, the control plane's
//! own certificate.

use crate::{
    ca::{CertificateAuthority, caller::Authenticator, server_certificate::ServerCertificate},
    metrics::Metrics,
    push::pipeline::Publications,
};
use mesh_runtime::shutdown::Shutdown;
use std::{
    collections::HashMap,
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How often to look.
const EVERY: Duration = Duration::from_secs(10);

/// The state of the task.
pub(super) struct Renewal {
    authority: Arc<CertificateAuthority>,
    certificate: Arc<ServerCertificate>,
    authenticator: Arc<Authenticator>,
    publications: Publications,
    metrics: Arc<Metrics>,
    /// What was wrong the last time, by subject: said once, not every time.
    said: HashMap<&'static str, String>,
}

impl Renewal {
    pub(super) fn new(
        authority: Arc<CertificateAuthority>,
        certificate: Arc<ServerCertificate>,
        authenticator: Arc<Authenticator>,
        publications: Publications,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            authority,
            certificate,
            authenticator,
            publications,
            metrics,
            said: HashMap::new(),
        }
    }

    pub(super) async fn run(mut self, shutdown: Shutdown) {
        loop {
            self.look(SystemTime::now()).await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = shutdown.begun() => return,
            }
        }
    }

    async fn look(&mut self, now: SystemTime) {
        match self.authority.reload().await {
            Ok(changed) => {
                self.mended("authority");
                if changed {
                    tracing::info!(
                        "the material of the certificate authority has changed, the new is in force"
                    );
                }
            }
            Err(e) => self.wrong(
                "authority",
                "the material of the certificate authority cannot be read, the old stays in force",
                &e,
            ),
        }
        if let Some(tokens) = self.authenticator.keys() {
            match tokens.reload() {
                Ok(()) => self.mended("tokens"),
                Err(e) => self.wrong(
                    "tokens",
                    "the keys of tokens cannot be read, the old ones stay in force",
                    &e,
                ),
            }
        }
        match self.certificate.renew(now) {
            Ok(true) => tracing::info!("renewed the control plane's own certificate"),
            Ok(false) => self.mended("certificate"),
            Err(e) => self.wrong(
                "certificate",
                "the control plane's own certificate cannot be renewed",
                &e,
            ),
        }
        self.check_trust_domain();
        let expiry = self
            .authority
            .authority()
            .not_after()
            .duration_since(SystemTime::UNIX_EPOCH);
        self.metrics
            .root_expiry_seconds
            .set(expiry.unwrap_or_default().as_secs());
    }

    /// Certificates keep the trust domain of the start; configuration that names another is of no use with them.
    fn check_trust_domain(&mut self) {
        let published = self.publications.borrow().clone();
        let wanted = published.map(|p| p.world.mesh().trust_domain.clone());
        let authority = self.authority.authority();
        match wanted.filter(|wanted| wanted != authority.trust_domain()) {
            Some(wanted) => {
                let reason = format!(
                    "{} is signed for, {wanted} is configured",
                    authority.trust_domain()
                );
                self.say(
                    "trust domain",
                    "trustDomain has changed: restart the control plane",
                    reason,
                );
            }
            None => self.mended("trust domain"),
        }
    }

    fn mended(&mut self, subject: &'static str) {
        if self.said.remove(subject).is_some() {
            tracing::info!(subject, "mended");
        }
    }

    fn wrong(&mut self, subject: &'static str, what: &str, error: &(dyn Error + 'static)) {
        let causes = std::iter::successors(Some(error), |&e| e.source());
        let reason = causes
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ");
        self.say(subject, what, reason);
    }

    fn say(&mut self, subject: &'static str, what: &str, reason: String) {
        if self.said.get(subject) != Some(&reason) {
            tracing::error!(reason, "{what}");
            self.said.insert(subject, reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ca::{directory::CaDirectory, lifetime::Lifetime},
        push::Published,
        testing::world,
    };
    use tokio::sync::watch;

    #[tokio::test]
    async fn a_broken_file_is_noted_once_and_the_old_authority_stays() {
        let dir = tempfile::tempdir().expect("directory");
        let open = CertificateAuthority::open(
            CaDirectory::new(dir.path()),
            "cluster.local",
            Lifetime::default(),
        );
        let authority = Arc::new(open.expect("authority"));
        let certificate = ServerCertificate::issue(authority.clone(), vec!["localhost".into()])
            .expect("certificate");
        let metrics = Arc::new(Metrics::default());
        let (publisher, publications) = watch::channel(None);
        let mut renewal = Renewal::new(
            authority.clone(),
            Arc::new(certificate),
            Arc::default(),
            publications,
            metrics.clone(),
        );
        renewal.look(SystemTime::now()).await;
        assert!(renewal.said.is_empty() && metrics.root_expiry_seconds.get() > 0);
        let key = dir.path().join("ca-key.pem");
        let good = std::fs::read(&key).expect("key");
        std::fs::write(&key, "broken").expect("written");
        renewal.look(SystemTime::now()).await;
        assert!(
            renewal.said["authority"].contains("private key"),
            "{:?}",
            renewal.said
        );
        assert!(authority.authority().not_after() > SystemTime::now());
        std::fs::write(&key, good).expect("written");
        renewal.look(SystemTime::now()).await;
        assert!(renewal.said.is_empty());
        let other = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata: {mesh: 'trustDomain: other'}\n";
        publisher.send_replace(Some(Arc::new(Published::first(world(other)))));
        renewal.look(SystemTime::now()).await;
        assert!(
            renewal.said["trust domain"].contains("other is configured"),
            "{:?}",
            renewal.said
        );
    }
}
