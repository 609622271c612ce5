//! Takes the steps by which a self-signed root is replaced before it ends ([`crate::ca::rotation`]).

use crate::ca::secret::CaSecret;
use std::{
    error::Error,
    time::{Duration, SystemTime},
};

/// How often to look (Istio's).
const EVERY: Duration = Duration::from_secs(3600);

/// Looks at the root again and again.
pub struct RootRotation {
    secret: CaSecret,
    trust_domain: String,
    longest: Duration,
}

impl RootRotation {
    /// Of the root in `secret`; `longest` is the longest life of a workload's certificate.
    pub fn new(secret: CaSecret, trust_domain: &str, longest: Duration) -> Self {
        Self {
            secret,
            trust_domain: trust_domain.into(),
            longest,
        }
    }

    /// Runs for ever. A step that fails is taken the next time.
    pub async fn run(self) {
        loop {
            let step = self
                .secret
                .rotate(&self.trust_domain, self.longest, SystemTime::now());
            match step.await {
                Ok(true) => tracing::info!("took a step in replacing the root of the mesh"),
                Ok(false) => {}
                Err(error) => {
                    let cause = error.source().map(ToString::to_string);
                    tracing::warn!(%error, cause, "cannot take the next step in replacing the root of the mesh");
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}
