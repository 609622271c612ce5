//! The certificate that port 15017 shows: files that somebody renews, or one of the mesh's authority that we renew.
//!
//! A new one counts from the next handshake on; connections that stand keep theirs. One that does not fit our name is
//! never put into service, nor one that the caBundle of our webhook configuration does not vouch for while the old one can
//! still serve: the API server would refuse each review.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwapOption;
use mesh_runtime::{readiness::Condition, shutdown::Shutdown};
use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{authority::Authority, metrics::Metrics, roots::Roots, trust};

/// How often files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often the clock is looked at.
const CLOCK: Duration = Duration::from_secs(10);
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
    /// The API server would not trust it yet.
    #[error("the caBundle of the webhook configuration does not trust the new certificate yet")]
    Early,
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
    /// Which caBundles stand, by webhook configuration.
    standing: Mutex<BTreeMap<String, Vec<String>>>,
    /// How many certificates have been put into service.
    installed: watch::Sender<u64>,
}

impl Serving {
    /// None yet; `name` is what the API server calls us by.
    pub fn new(name: ServerName<'static>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            current: ArcSwapOption::empty(),
            name,
            metrics,
            standing: Mutex::default(),
            installed: watch::channel(0).0,
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
        if self.is_early(&certified) {
            return Err(Error::Early);
        }
        self.current.store(Some(Arc::new(certified)));
        self.installed.send_modify(|number| *number += 1);
        self.metrics.certificates.increment();
        let seconds = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.metrics.certificate_end.set(seconds);
        Ok((begin, end))
    }

    /// Notes which caBundles the webhook configuration `name` has.
    pub fn note_bundles(&self, name: &str, bundles: Vec<String>) {
        self.standing.lock().insert(name.to_owned(), bundles);
    }

    /// Counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Tells when another certificate is in service.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.installed.subscribe()
    }

    /// Whether who trusts `bundle` (PEM) trusts the certificate in service; so is none.
    pub fn is_trusted_by(&self, bundle: &str) -> bool {
        let current = self.current.load();
        let trusts =
            |certified: &Arc<CertifiedKey>| trust::trusts(bundle, &certified.cert, &self.name);
        current.as_ref().is_none_or(trusts)
    }

    /// Whether the API server trusts the certificate in service, and would not trust this one.
    fn is_early(&self, new: &CertifiedKey) -> bool {
        let (standing, current) = (self.standing.lock(), self.current.load());
        let Some(current) = current.as_ref() else {
            return false;
        };
        let mut bundles = standing.values().flatten();
        bundles.any(|bundle| {
            let trusts = |chain| trust::trusts(bundle, chain, &self.name);
            trusts(&current.cert) && !trusts(&new.cert)
        })
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
            // What comes too early is tried again.
            last = Some(seen).filter(|_| !matches!(installed, Err(Error::Early)));
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
        let issued = authority.issue(pem.unwrap_or_default()).await;
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
            () = wait_by_the_wall(wait) => {}
            changed = roots.changed() => if changed.is_err() { return },
        }
    }
}

/// Waits by the wall clock, which may be set, and goes on while the machine sleeps; no longer than `wait` if it is set
/// back.
async fn wait_by_the_wall(wait: Duration) {
    let (end, due) = (Instant::now() + wait, SystemTime::now() + wait);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || SystemTime::now() >= due {
            return;
        }
        sleep(left.min(CLOCK)).await;
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
