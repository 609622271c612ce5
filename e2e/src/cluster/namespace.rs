//! Namespaces of our own.

use crate::kubectl::{DELETED_WITHIN, Kubectl};
use anyhow::{Context, Result};

/// A namespace that a scenario has made. Goes, with all that is in it, when it is dropped.
pub(crate) struct Namespace<'a> {
    kubectl: &'a Kubectl,
    /// Its name.
    pub(crate) name: String,
}

impl<'a> Namespace<'a> {
    /// Makes it.
    ///
    /// # Errors
    /// If there is one of that name: it is not ours, and so is left alone.
    pub(crate) fn new(kubectl: &'a Kubectl, name: &str) -> Result<Self> {
        kubectl
            .text(&["create", "namespace", name])
            .context("a scenario touches only namespaces that it made")?;
        Ok(Self {
            kubectl,
            name: name.to_owned(),
        })
    }

    /// Makes one whose pods get sidecars.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn injected(kubectl: &'a Kubectl, name: &str) -> Result<Self> {
        let namespace = Self::new(kubectl, name)?;
        kubectl.text(&["label", "namespace", name, "istio-injection=enabled"])?;
        Ok(namespace)
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        // Pods first: who deletes namespaces looks again only after half of the longest grace period.
        // How long they would take to end is of no interest any more.
        let name = self.name.as_str();
        let delete = |what: &str, how: &str| {
            let delete = ["-n", name, "delete", what, "--all", "--wait=false", how];
            let _ = self.kubectl.text(&delete);
        };
        delete("all", "--cascade=foreground");
        delete("pods", "--grace-period=1");
        let delete = ["delete", "namespace", name, "--wait=true", DELETED_WITHIN];
        if let Err(error) = self.kubectl.text(&delete) {
            eprintln!("warning: namespace {} is left behind: {error:#}", self.name);
        }
    }
}
