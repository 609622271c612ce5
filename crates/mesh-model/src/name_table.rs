//! The names that the proxy's own DNS server answers (Istio `NameTable`).

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// All names of the mesh that one proxy resolves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NameTable {
    /// What is known of each, by fully qualified name without the final dot; `*.` at the beginning stands for any
    /// labels.
    pub names: BTreeMap<Arc<str>, NameInfo>,
}

/// What is known of one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NameInfo {
    /// Its addresses, of both IP versions.
    pub addresses: Vec<IpAddr>,
    /// The Service that it belongs to; `None` for a host that Kubernetes does not know, which has no shorter names.
    pub service: Option<ServiceName>,
}

/// The name of a Service, as pods of its cluster shorten it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceName {
    /// Its own, such as `nginx`; that of a pod with a host name has two parts, `pod.service`. Never empty.
    pub name: Arc<str>,
    /// Its namespace. Never empty.
    pub namespace: Arc<str>,
}
