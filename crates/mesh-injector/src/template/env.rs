//! The environment of both containers, in the order in which Istio's template has it.

use mesh_api::k8s::api::core::v1::{
    Container, ContainerPort, EnvVar, EnvVarSource, ObjectFieldSelector, ResourceFieldSelector,
};
use mesh_model::annotation::TOPOLOGY_NETWORK;
use mesh_model::env;

use serde_json::Value;

use super::Input;
use crate::json::{self, to_json};

/// JSON of the application's probes that the agent answers, by path.
pub(crate) const APP_PROBERS: &str = env::ISTIO_KUBE_APP_PROBERS;
/// JSON of where the application's metrics are.
pub(crate) const PROMETHEUS_ANNOTATIONS: &str = env::ISTIO_PROMETHEUS_ANNOTATIONS;

/// Environment of `istio-proxy`.
pub(super) fn proxy(input: &Input<'_>) -> Vec<EnvVar> {
    let (config, settings) = (&input.annotations.config, input.settings);
    let trust_domain = &settings.mesh.trust_domain;
    let mesh_id = if config.mesh_id.is_empty() {
        trust_domain
    } else {
        &config.mesh_id
    };
    let mut list = vec![
        value(env::PILOT_CERT_PROVIDER, "istiod"),
        value(
            env::CA_ADDR,
            settings
                .ca_address
                .as_ref()
                .unwrap_or(&config.discovery_address),
        ),
        field(env::POD_NAME, "metadata.name"),
        field(env::POD_NAMESPACE, "metadata.namespace"),
        field(env::INSTANCE_IP, "status.podIP"),
        field(env::SERVICE_ACCOUNT, "spec.serviceAccountName"),
        field(env::HOST_IP, "status.hostIP"),
        resource(env::ISTIO_CPU_LIMIT, "limits.cpu"),
        value(
            env::PROXY_CONFIG,
            &serde_json::Value::Object(config.non_default()).to_string(),
        ),
        value("ISTIO_META_POD_PORTS", &pod_ports(input)),
        value("ISTIO_META_APP_CONTAINERS", &app_containers(input)),
        resource("GOMEMLIMIT", "limits.memory"),
        value("ISTIO_META_CLUSTER_ID", &settings.cluster_id),
        field("ISTIO_META_NODE_NAME", "spec.nodeName"),
        value(
            "ISTIO_META_INTERCEPTION_MODE",
            config.interception_mode.as_str(),
        ),
    ];
    let labels = input.pod.metadata.labels.as_ref();
    let own = labels.and_then(|labels| labels.get(TOPOLOGY_NETWORK));
    let network = own.unwrap_or(&settings.network);
    if !network.is_empty() {
        list.push(value("ISTIO_META_NETWORK", network));
    }
    if !input.workload.name.is_empty() {
        list.push(value("ISTIO_META_WORKLOAD_NAME", &input.workload.name));
        list.push(value(
            "ISTIO_META_OWNER",
            &input.workload.uri(input.namespace),
        ));
    }
    list.push(value("ISTIO_META_MESH_ID", mesh_id));
    list.push(value(env::TRUST_DOMAIN, trust_domain));
    let more = settings.environment.iter();
    let more = more.map(|(name, text)| value(name, text));
    for variable in metadata(input).into_iter().flatten().chain(more) {
        put(&mut list, variable);
    }
    list
}

/// Adds a variable, or replaces the one of that name where it stands: of two, Kubernetes would take the last and warn.
fn put(list: &mut Vec<EnvVar>, variable: EnvVar) {
    match list.iter_mut().find(|there| there.name == variable.name) {
        Some(there) => *there = variable,
        None => list.push(variable),
    }
}

/// The pairs of `proxyMetadata`; `None` if there are none.
pub(super) fn metadata(input: &Input<'_>) -> Option<Vec<EnvVar>> {
    let pairs = &input.annotations.config.proxy_metadata;
    (!pairs.is_empty()).then(|| pairs.iter().map(|(name, text)| value(name, text)).collect())
}

/// Adds a variable to a rendered container.
pub(crate) fn set(container: &mut Value, name: &str, text: &str) {
    let list = json::object(container, &[])
        .entry("env")
        .or_insert(Value::Null);
    if !list.is_array() {
        *list = Value::Array(Vec::new());
    }
    let variable = to_json(&value(name, text));
    if let Some(list) = list.as_array_mut() {
        match list.iter_mut().find(|one| json::name_of(one) == name) {
            Some(one) => *one = variable,
            None => list.push(variable),
        }
    }
}

/// The application's containers: those that run beside the proxy for the life of the pod.
fn applications<'a>(input: &'a Input<'_>) -> impl Iterator<Item = &'a Container> {
    let spec = input.pod.spec.iter();
    spec.flat_map(|spec| {
        let sidecars = spec.init_containers.iter().flatten();
        let sidecars =
            sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
        sidecars.chain(&spec.containers)
    })
}

fn pod_ports(input: &Input<'_>) -> String {
    let ports: Vec<&ContainerPort> = applications(input)
        .flat_map(|one| one.ports.iter().flatten())
        .collect();
    to_json(&ports).to_string()
}

fn app_containers(input: &Input<'_>) -> String {
    let names: Vec<&str> = applications(input)
        .map(|container| container.name.as_str())
        .collect();
    names.join(",")
}

fn value(name: &str, text: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(text.to_owned()),
        value_from: None,
    }
}

fn field(name: &str, path: &str) -> EnvVar {
    let field = ObjectFieldSelector {
        api_version: None,
        field_path: path.to_owned(),
    };
    from(
        name,
        EnvVarSource {
            field_ref: Some(field),
            ..EnvVarSource::default()
        },
    )
}

fn resource(name: &str, resource: &str) -> EnvVar {
    let field = ResourceFieldSelector {
        resource: resource.to_owned(),
        ..ResourceFieldSelector::default()
    };
    from(
        name,
        EnvVarSource {
            resource_field_ref: Some(field),
            ..EnvVarSource::default()
        },
    )
}

fn from(name: &str, source: EnvVarSource) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(source),
    }
}
