//! What the mesh's owner decides about injection.

mod proxy; //  what the proxy's container gets
mod read; //   from the texts of the ConfigMaps
mod text; //   a number where a text is wanted
mod values; // the installation's values

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_api::k8s::apimachinery::pkg::apis::meta::v1::LabelSelector;
use mesh_api::mesh_config::MeshConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::custom::Templates;

pub use proxy::{ProxyContainer, Readiness};
pub use read::{Texts, Unreadable};

/// Settings of the injector. The defaults are Istio's.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Mesh-wide settings; `defaultConfig` is what a pod's `proxy.istio.io/config` changes.
    pub mesh: MeshConfig,
    /// Images of the two containers.
    pub images: Images,
    /// `imagePullPolicy` of the two containers; `None` leaves it to Kubernetes.
    pub image_pull_policy: Option<String>,
    /// Names of secrets to pull the images with; added to those of the pod.
    pub image_pull_secrets: Vec<String>,
    /// Revision of the control plane.
    pub revision: String,
    /// Name of the cluster (`ISTIO_META_CLUSTER_ID`).
    pub cluster_id: String,
    /// Network of the pods; empty for none.
    pub network: String,
    /// Further variables of the proxy.
    pub environment: BTreeMap<String, String>,
    /// DNS domain of the cluster.
    pub cluster_domain: String,
    /// Address of the certificate authority; `None` for the pod's discovery address.
    pub ca_address: Option<String>,
    /// Audience of the projected token that the certificate authority asks for.
    pub token_audience: String,
    /// What to do with pods that neither label nor annotation decides.
    pub policy: Policy,
    /// Pods that are never injected, unless label or annotation says so.
    pub never_inject: Vec<LabelSelector>,
    /// Pods that are injected even if the policy is [`Policy::Disabled`].
    pub always_inject: Vec<LabelSelector>,
    /// Run the proxy as a native sidecar where the pod does not say.
    pub native_sidecars: bool,
    /// Seconds between the end of a pod's endpoint and that of its servers, where they bring no `preStop`; 0: as the pod
    /// is. For kubelets that know the hook `sleep`.
    pub pre_stop_sleep: u32,
    /// Send the application's probes through the agent where the pod does not say.
    pub rewrite_app_probes: bool,
    /// What to do with an application that runs as the proxy's user.
    pub proxy_user: ProxyUser,
    /// What is captured where the pod does not say.
    pub capture: Capture,
    /// Requests and limits of both containers where the pod sets none.
    pub resources: Resources,
    /// The templates beside the built-in one, and which of them pods get that name none.
    pub templates: Templates,
    /// Annotations that injected pods get.
    pub injected_annotations: BTreeMap<String, String>,
    /// The values of the installation over the defaults, as templates see them.
    pub values: Arc<Value>,
    /// The proxy's container where the pod does not say.
    pub proxy: ProxyContainer,
    /// A node's CNI plugin sets the rules, and pods only verify that it has.
    pub cni: bool,
    /// Whether the kubelets run native sidecars by default, by the name of their node; for pods whose node is known.
    pub kubelets: Arc<BTreeMap<String, bool>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mesh: MeshConfig::default(),
            images: Images::default(),
            image_pull_policy: None,
            image_pull_secrets: Vec::new(),
            revision: "default".into(),
            cluster_id: "Kubernetes".into(),
            network: String::new(),
            environment: BTreeMap::new(),
            cluster_domain: "cluster.local".into(),
            ca_address: None,
            token_audience: "istio-ca".into(),
            policy: Policy::Enabled,
            never_inject: Vec::new(),
            always_inject: Vec::new(),
            native_sidecars: false,
            pre_stop_sleep: 0,
            rewrite_app_probes: true,
            proxy_user: ProxyUser::Warn,
            capture: Capture::default(),
            resources: Resources::default(),
            templates: Templates::default(),
            injected_annotations: BTreeMap::new(),
            values: read::default_values(),
            proxy: ProxyContainer::default(),
            cni: false,
            kubelets: Arc::default(),
        }
    }
}

impl Settings {
    /// Whether the proxy is a native sidecar in a pod that does not say, and that is meant for `node` if that is known.
    #[must_use]
    pub fn runs_native_sidecars(&self, node: Option<&str>) -> bool {
        let known = node.and_then(|node| self.kubelets.get(node));
        known.copied().unwrap_or(self.native_sidecars)
    }
}

/// Images of the injected containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Image of `istio-proxy`; its entry point takes `proxy sidecar …`.
    pub proxy: String,
    /// Image of `istio-init`; its entry point takes `istio-iptables …`. A pod's `proxyImage` replaces both.
    pub init: String,
}

impl Default for Images {
    fn default() -> Self {
        let image = concat!("mesh-proxy:", env!("CARGO_PKG_VERSION"));
        Self {
            proxy: image.into(),
            init: image.into(),
        }
    }
}

/// What happens to a pod that nothing else decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is injected.
    Enabled,
    /// It is left alone.
    Disabled,
}

/// What happens to a pod whose application runs as uid or gid 1337: the capture rules let that user's traffic pass, so
/// such an application would leave the mesh unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ProxyUser {
    /// The pod is injected with a warning.
    #[default]
    Warn,
    /// The pod is refused.
    Refuse,
}

/// What is captured: the arguments of `istio-init`, as its flags take them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// `-i`: destinations, `*` or CIDR ranges.
    pub include_outbound_ip_ranges: String,
    /// `-x`: destinations not captured.
    pub exclude_outbound_ip_ranges: String,
    /// `-b`: inbound ports, `*`, a list, or empty for none.
    pub include_inbound_ports: String,
    /// `-d`, in addition to the proxy's own ports.
    pub exclude_inbound_ports: String,
    /// `-q`: destination ports captured whatever the address.
    pub include_outbound_ports: String,
    /// `-o`: destination ports never captured.
    pub exclude_outbound_ports: String,
    /// `-c`: interfaces that bypass the proxy.
    pub exclude_interfaces: String,
    /// `-k`: interfaces whose arriving traffic is outbound.
    pub kubevirt_interfaces: String,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            include_outbound_ip_ranges: "*".into(),
            exclude_outbound_ip_ranges: String::new(),
            include_inbound_ports: "*".into(),
            exclude_inbound_ports: String::new(),
            include_outbound_ports: String::new(),
            exclude_outbound_ports: String::new(),
            exclude_interfaces: String::new(),
            kubevirt_interfaces: String::new(),
        }
    }
}

/// Requests and limits, by resource name, as Kubernetes quantities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// What is reserved.
    pub requests: BTreeMap<String, String>,
    /// What may be used.
    pub limits: BTreeMap<String, String>,
}

impl Default for Resources {
    fn default() -> Self {
        let of = |cpu: &str, memory: &str| {
            [("cpu", cpu), ("memory", memory)]
                .map(|(name, quantity)| (name.to_owned(), quantity.to_owned()))
                .into()
        };
        Self {
            requests: of("100m", "128Mi"),
            limits: of("2000m", "1024Mi"),
        }
    }
}
