//! etcd, the API server, the controllers and the scheduler.

use super::{ADDRESS, API, SERVICES, Site, certificates::TOKEN_KEY, daemon::Daemon};
use anyhow::Result;
use std::{fmt::Display, path::Path};

/// Where etcd listens.
const ETCD: &str = "http://127.0.0.1:2379";

impl Site {
    /// Starts etcd; what it stores is lost with us, so it need not wait for any disk.
    pub(super) fn start_etcd(&self) -> Result<Daemon> {
        self.part(
            "etcd",
            &[
                flag("data-dir", self.folder("etcd")?.display()),
                flag("listen-client-urls", ETCD),
                flag("advertise-client-urls", ETCD),
                flag("listen-peer-urls", "http://127.0.0.1:2380"),
                "unsafe-no-fsync".into(),
            ],
        )
    }

    /// Starts the API server.
    pub(super) fn start_api_server(&self) -> Result<Daemon> {
        let authority = self.authority()?;
        let [certificate, key] = self.identity("kube-apiserver", None, &self.api_names())?;
        let (user, group) = ("kube-apiserver-kubelet-client", Some("system:masters"));
        let [client_certificate, client_key] = self.identity(user, group, &[])?;
        let [public, private] = self.token_keys()?;
        self.part(
            "kube-apiserver",
            &[
                flag("etcd-servers", ETCD),
                flag("advertise-address", ADDRESS),
                // Asks etcd for what Debian's, of version 3.4, does not have, and complains each second.
                flag("feature-gates", "SizeBasedListCostEstimate=false"),
                flag("secure-port", API.port()),
                flag("service-cluster-ip-range", SERVICES),
                flag("authorization-mode", "Node,RBAC"),
                flag("enable-admission-plugins", "NodeRestriction"),
                "allow-privileged".into(),
                flag("client-ca-file", authority.display()),
                flag("tls-cert-file", certificate.display()),
                flag("tls-private-key-file", key.display()),
                // By address: the node's name resolves nowhere.
                flag("kubelet-preferred-address-types", "InternalIP"),
                flag("kubelet-certificate-authority", authority.display()),
                flag("kubelet-client-certificate", client_certificate.display()),
                flag("kubelet-client-key", client_key.display()),
                flag(
                    "service-account-issuer",
                    "https://kubernetes.default.svc.cluster.local",
                ),
                flag("service-account-key-file", public.display()),
                flag("service-account-signing-key-file", private.display()),
            ],
        )
    }

    /// Starts the controllers.
    pub(super) fn start_controllers(&self) -> Result<Daemon> {
        let user = "system:kube-controller-manager";
        let config = self.kubeconfig("controllers", user, None)?;
        let mut flags = client_flags(&config);
        flags.extend([
            flag("bind-address", "127.0.0.1"),
            flag("root-ca-file", self.authority()?.display()),
            flag(
                "service-account-private-key-file",
                self.state.join(TOKEN_KEY).display(),
            ),
            "use-service-account-credentials".into(),
            flag("service-cluster-ip-range", SERVICES),
        ]);
        self.part("kube-controller-manager", &flags)
    }

    /// Starts the scheduler.
    pub(super) fn start_scheduler(&self) -> Result<Daemon> {
        let config = self.kubeconfig("scheduler", "system:kube-scheduler", None)?;
        let mut flags = client_flags(&config);
        flags.push(flag("bind-address", "127.0.0.1"));
        self.part("kube-scheduler", &flags)
    }
}

/// A flag and its value.
pub(super) fn flag(name: &str, value: impl Display) -> String {
    format!("{name}={value}")
}

/// Of those who ask the API server, and are alone.
fn client_flags(config: &Path) -> Vec<String> {
    vec![
        flag("kubeconfig", config.display()),
        flag("authentication-kubeconfig", config.display()),
        flag("authorization-kubeconfig", config.display()),
        flag("leader-elect", false),
    ]
}
