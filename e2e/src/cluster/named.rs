//! Any cluster that the caller names. It has to be able to pull our images: the caller has pushed them somewhere.

use super::Cluster;
use crate::{
    image::{self, CLIENT, MESH},
    kubectl::Kubectl,
};
use anyhow::{Result, anyhow};
use std::path::PathBuf;

/// A cluster of the caller's.
pub(crate) struct Named {
    kubectl: Kubectl,
    images: Option<String>,
}

impl Named {
    /// The cluster of `kubeconfig`, or the one that kubectl finds by itself. `images` stands before the images' names.
    ///
    /// # Errors
    /// If its API server does not answer.
    pub(crate) fn new(kubeconfig: Option<PathBuf>, images: Option<String>) -> Result<Self> {
        let program = image::find("kubectl")?;
        let kubectl = Kubectl::new(program, kubeconfig);
        kubectl
            .text(&["get", "--raw", "/readyz"])
            .map_err(|error| {
                anyhow!("{error:#}\nhint: name the cluster by --kubeconfig or KUBECONFIG")
            })?;
        if images.is_none() {
            println!(
                "the cluster has to know {MESH} and {CLIENT}: push them, and say where by --images registry/path"
            );
        }
        Ok(Self { kubectl, images })
    }
}

impl Cluster for Named {
    fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    fn image(&self, image: &str) -> String {
        match &self.images {
            Some(prefix) => format!("{}/{image}", prefix.trim_end_matches('/')),
            None => image.to_owned(),
        }
    }

    fn directions(&self) -> String {
        "the cluster is yours".to_owned()
    }
}
