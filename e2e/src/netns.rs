//! Pods in network namespaces.
//!
//! What a cluster would do, done small: addresses are assigned, services get endpoints, tokens are signed, containers
//! are started with the environment that their specification asks for. What runs in a pod is the real thing.

pub(crate) mod bridge; //    the network that pods are on
pub(crate) mod container; // processes in a pod
pub(crate) mod forward; //   sockets that lead into a pod from the machine
pub(crate) mod hold; //      the process that holds a pod's namespaces
pub(crate) mod launcher; //  the cluster: brings all of it together
pub(crate) mod objects; //   the objects an API server would hold
pub(crate) mod pod; //       one pod
pub(crate) mod token; //     service account tokens

pub(crate) use launcher::{Launcher, Programs};
