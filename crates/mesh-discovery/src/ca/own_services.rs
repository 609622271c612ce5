//! The Services that other parts of the control plane serve: their certificates bear the Services' DNS names beside their
//! identity, because the API server, which calls them, knows nothing of identities.
//!
//! Which names those are is told by the caller's identity alone, never by its request: the sidecar injector runs under a
//! service account named as its Service. Who may make service accounts in the control plane's namespace rules the mesh
//! anyway.

use mesh_model::SpiffeId;

/// Service account, and Service, of the sidecar injector; with a revision `-REVISION` follows.
const INJECTOR: &str = "istio-sidecar-injector";

/// Where the control plane is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnServices {
    /// Its namespace.
    pub namespace: String,
    /// DNS domain of the cluster.
    pub domain: String,
}

impl OwnServices {
    /// The DNS names that `identity` may serve under; none for a workload.
    pub fn names(&self, identity: &SpiffeId) -> Vec<String> {
        let account = &*identity.service_account;
        let is_injector = account
            .strip_prefix(INJECTOR)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        if !is_injector || *identity.namespace != *self.namespace {
            return Vec::new();
        }
        let short = format!("{account}.{}", self.namespace);
        let qualified = format!("{short}.svc.{}", self.domain);
        vec![format!("{short}.svc"), qualified, short]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_injector_of_our_namespace_serves() {
        let own = OwnServices {
            namespace: "istio-system".into(),
            domain: "cluster.local".into(),
        };
        let names = |path: &str| {
            let identity = format!("spiffe://td/{path}");
            own.names(&identity.parse().expect("an identity"))
        };
        assert_eq!(
            names("ns/istio-system/sa/istio-sidecar-injector"),
            [
                "istio-sidecar-injector.istio-system.svc",
                "istio-sidecar-injector.istio-system.svc.cluster.local",
                "istio-sidecar-injector.istio-system",
            ]
        );
        let canary = names("ns/istio-system/sa/istio-sidecar-injector-canary");
        assert_eq!(canary[0], "istio-sidecar-injector-canary.istio-system.svc");
        for workload in [
            "ns/default/sa/istio-sidecar-injector",
            "ns/istio-system/sa/default",
            "ns/istio-system/sa/istio-sidecar-injectors",
        ] {
            assert_eq!(names(workload), [""; 0], "{workload}");
        }
    }
}
