//! Where answers come from: a file that was saved, or the admin interface of a pod.
//!
//! Asks and hands on text; what it means is read elsewhere.

mod http;
mod pod_name;
mod sandbox;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub(crate) use http::Error as HttpError;
pub(crate) use pod_name::PodName;
pub(crate) use sandbox::{Error as SandboxError, Sandboxes};

use http::Socket;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No such pod, or too many.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// It did not answer.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl Error {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } => None,
            Self::Sandbox(error) => Some(error.hint()),
            Self::Http(error) => error.hint(),
        }
    }
}

/// A proxy that can be asked.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// `<pod>.<namespace>`.
    pub(crate) name: String,
    admin: Socket,
    folder: PathBuf,
}

impl Proxy {
    /// The pod that `name` calls.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub(crate) fn find(name: &PodName) -> Result<Self, Error> {
        let pod = Sandboxes::open()?.pod(name)?;
        Ok(Self {
            admin: Socket::new(pod.socket, format!("the proxy of {}", pod.name)),
            name: pod.name,
            folder: pod.folder,
        })
    }

    /// What its admin interface answers to `GET path`.
    ///
    /// # Errors
    /// If it does not answer, or not with 200.
    pub(crate) fn get(&self, path: &str) -> Result<String, Error> {
        Ok(self.admin.get(path)?)
    }

    /// What its admin interface answers to `POST path`, which changes something.
    ///
    /// # Errors
    /// If it does not answer, or not with 200.
    pub(crate) fn post(&self, path: &str) -> Result<String, Error> {
        Ok(self.admin.post(path)?)
    }

    /// The control plane that it belongs to.
    pub(crate) fn discovery(&self) -> Discovery {
        Discovery::new(sandbox::discovery(&self.folder))
    }
}

/// A control plane that can be asked.
#[derive(Debug)]
pub(crate) struct Discovery {
    debug: Socket,
}

impl Discovery {
    fn new(socket: PathBuf) -> Self {
        Self {
            debug: Socket::new(socket, "mesh-discovery".to_owned()),
        }
    }

    /// All that there are.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn all() -> Result<Vec<Self>, Error> {
        let sockets = Sandboxes::open()?.discoveries()?;
        Ok(sockets.into_iter().map(Self::new).collect())
    }

    /// What its debug interface answers to `GET path`.
    ///
    /// # Errors
    /// If it does not answer, or not with 200.
    pub(crate) fn get(&self, path: &str) -> Result<String, Error> {
        Ok(self.debug.get(path)?)
    }
}

/// The text of a file; `-` is standard input.
///
/// # Errors
/// If it cannot be read, or is no text.
pub(crate) fn file(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let read = match path == Path::new("-") {
        true => io::stdin().read_to_string(&mut text).map(|_| text),
        false => std::fs::read_to_string(path),
    };
    read.map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}
