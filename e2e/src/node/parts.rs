//! Where the binaries of Kubernetes are.

use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// All parts by their names.
pub(crate) struct Parts(BTreeMap<&'static str, PathBuf>);

/// What is built from the Go module `e2e/node`.
const BUILT: [&str; 8] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "coredns",
    "pause",
];
/// What a distribution has.
const INSTALLED: [&str; 4] = ["etcd", "containerd", "containerd-shim-runc-v2", "runc"];

impl Parts {
    /// Those in `folder`, and what is installed.
    ///
    /// # Errors
    /// Names everything that is missing.
    pub(crate) fn find(folder: &Path) -> Result<Self> {
        let mut found = BTreeMap::new();
        let mut missing = Vec::new();
        for name in BUILT.into_iter().chain(INSTALLED) {
            match locate(folder, name) {
                Some(path) => drop(found.insert(name, path)),
                None => missing.push(name),
            }
        }
        if !missing.is_empty() {
            bail!(
                "no {}\nhint: `cargo xtask e2e --provider node` builds or installs them",
                missing.join(", ")
            );
        }
        Ok(Self(found))
    }

    /// Where `name` is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.get(name).cloned().unwrap_or_else(|| name.into())
    }

    /// Folder of the CNI plugins.
    pub(crate) fn plugins(&self) -> Result<&'static Path> {
        ["/usr/lib/cni", "/opt/cni/bin"]
            .map(Path::new)
            .into_iter()
            .find(|folder| folder.join("bridge").is_file())
            .context("no CNI plugins\nhint: install the package containernetworking-plugins")
    }
}

fn locate(folder: &Path, name: &str) -> Option<PathBuf> {
    let own = folder.join(name);
    if own.is_file() {
        return Some(own);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(more)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = Parts::find(folder.path())
            .err()
            .expect("nothing is there")
            .to_string();
        assert!(missing.contains("pause"), "{missing}");
        for name in BUILT.into_iter().chain(INSTALLED) {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        let parts = Parts::find(folder.path()).expect("all are there");
        assert_eq!(parts.path("kubelet"), folder.path().join("kubelet"));
    }
}
