//! CoreDNS: a process of the node, behind the Service `kube-dns`.

use super::{ADDRESS, DNS_SERVICE, Site, daemon::Daemon};
use crate::netns::launcher;
use anyhow::Result;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};

const USER: &str = "system:coredns";
/// Where it says that it is ready.
const READY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8181);

impl Site {
    /// Starts it.
    pub(super) fn start_dns(&self) -> Result<Daemon> {
        let kubeconfig = self.kubeconfig("coredns", USER, None)?;
        // What is no name of the cluster is unknown: there is no one else to ask.
        let config = format!(
            "cluster.local in-addr.arpa ip6.arpa {{
  bind {ADDRESS}
  errors
  ready {READY}
  kubernetes cluster.local in-addr.arpa ip6.arpa {{
    kubeconfig {kubeconfig}
    pods insecure
    ttl 5
  }}
  cache 5
  loadbalance
}}
. {{
  bind {ADDRESS}
  errors
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
",
            kubeconfig = kubeconfig.display()
        );
        let config = self.file("Corefile", &config)?;
        let mut command = std::process::Command::new(self.parts.path("coredns"));
        self.daemon("coredns", command.arg("-conf").arg(config))
    }
}

/// Whether it answers with what the API server has.
pub(super) fn is_ready() -> Result<(), String> {
    launcher::is_ready(READY, "/ready")
}

/// Its Service, and what it may read.
pub(super) fn objects() -> Value {
    let labels = json!({"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"});
    let ports = json!([
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]);
    let read = ["list", "watch"];
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
            "spec": {"clusterIP": DNS_SERVICE, "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kube-dns",
                "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": true}}],
            "ports": ports,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": USER},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": read},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": USER},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": USER},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
        },
    ]})
}
