//! A Kubernetes that scenarios play on, whoever provides it.

mod kind; //       a cluster in containers of Docker
mod named; //      any cluster that the caller names
mod namespace; // namespaces of our own

pub(crate) use kind::Kind;
pub(crate) use named::Named;
pub(crate) use namespace::Namespace;

use crate::{kubectl::Kubectl, node::Node};

/// What scenarios need of a cluster.
pub(crate) trait Cluster {
    /// Speaks to its API server, as an administrator.
    fn kubectl(&self) -> &Kubectl;

    /// What an image that we pack, such as [`crate::image::CLIENT`], is pulled as there.
    fn image(&self, image: &str) -> String {
        image.to_owned()
    }

    /// How a person reaches it while it is kept.
    fn directions(&self) -> String;

    /// Where the logs of its parts are, for who looks at a failure.
    fn logs(&self) -> Option<std::path::PathBuf> {
        None
    }
}

impl Cluster for Node {
    fn kubectl(&self) -> &Kubectl {
        Node::kubectl(self)
    }

    fn directions(&self) -> String {
        Node::directions(self)
    }

    fn logs(&self) -> Option<std::path::PathBuf> {
        Some(Node::logs(self))
    }
}
