//! The certificate authority: signs the workloads' certificates and the control plane's own (Istio
//! `IstioCertificateService`).
//!
//! In the order of a request: [`caller`] finds out who asks (a token or a certificate), [`limit`] keeps one caller from
//! starving the others, [`request`] checks the signing request, [`authority`] signs. The identity in a certificate is
//! always the caller's: what a signing request claims about names is not read. Knows nothing of xDS.

pub mod authority; // signing material, and signing
pub mod bundle; // PEM bundles
pub mod caller; // who asks
pub mod directory; // the files of --ca-dir
pub mod issuer_keys; // keys that tokens are checked with
pub mod lifetime; // how long certificates live
pub mod limit; // how often one caller may ask
pub mod own_services; // names that the control plane's other parts serve under
pub mod request; // signing requests
pub mod review; // tokens, checked by the API server
pub mod rotation; // a new root, step by step
pub mod secret; // the Secret of a cluster
pub mod server_certificate; // the certificate that port 15012 shows
pub mod service; // the gRPC service
pub mod takeover; // files that appear where the Secret has signed
pub mod token; // service account tokens

use crate::watch::Watchers;
use authority::{Authority, Term};
use caller::{Caller, Proof};
use directory::{CaDirectory, CaError};
use lifetime::Lifetime;
use limit::CallerLimit;
use own_services::OwnServices;
use parking_lot::Mutex;
use request::SigningRequest;
use secret::CaSecret;
use std::{error::Error, sync::Arc, time::SystemTime};
use takeover::Stage;
use tokio::sync::watch;

/// The authority in force, with what guards it. Shared by the certificate service and the TLS listener.
pub struct CertificateAuthority {
    material: Material,
    current: watch::Sender<Arc<Authority>>,
    lifetime: Lifetime,
    limit: CallerLimit,
    own_services: Option<OwnServices>,
}

/// Where the authority's material lies.
enum Material {
    Directory(CaDirectory),
    Cluster(Box<Cluster>),
}

/// What somebody has put into the directory goes before what replicas share in the Secret.
struct Cluster {
    directory: CaDirectory,
    secret: CaSecret,
    lifetime: Lifetime,
    /// How far the directory has taken over; `None`: it is empty.
    stage: Mutex<Option<Stage>>,
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The caller asks too often.
    #[error("too many signing requests from {caller}: try again in {retry_after_s} s")]
    TooMany {
        /// Who asked.
        caller: String,
        /// Seconds until the next request will be taken.
        retry_after_s: u64,
    },
    /// The request is not acceptable.
    #[error("the signing request is refused")]
    Request(#[from] request::RequestError),
    /// The authority could not sign.
    #[error("the certificate authority cannot sign")]
    Sign(#[from] authority::SignError),
}

impl CertificateAuthority {
    /// Opens the directory; makes a self-signed root in an empty one.
    ///
    /// # Errors
    /// If the files cannot be read or written, or do not fit together.
    pub fn open(
        directory: CaDirectory,
        trust_domain: &str,
        lifetime: Lifetime,
    ) -> Result<Self, CaError> {
        let now = SystemTime::now();
        let authority = directory.load_or_create(trust_domain, now)?;
        Ok(Self::new(
            Material::Directory(directory),
            authority,
            lifetime,
        ))
    }

    /// Opens what a cluster has: the directory if somebody has put files there, taking over from the Secret if there is one;
    /// else the Secret, which is made, with a self-signed root, if it is not there. While the API server is away it waits,
    /// and tells `waiting` why.
    ///
    /// # Errors
    /// If the Secret may not be read or written, or the parts do not fit together.
    pub async fn open_cluster(
        directory: CaDirectory,
        secret: CaSecret,
        trust_domain: &str,
        lifetime: Lifetime,
        waiting: impl Fn(String),
    ) -> Result<Self, CaError> {
        let cluster = Cluster {
            directory,
            secret,
            lifetime,
            stage: Mutex::default(),
        };
        let mut patience = Watchers::default().join();
        loop {
            match cluster
                .load_or_create(trust_domain, SystemTime::now())
                .await
            {
                Ok(authority) => {
                    let material = Material::Cluster(Box::new(cluster));
                    return Ok(Self::new(material, authority, lifetime));
                }
                Err(CaError::Secret(error)) if error.is_temporary() => {
                    let reason = with_causes(&CaError::from(error));
                    tracing::warn!(reason, "no certificate authority yet, will try again");
                    waiting(reason);
                    tokio::time::sleep(patience.next().unwrap_or_default()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn new(material: Material, authority: Authority, lifetime: Lifetime) -> Self {
        Self {
            material,
            current: watch::channel(Arc::new(authority)).0,
            lifetime,
            limit: CallerLimit::default(),
            own_services: None,
        }
    }

    /// The same, for a control plane whose other parts serve too.
    #[must_use]
    pub fn with_own_services(self, own_services: OwnServices) -> Self {
        Self {
            own_services: Some(own_services),
            ..self
        }
    }

    /// The signing material in force.
    pub fn authority(&self) -> Arc<Authority> {
        self.current.borrow().clone()
    }

    /// Follows the signing material.
    pub fn changes(&self) -> watch::Receiver<Arc<Authority>> {
        self.current.subscribe()
    }

    /// The Secret that the material lies in, if it does and nothing takes over from it.
    pub fn secret(&self) -> Option<&CaSecret> {
        match &self.material {
            Material::Cluster(cluster) if cluster.stage.lock().is_none() => Some(&cluster.secret),
            Material::Cluster(_) | Material::Directory(_) => None,
        }
    }

    /// Reads the material again and says whether anything changed. What does not load leaves the old in force.
    ///
    /// # Errors
    /// As [`CertificateAuthority::open`].
    pub async fn reload(&self) -> Result<bool, CaError> {
        let (old, now) = (self.authority(), SystemTime::now());
        let new = match &self.material {
            Material::Directory(directory) => directory.load(old.trust_domain(), now)?,
            Material::Cluster(cluster) => cluster.load(old.trust_domain(), now).await?,
        };
        let changed = new != *old;
        if changed {
            self.current.send_replace(Arc::new(new));
        }
        Ok(changed)
    }

    /// Signs `csr` (PEM) for `caller`; the chain is in PEM, leaf first, roots last.
    ///
    /// `validity_s` is the wanted lifetime in seconds (`validity_duration`): zero or less means the default, more than
    /// the maximum means the maximum.
    ///
    /// # Errors
    /// If the caller asks too often, or the request is refused.
    pub fn issue(
        &self,
        caller: &Caller,
        csr: &str,
        validity_s: i64,
    ) -> Result<Vec<String>, IssueError> {
        self.limit
            .take(&caller.key())
            .map_err(|wait| IssueError::TooMany {
                caller: caller.to_string(),
                retry_after_s: wait.as_secs().max(1),
            })?;
        let request = SigningRequest::from_pem(csr)?;
        let authority = self.authority();
        let term = Term {
            // So its begin goes on saying when a token was checked last.
            begin: match caller.proof {
                Proof::Certificate { begin } => Some(begin),
                Proof::Token => None,
            },
            lifetime: self.lifetime.of_request(validity_s),
        };
        let (identity, now) = (&caller.identity, SystemTime::now());
        let own = self.own_services.as_ref();
        let names = own.map_or_else(Vec::new, |own| own.names(identity));
        let leaf = authority.sign_serving_workload(&request, identity, &names, term, now)?;
        Ok(authority.chain_of(&leaf))
    }
}

impl Cluster {
    async fn load_or_create(
        &self,
        trust_domain: &str,
        now: SystemTime,
    ) -> Result<Authority, CaError> {
        match self.directory.is_filled() {
            true => self.take_over(trust_domain, now).await,
            false => Ok(self.secret.load_or_create(trust_domain, now).await?),
        }
    }

    async fn load(&self, trust_domain: &str, now: SystemTime) -> Result<Authority, CaError> {
        // Files that are taken away again do not bring the Secret back: then they cannot be read, and what was stays.
        let begun = self.stage.lock().is_some();
        match begun || self.directory.is_filled() {
            true => self.take_over(trust_domain, now).await,
            false => Ok(self.secret.load(trust_domain, now).await?),
        }
    }

    async fn take_over(&self, trust_domain: &str, now: SystemTime) -> Result<Authority, CaError> {
        let plugged = self.directory.load(trust_domain, now)?;
        // Once it is alone nothing is asked of the API server any more.
        if *self.stage.lock() == Some(Stage::Alone) {
            return Ok(plugged);
        }
        let taken = takeover::load(&self.secret, plugged, self.lifetime, now).await;
        let (authority, stage) = taken?;
        let before = self.stage.lock().replace(stage);
        if before.is_none() {
            self.directory.warn_of_open_key();
        }
        if before != Some(stage) {
            stage.tell();
        }
        Ok(authority)
    }
}

/// The whole reason in one line, each cause after a colon.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests;
