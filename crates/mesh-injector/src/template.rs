//! What is added to a pod: the containers `istio-init` and `istio-proxy` and what they need.
//!
//! One file a part, each readable from top to bottom beside a rendered pod. The template only reads its [`Input`]; where
//! things go in the pod is for [`placement`](crate::placement).

mod env;
mod image;
mod init;
mod probes;
mod proxy;
mod volumes;

use mesh_api::k8s::api::core::v1::{Container, Pod, ResourceRequirements, Volume};
use mesh_api::k8s::apimachinery::pkg::api::resource::Quantity;

use crate::annotations::Annotations;
use crate::overrides::Overrides;
use crate::{Resources, Settings, Workload};

/// Name of the proxy's container.
pub(crate) const PROXY: &str = "istio-proxy";
/// Name of the init container that sets the capture rules.
pub(crate) const INIT: &str = "istio-init";

/// Name of the init container that verifies the rules which a CNI plugin has set.
pub(crate) const VALIDATION: &str = "istio-validation";

pub(crate) use env::{APP_PROBERS, PROMETHEUS_ANNOTATIONS, set as set_env};

/// Everything that the template depends on.
pub(crate) struct Input<'a> {
    /// The pod without anything that an earlier injection added.
    pub(crate) pod: &'a Pod,
    pub(crate) workload: &'a Workload,
    pub(crate) namespace: &'a str,
    pub(crate) annotations: &'a Annotations,
    pub(crate) settings: &'a Settings,
    pub(crate) overrides: &'a Overrides,
}

/// What the template makes.
pub(crate) struct Rendered {
    /// Sets the capture rules; `None` when nothing is captured.
    pub(crate) init: Option<Container>,
    pub(crate) proxy: Container,
    pub(crate) volumes: Vec<Volume>,
}

/// Renders the template for one pod.
pub(crate) fn render(input: &Input<'_>) -> Rendered {
    Rendered {
        init: init::container(input),
        proxy: proxy::container(input),
        volumes: {
            let own = input.annotations.user_volumes.volumes.iter().cloned();
            let ours = volumes::volumes(&input.settings.token_audience);
            ours.into_iter().chain(own).collect()
        },
    }
}

/// Names of the volumes that the template adds.
pub(crate) fn volume_names() -> impl Iterator<Item = &'static str> {
    volumes::NAMES.into_iter()
}

fn resources(resources: &Resources) -> ResourceRequirements {
    let quantities = |map: &std::collections::BTreeMap<String, String>| {
        let quantities = map
            .iter()
            .map(|(name, text)| (name.clone(), Quantity(text.clone())));
        (!map.is_empty()).then(|| quantities.collect())
    };
    ResourceRequirements {
        claims: None,
        limits: quantities(&resources.limits),
        requests: quantities(&resources.requests),
    }
}

fn strings<const N: usize>(items: [&str; N]) -> Vec<String> {
    items.map(str::to_owned).into()
}
