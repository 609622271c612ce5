//! What runs: two deployments, each with its service and its disruption budget.
//!
//! Pods are not root, write nowhere, keep no capability, and are never injected themselves.

use serde_json::{Value, json};

use super::agreed::Agreed;
use super::{Plan, settings};
use crate::install::options::Component;

const UID: u32 = 1337;
/// How long a pod may take to finish what it is asked.
const GRACE_SECONDS: u32 = 30;

pub(super) fn objects(plan: &Plan<'_>) -> Vec<Value> {
    let agreed = Agreed::of(&settings::texts(plan));
    let mut objects = discovery(plan, &agreed);
    objects.extend(injector(plan, &agreed));
    objects
}

fn discovery(plan: &Plan<'_>, agreed: &Agreed) -> Vec<Value> {
    let (options, name) = (plan.options, plan.istiod());
    let labels = json!({"app": "istiod", "istio": "pilot", "istio.io/rev": options.revision()});
    let mut arguments: Vec<String> = ["discovery", "--keepaliveMaxServerConnectionAge", "30m"]
        .map(str::to_owned)
        .into();
    arguments.extend(agreed.flags());
    if !options.suffix().is_empty() {
        let (service, domain) = (format!("{name}.{}", plan.namespace), &agreed.domain);
        let names =
            format!("{name},{service},{service}.svc,{service}.svc.{domain},localhost,127.0.0.1");
        arguments.extend(["--dns-names".into(), names]);
        arguments.extend(["--revision".into(), options.revision().into()]);
    }
    let container = json!({
        "name": "discovery",
        "command": ["/usr/local/bin/mesh-discovery"],
        "args": arguments.into_iter().chain(options.discovery.arguments.clone()).collect::<Vec<_>>(),
        // The debug pages stay on the pod's own loopback, which is where a forwarded port leads.
        "ports": [port("grpc-xds-tls", 15012), port("http-monitoring", 15014)],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 15014}, "periodSeconds": 3, "timeoutSeconds": 5},
        "livenessProbe": {"tcpSocket": {"port": 15014}, "initialDelaySeconds": 10, "periodSeconds": 10, "failureThreshold": 6},
        "volumeMounts": [mount("cacerts", "/etc/cacerts")],
    });
    let volumes = json!([
        {"name": "cacerts", "secret": {"secretName": "cacerts", "optional": true}},
    ]);
    let ports = json!([
        service_port("https-dns", 15012, "grpc-xds-tls"),
        service_port("http-monitoring", 15014, "http-monitoring"),
    ]);
    part(
        plan,
        &name,
        &options.discovery,
        labels,
        container,
        volumes,
        ports,
    )
}

fn injector(plan: &Plan<'_>, agreed: &Agreed) -> Vec<Value> {
    let (options, name) = (plan.options, plan.injector());
    let labels = json!({"app": "sidecar-injector", "istio": "sidecar-injector", "istio.io/rev": options.revision()});
    let arguments: Vec<String> = vec![
        "--service-name".into(),
        name.clone(),
        "--ca-address".into(),
        format!("{}.{}.svc:15012", plan.istiod(), plan.namespace),
        "--webhook-config".into(),
        super::webhooks::names(plan).join(","),
    ];
    let container = json!({
        "name": "sidecar-injector",
        "command": ["/usr/local/bin/mesh-injector"],
        "args": arguments.into_iter().chain(options.injector.arguments.clone()).collect::<Vec<_>>(),
        "ports": [port("https-webhook", 15017), port("http-monitoring", 15014)],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 15014}, "periodSeconds": 3, "timeoutSeconds": 5},
        "livenessProbe": {"tcpSocket": {"port": 15017}, "initialDelaySeconds": 10, "periodSeconds": 10, "failureThreshold": 6},
        "volumeMounts": [
            mount("inject", "/etc/istio/inject"),
            mount("mesh", "/etc/istio/config"),
            mount("istio-token", "/var/run/secrets/tokens"),
        ],
    });
    let token = json!({"serviceAccountToken": {"audience": agreed.token_audience, "expirationSeconds": 43200, "path": "istio-token"}});
    let volumes = json!([
        {"name": "inject", "configMap": {"name": name}},
        {"name": "mesh", "configMap": {"name": format!("istio{}", options.suffix())}},
        {"name": "istio-token", "projected": {"sources": [token]}},
    ]);
    let ports = json!([
        service_port("https-webhook", 443, "https-webhook"),
        service_port("http-monitoring", 15014, "http-monitoring"),
    ]);
    part(
        plan,
        &name,
        &options.injector,
        labels,
        container,
        volumes,
        ports,
    )
}

fn port(name: &str, number: u16) -> Value {
    json!({"name": name, "containerPort": number, "protocol": "TCP"})
}

fn service_port(name: &str, number: u16, target: &str) -> Value {
    json!({"name": name, "port": number, "targetPort": target, "protocol": "TCP"})
}

fn mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path, "readOnly": true})
}

/// Deployment, service, budget.
fn part(
    plan: &Plan<'_>,
    name: &str,
    component: &Component,
    labels: Value,
    mut container: Value,
    volumes: Value,
    ports: Value,
) -> Vec<Value> {
    let options = plan.options;
    container["image"] = options.image().into();
    if !options.image_pull_policy.is_empty() {
        container["imagePullPolicy"] = options.image_pull_policy.as_str().into();
    }
    container["resources"] = component.resources.clone();
    container["env"] = environment(plan);
    // What it said last is then shown with the pod, and by who waits for it.
    container["terminationMessagePolicy"] = "FallbackToLogsOnError".into();
    container["securityContext"] = json!({
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "privileged": false,
        "readOnlyRootFilesystem": true, "runAsUser": UID, "runAsGroup": UID, "runAsNonRoot": true,
    });
    let mut metadata = plan.metadata(name);
    metadata["labels"] = labels.clone();
    let mut pod_labels = labels.clone();
    pod_labels["sidecar.istio.io/inject"] = "false".into();
    let apart = json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "podAffinityTerm": {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}}]}});
    let spec = json!({
        "serviceAccountName": name, "terminationGracePeriodSeconds": GRACE_SECONDS, "affinity": apart,
        "securityContext": {"fsGroup": UID}, "containers": [container], "volumes": volumes,
    });
    vec![
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata.clone(), "spec": {
            "replicas": component.replicas, "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": pod_labels}, "spec": spec}}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata.clone(), "spec": {"selector": labels, "ports": ports}}),
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": {
            "maxUnavailable": 1, "selector": {"matchLabels": labels}}}),
    ]
}

/// Who the pod is, and `values.pilot.env`.
fn environment(plan: &Plan<'_>) -> Value {
    let own = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}});
    let mut list = vec![
        own("POD_NAME", "metadata.name"),
        own("POD_NAMESPACE", "metadata.namespace"),
    ];
    let set = plan
        .options
        .values
        .pointer("/pilot/env")
        .and_then(Value::as_object);
    for (name, value) in set.into_iter().flatten() {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        list.push(json!({"name": name, "value": value}));
    }
    Value::Array(list)
}
