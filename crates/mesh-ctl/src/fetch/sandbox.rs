//! Pods of this machine: the sockets that a running demo keeps in its folder, as a cluster would forward ports.
//!
//! `<folder>/<pod>.<namespace>.sock` leads to the admin port of a pod's proxy, `<folder>/discovery.sock` to the debug
//! port of the control plane.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::PodName;

/// The folder to look in, instead of all of [`FOLDERS`].
const VARIABLE: &str = "MESH_SANDBOX";
/// Where each demo has a folder of its own.
const FOLDERS: &str = "/run/mesh";
const DISCOVERY: &str = "discovery";
const ENDING: &str = ".sock";

/// Whether the user says in which folder to look.
pub(crate) fn is_named() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|folder| !folder.is_empty())
}

/// Why no pod was found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A folder cannot be read.
    #[error("cannot look for pods in {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no demo.
    #[error("no mesh is running on this machine")]
    Nothing,
    /// It is not there.
    #[error("there is no pod `{typed}`")]
    Missing {
        /// What was typed.
        typed: String,
        /// What is there.
        pods: Vec<String>,
    },
    /// There are several.
    #[error("`{what}` is in more than one sandbox: {}", list(folders))]
    Ambiguous {
        /// What was looked for.
        what: String,
        /// Where it is.
        folders: Vec<String>,
    },
    /// A sandbox without a control plane.
    #[error("there is no control plane in {}", list(folders))]
    NoDiscovery {
        /// Where it was looked for.
        folders: Vec<String>,
    },
}

impl Error {
    /// Whether a cluster may be meant instead: there is no demo, or none that is this user's.
    pub(crate) fn is_absence(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Folder { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            _ => false,
        }
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Folder { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "the demo runs as root: use sudo".to_owned()
            }
            Self::Folder { .. } => format!("{VARIABLE} names the folder to look in"),
            Self::Nothing => {
                "start one with `cargo xtask demo`, or read a saved config dump with --file"
                    .to_owned()
            }
            Self::Missing { pods, .. } if pods.is_empty() => "there are no pods at all".to_owned(),
            Self::Missing { pods, .. } => format!(
                "there are: {} (<name>.<namespace>, or -n <namespace>)",
                list(pods)
            ),
            Self::Ambiguous { .. } => format!("set {VARIABLE} to the folder of one"),
            Self::NoDiscovery { .. } => "it may not have started yet".to_owned(),
        }
    }
}

fn list(items: &[String]) -> String {
    items.join(", ")
}

/// A pod of a sandbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    /// `<pod>.<namespace>`.
    pub(crate) name: String,
    /// The socket to its proxy's admin interface.
    pub(crate) socket: PathBuf,
    /// The folder of its sandbox.
    pub(crate) folder: PathBuf,
}

/// The demos that run on this machine.
#[derive(Debug)]
pub(crate) struct Sandboxes {
    folders: Vec<PathBuf>,
}

impl Sandboxes {
    /// Those of the environment.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn open() -> Result<Self, Error> {
        match std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) {
            Some(folder) => Ok(Self {
                folders: vec![folder.into()],
            }),
            None => Self::below(Path::new(FOLDERS)),
        }
    }

    fn below(root: &Path) -> Result<Self, Error> {
        let mut folders = match entries(root) {
            Err(Error::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Vec::new()
            }
            other => other?,
        };
        // Another sandbox's folder may be there, such as a cluster's.
        folders.retain(|path| path.is_dir() && has_sockets(path));
        if folders.is_empty() {
            return Err(Error::Nothing);
        }
        Ok(Self { folders })
    }

    /// The sockets of all control planes.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn discoveries(&self) -> Result<Vec<PathBuf>, Error> {
        let sockets = self.folders.iter().map(|folder| discovery(folder));
        let sockets: Vec<_> = sockets.filter(|socket| socket.exists()).collect();
        if sockets.is_empty() {
            let folders = self
                .folders
                .iter()
                .map(|folder| folder.display().to_string());
            return Err(Error::NoDiscovery {
                folders: folders.collect(),
            });
        }
        Ok(sockets)
    }

    /// The pod that `name` calls.
    ///
    /// # Errors
    /// If there is none, or it is in more than one sandbox.
    pub(crate) fn pod(&self, name: &PodName) -> Result<Pod, Error> {
        let mut pods = Vec::new();
        let mut found: Vec<(&PathBuf, String)> = Vec::new();
        for folder in &self.folders {
            let here = names(folder)?;
            let chosen = name.choose(&here);
            let first = if name.is_workload() { 1 } else { chosen.len() };
            found.extend(
                chosen
                    .into_iter()
                    .take(first)
                    .map(|pod| (folder, pod.clone())),
            );
            pods.extend(here);
        }
        match &found[..] {
            [] => Err(Error::Missing {
                typed: name.typed.clone(),
                pods,
            }),
            [(folder, pod)] => Ok(Pod {
                socket: folder.join(format!("{pod}{ENDING}")),
                name: pod.clone(),
                folder: (*folder).clone(),
            }),
            several => Err(Error::Ambiguous {
                what: name.typed.clone(),
                folders: several
                    .iter()
                    .map(|(folder, _)| folder.display().to_string())
                    .collect(),
            }),
        }
    }
}

/// Where the control plane of a sandbox is.
pub(super) fn discovery(folder: &Path) -> PathBuf {
    folder.join(format!("{DISCOVERY}{ENDING}"))
}

fn has_sockets(folder: &Path) -> bool {
    let ending = Some(OsStr::new(&ENDING[1..]));
    // One that can't be read is told of when it is asked.
    entries(folder).map_or(true, |paths| {
        paths.iter().any(|path| path.extension() == ending)
    })
}

/// The pods of one sandbox, sorted.
fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let sockets = entries(folder)?.into_iter();
    let names = sockets.filter_map(|path| {
        path.file_name()?
            .to_str()?
            .strip_suffix(ENDING)
            .map(str::to_owned)
    });
    Ok(names.filter(|name| name != DISCOVERY).collect())
}

/// What a folder holds, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = || -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let mut paths = read().map_err(|source| Error::Folder {
        folder: folder.to_owned(),
        source,
    })?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
