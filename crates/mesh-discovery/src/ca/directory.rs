//! The authority's files: the layout of Istio's `cacerts` secret, in a directory.
//!
//! | file | what |
//! |---|---|
//! | `ca-cert.pem` | the certificate that signs |
//! | `ca-key.pem` | its private key, mode 0600 |
//! | `root-cert.pem` | one or more roots that peers trust |
//! | `cert-chain.pem` | from `ca-cert.pem` up to the root; may be absent |
//!
//! An empty directory gets a self-signed root; a directory that somebody has filled is only ever read.

use super::{
    authority::{Authority, AuthorityError},
    bundle::{Bundle, BundleError},
    secret::{self, SecretError},
};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

pub(super) const CA_CERT: &str = "ca-cert.pem";
pub(super) const CA_KEY: &str = "ca-key.pem";
pub(super) const ROOT_CERT: &str = "root-cert.pem";
pub(super) const CERT_CHAIN: &str = "cert-chain.pem";
const FILES: [&str; 4] = [ROOT_CERT, CERT_CHAIN, CA_CERT, CA_KEY];
const LOCK: &str = ".lock";

/// The directory of an authority's files (`--ca-dir`).
#[derive(Clone, Debug)]
pub struct CaDirectory {
    path: PathBuf,
}

/// Why the directory gives no authority.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file or the directory cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or the directory cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file with certificates does not parse.
    #[error("{} is not usable", path.display())]
    Bundle {
        /// Which.
        path: PathBuf,
        /// Why.
        source: BundleError,
    },
    /// The files do not fit together.
    #[error("the certificate authority in {} is not usable", path.display())]
    Authority {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: AuthorityError,
    },
    /// A self-signed root could not be made.
    #[error("cannot make a self-signed root")]
    SelfSigned(#[from] rcgen::Error),
    /// The Secret of the cluster gives no authority.
    #[error("the Secret {} is not usable", secret::NAME)]
    Secret(#[from] SecretError),
}

impl CaDirectory {
    /// The directory at `path`; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Whether somebody has put the files of an authority there.
    pub fn is_filled(&self) -> bool {
        self.path.join(CA_KEY).exists()
    }

    /// Loads the files, after making a self-signed root if there are none.
    ///
    /// # Errors
    /// If the files cannot be read or written, or do not fit together.
    pub fn load_or_create(
        &self,
        trust_domain: &str,
        now: SystemTime,
    ) -> Result<Authority, CaError> {
        self.make_directory()?;
        let lock = self.lock()?;
        if !FILES.iter().any(|name| self.path.join(name).exists()) {
            self.stage(trust_domain, now)?;
        }
        self.publish()?;
        drop(lock);
        self.warn_of_open_key();
        self.load(trust_domain, now)
    }

    /// Loads the files.
    ///
    /// # Errors
    /// If a file cannot be read, or the files do not fit together.
    pub fn load(&self, trust_domain: &str, now: SystemTime) -> Result<Authority, CaError> {
        let certificate = self.bundle(CA_CERT, &self.read(CA_CERT)?)?;
        let roots = self.bundle(ROOT_CERT, &self.read(ROOT_CERT)?)?;
        let chain = match self.read(CERT_CHAIN) {
            Ok(text) => self.in_file(CERT_CHAIN, Bundle::from_pem_or_empty(&text))?,
            Err(CaError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Bundle::default()
            }
            Err(e) => return Err(e),
        };
        let key = self.read(CA_KEY)?;
        Authority::new(certificate, &key, chain, roots, trust_domain, now).map_err(|source| {
            CaError::Authority {
                path: self.path.clone(),
                source,
            }
        })
    }

    /// Writes a new root beside the names that count, whole before the first of them appears.
    fn stage(&self, trust_domain: &str, now: SystemTime) -> Result<(), CaError> {
        let (certificate, key) = Authority::self_signed(trust_domain, now)?;
        for name in FILES {
            let content = if name == CA_KEY { &key } else { &certificate };
            let path = self.staged(name);
            write_private(&path, content).map_err(|source| CaError::Write { path, source })?;
        }
        tracing::info!(directory = %self.path.display(), trust_domain, "made a self-signed root");
        Ok(())
    }

    /// Gives staged files their names; also those that a crash left staged.
    fn publish(&self) -> Result<(), CaError> {
        for name in FILES {
            let staged = self.staged(name);
            if staged.exists() {
                let path = self.path.join(name);
                fs::rename(staged, &path).map_err(|source| CaError::Write { path, source })?;
            }
        }
        Ok(())
    }

    fn staged(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.new"))
    }

    fn make_directory(&self) -> Result<(), CaError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|source| CaError::Write {
                path: self.path.clone(),
                source,
            })
    }

    /// Keeps two processes from making a root each. A directory that is only readable needs no lock.
    fn lock(&self) -> Result<Option<File>, CaError> {
        let path = self.path.join(LOCK);
        let open = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path);
        match open.and_then(|file| file.lock().map(|()| file)) {
            Ok(file) => Ok(Some(file)),
            Err(_) if self.path.join(CA_KEY).exists() => Ok(None),
            Err(source) => Err(CaError::Write { path, source }),
        }
    }

    /// Says in the log if others may read the key.
    pub(super) fn warn_of_open_key(&self) {
        let path = self.path.join(CA_KEY);
        if let Ok(meta) = fs::metadata(&path)
            && meta.permissions().mode() & 0o077 != 0
        {
            tracing::warn!(file = %path.display(), "the authority's private key is readable by others: chmod 600 it");
        }
    }

    fn read(&self, name: &str) -> Result<String, CaError> {
        let path = self.path.join(name);
        fs::read_to_string(&path).map_err(|source| CaError::Read { path, source })
    }

    fn bundle(&self, name: &str, text: &str) -> Result<Bundle, CaError> {
        self.in_file(name, Bundle::from_pem(text))
    }

    fn in_file(&self, name: &str, bundle: Result<Bundle, BundleError>) -> Result<Bundle, CaError> {
        bundle.map_err(|source| CaError::Bundle {
            path: self.path.join(name),
            source,
        })
    }
}

impl CaError {
    /// What the operator can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Bundle { .. } => {
                "--ca-dir holds ca-cert.pem, ca-key.pem, root-cert.pem and cert-chain.pem together; an empty directory gets a self-signed root"
            }
            Self::Write { .. } => {
                "--ca-dir must be writable at the first start, or hold the files of a CA"
            }
            Self::Authority { .. } => {
                "ca-key.pem must be the key of ca-cert.pem, and cert-chain.pem must lead from it to root-cert.pem"
            }
            Self::Secret(e) => e.hint(),
            Self::SelfSigned(_) => "the trust domain must be a plain DNS name",
        }
    }
}

/// Writes a file that nobody else can read.
fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
