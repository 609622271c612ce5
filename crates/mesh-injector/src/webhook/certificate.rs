//! The certificate that port 15017 shows: files that somebody renews, or one of the mesh's authority that we renew.
//!
//! A new one counts from the next handshake on; connections that stand keep theirs. One that does not fit our name is
//! never put into service: the API server would refuse each review.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwapOption;
use mesh_runtime::{readiness::Condition, shutdown::Shutdown};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::time::sleep;

use super::{authority::Authority, metrics::Metrics, roots::Roots};

/// How often files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// Shortest and longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Where the certificate comes from.
pub enum Source {
    /// Files in PEM: chain and key.
    Files(PathBuf, PathBuf),
    /// The mesh's authority.
    Authority(Box<Authority>),
}

/// A certificate and its key, in PEM.
pub struct Pem {
    /// The chain, leaf first.
    pub chain: String,
    /// The key.
    pub key: String,
}

/// Why a certificate was not put into service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {0}")]
    File(PathBuf, #[source] io::Error),
    /// Not PEM.
    #[error("not a certificate and its key in PEM")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// No certificate in it.
    #[error("no certificate in PEM")]
    Empty,
    /// Not X.509.
    #[error("not an X.509 certificate")]
    Malformed,
    /// Over already.
    #[error("the certificate has expired")]
    Expired,
    /// Key and certificate do not belong together, or the certificate is for another name.
    #[error("the certificate cannot serve `{name}`")]
    Unfit {
        /// What the API server calls us by.
        name: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The authority gave none.
    #[error(transparent)]
    Authority(#[from] super::authority::Error),
}

/// The cryptography of this process.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The certificate in service.
#[derive(Debug)]
pub struct Serving {
    current: ArcSwapOption<CertifiedKey>,
    name: ServerName<'static>,
    metrics: Arc<Metrics>,
}

impl Serving {
    /// None yet; `name` is what the API server calls us by.
    pub fn new(name: ServerName<'static>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            current: ArcSwapOption::empty(),
            name,
            metrics,
        })
    }

    /// TLS that always shows the current certificate.
    ///
    /// # Errors
    /// If the cryptography cannot do TLS 1.2 and 1.3.
    pub fn config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Puts `pem` into service and gives its begin and end.
    ///
    /// # Errors
    /// If it does not fit; the old one then stays.
    pub fn install(&self, pem: &Pem) -> Result<(SystemTime, SystemTime), Error> {
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(pem.chain.as_bytes()).collect::<Result<_, _>>()?;
        let leaf = chain.first().ok_or(Error::Empty)?;
        let (begin, end) = validity(leaf)?;
        let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes())?;
        let unfit = |source| Error::Unfit {
            name: self.name.to_str().into_owned(),
            source,
        };
        let parsed = ParsedCertificate::try_from(leaf).map_err(unfit)?;
        rustls::client::verify_server_name(&parsed, &self.name).map_err(unfit)?;
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(unfit)?;
        self.current.store(Some(Arc::new(certified)));
        self.metrics.certificates.fetch_add(1, Relaxed);
        let seconds = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.metrics.certificate_end.store(seconds, Relaxed);
        Ok((begin, end))
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

fn validity(leaf: &CertificateDer<'_>) -> Result<(SystemTime, SystemTime), Error> {
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).map_err(|_| Error::Malformed)?;
    let time = |seconds: i64| UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0));
    let begin = time(parsed.validity().not_before.timestamp());
    let end = time(parsed.validity().not_after.timestamp());
    match SystemTime::now() < end {
        true => Ok((begin, end)),
        false => Err(Error::Expired),
    }
}

/// Keeps a certificate in service until the end; `first` is met by the first one.
pub async fn run(
    source: Source,
    serving: Arc<Serving>,
    roots: Roots,
    first: Condition,
    shutdown: Shutdown,
) {
    let renewing = async {
        match source {
            Source::Files(chain, key) => follow_files(chain, key, &serving, first).await,
            Source::Authority(authority) => renew(&authority, &serving, roots, first).await,
        }
    };
    tokio::select! {
        () = renewing => {}
        () = shutdown.begun() => {}
    }
}

async fn follow_files(chain: PathBuf, key: PathBuf, serving: &Serving, first: Condition) {
    let mut first = Some(first);
    let mut last = None;
    loop {
        let now = read_files(&chain, &key);
        let seen = match &now {
            Ok(pem) => Ok((pem.chain.clone(), pem.key.clone())),
            Err(error) => Err(error.to_string()),
        };
        if last.as_ref() != Some(&seen) {
            let installed = now.and_then(|pem| serving.install(&pem));
            report(installed.as_ref().map(|(_, end)| *end), &mut first);
            last = Some(seen);
        }
        sleep(INTERVAL).await;
    }
}

fn read_files(chain: &PathBuf, key: &PathBuf) -> Result<Pem, Error> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|error| Error::File(path.clone(), error))
    };
    Ok(Pem {
        chain: read(chain)?,
        key: read(key)?,
    })
}

/// Asks the authority at half of each certificate's life, at once when the roots change, and after a failure later and
/// later.
async fn renew(authority: &Authority, serving: &Serving, mut roots: Roots, first: Condition) {
    let mut first = Some(first);
    let mut pause = PAUSE.0;
    loop {
        let Ok(pem) = roots.wait_for(Option::is_some).await.map(|pem| pem.clone()) else {
            return;
        };
        roots.mark_unchanged();
        let issued = authority.issue(pem.as_deref().unwrap_or_default()).await;
        let installed = issued
            .map_err(Error::from)
            .and_then(|pem| serving.install(&pem));
        report(installed.as_ref().map(|(_, end)| *end), &mut first);
        let wait = match installed {
            Ok((_, end)) => {
                pause = PAUSE.0;
                let life = end.duration_since(SystemTime::now()).unwrap_or_default();
                life.mul_f64(0.5 + 0.02 * (fastrand::f64() - 0.5))
            }
            Err(_) => {
                let wait = pause.mul_f64(0.5 + 0.5 * fastrand::f64());
                pause = (pause * 2).min(PAUSE.1);
                wait
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            changed = roots.changed() => if changed.is_err() { return },
        }
    }
}

/// Tells the log and readiness how it went.
fn report(installed: Result<SystemTime, &Error>, first: &mut Option<Condition>) {
    match installed {
        Ok(end) => {
            let until =
                jiff::Timestamp::try_from(end).map_or_else(|_| String::new(), |t| t.to_string());
            tracing::info!(until, "a serving certificate is in service");
            if let Some(condition) = first.take() {
                condition.met();
            }
        }
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(next) = cause {
                text = format!("{text}: {next}");
                cause = next.source();
            }
            tracing::warn!(reason = text, "no new serving certificate");
            if let Some(condition) = first {
                condition.explain(text);
            }
        }
    }
}

#[cfg(test)]
mod tests;
