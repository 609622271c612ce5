//! A Kubernetes that scenarios play on, whoever provides it.

mod kind; //       a cluster in containers of Docker
mod named; //      any cluster that the caller names
mod namespace; // namespaces of our own

pub(crate) use kind::Kind;
pub(crate) use named::Named;
pub(crate) use namespace::Namespace;

use crate::{image::CLIENT, kubectl::Kubectl, node::Node};
use anyhow::{Result, bail};
use std::{path::PathBuf, process::Command};

/// What scenarios need of a cluster.
pub(crate) trait Cluster {
    /// Speaks to its API server, as an administrator.
    fn kubectl(&self) -> &Kubectl;

    /// What an image that we pack, such as [`crate::image::CLIENT`], is pulled as there.
    fn image(&self, image: &str) -> String {
        image.to_owned()
    }

    /// A manifest in which the client's image is called as it is pulled there.
    fn manifest(&self, text: &str) -> String {
        text.replace(CLIENT, &self.image(CLIENT))
    }

    /// A command that runs as root on the node that is ours alone; `None` where nodes are not to be touched.
    ///
    /// `ctr` among them speaks to the node's containerd.
    fn on_node(&self, program: &str) -> Option<Command> {
        let _ = program;
        None
    }

    /// Whether pods and nodes are in this process's own network: their frames can be seen here, and pods called by address.
    fn shares_our_network(&self) -> bool {
        false
    }

    /// Stops the API server, or starts it again and waits until it answers; what was stored is still there then.
    ///
    /// # Errors
    /// If it is not ours, as where [`Cluster::on_node`] is `None`.
    fn api_server(&self, up: bool) -> Result<()> {
        let _ = up;
        bail!("this cluster's API server is not ours")
    }

    /// How a person reaches it while it is kept.
    fn directions(&self) -> String;

    /// Where the logs of its parts are, for who looks at a failure.
    fn logs(&self) -> Option<PathBuf> {
        None
    }
}

impl Cluster for Node {
    fn kubectl(&self) -> &Kubectl {
        Node::kubectl(self)
    }

    fn on_node(&self, program: &str) -> Option<Command> {
        Some(Node::command(self, program))
    }

    fn shares_our_network(&self) -> bool {
        true
    }

    fn api_server(&self, up: bool) -> Result<()> {
        Node::api_server(self, up)
    }

    fn directions(&self) -> String {
        Node::directions(self)
    }

    fn logs(&self) -> Option<PathBuf> {
        Some(Node::logs(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    /// `latest` is pulled anew each time, unless the manifest says otherwise: a cluster into which the image is loaded
    /// could not run it.
    #[test]
    fn our_own_image_is_taken_as_it_was_loaded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
        let mut found = 0;
        for entry in fs::read_dir(folder).expect("manifests") {
            let path = entry.expect("a file").path();
            let text = fs::read_to_string(&path).expect("text");
            let mut lines = text.lines().peekable();
            while let Some(line) = lines.next() {
                if line.trim() != format!("image: {CLIENT}") {
                    continue;
                }
                found += 1;
                let next = lines.peek().map(|line| line.trim());
                let policy = "imagePullPolicy: IfNotPresent";
                assert_eq!(next, Some(policy), "{}", path.display());
            }
        }
        assert!(found > 0, "no manifest has {CLIENT}");
    }
}
