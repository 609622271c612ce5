//! kubelet and kube-proxy.

use super::{ADDRESS, DNS_SERVICE, NAME, PODS, Site, control_plane::flag, daemon::Daemon};
use crate::sandbox::cgroup;
use anyhow::Result;
use serde_json::json;

impl Site {
    /// Starts kubelet.
    pub(super) fn start_kubelet(&self) -> Result<Daemon> {
        let config = self.file("kubelet.json", &self.kubelet_config()?)?;
        let user = format!("system:node:{NAME}");
        let kubeconfig = self.kubeconfig("kubelet", &user, Some("system:nodes"))?;
        self.part(
            "kubelet",
            &[
                flag("config", config.display()),
                flag("kubeconfig", kubeconfig.display()),
                flag("hostname-override", NAME),
                flag("node-ip", ADDRESS),
                flag("root-dir", self.folder("kubelet")?.display()),
                flag("cert-dir", self.folder("kubelet-certificates")?.display()),
            ],
        )
    }

    fn kubelet_config(&self) -> Result<String> {
        // No search domains and no servers: nothing outside is there to be asked.
        let resolver = self.file("resolv.conf", "options ndots:1\n")?;
        let names = [NAME.to_owned(), ADDRESS.to_string()];
        let [certificate, key] = self.identity("kubelet-server", None, &names)?;
        Ok(json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": false},
                "webhook": {"enabled": true},
                "x509": {"clientCAFile": self.authority()?},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": certificate,
            "tlsPrivateKeyFile": key,
            "containerRuntimeEndpoint": format!("unix://{}", self.runtime_socket().display()),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": cgroup::make()?,
            "failSwapOn": false,
            "failCgroupV1": false,
            "clusterDomain": "cluster.local",
            "clusterDNS": [DNS_SERVICE],
            "resolvConf": resolver,
            "podLogsDir": "/var/log/pods",
            "volumePluginDir": self.folder("volume-plugins")?,
            "serializeImagePulls": false,
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {
                "memory.available": "64Mi",
                "nodefs.available": "1%",
                "nodefs.inodesFree": "1%",
                "imagefs.available": "1%",
                "imagefs.inodesFree": "1%",
            },
        })
        .to_string())
    }

    /// Starts kube-proxy.
    pub(super) fn start_proxy(&self) -> Result<Daemon> {
        let kubeconfig = self.kubeconfig("kube-proxy", "system:kube-proxy", None)?;
        self.part(
            "kube-proxy",
            &[
                flag("kubeconfig", kubeconfig.display()),
                flag("hostname-override", NAME),
                flag("cluster-cidr", PODS),
                flag("proxy-mode", "iptables"),
                // Limits of connection tracking are the machine's: a network namespace may not set them.
                flag("conntrack-max-per-core", 0),
                flag("conntrack-tcp-timeout-established", "0s"),
                flag("conntrack-tcp-timeout-close-wait", "0s"),
            ],
        )
    }
}
