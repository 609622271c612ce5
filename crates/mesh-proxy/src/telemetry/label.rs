//! A record → the labels of Istio's metrics, in Istio's order.
//!
//! Who reports is a matter of direction: inbound we are the destination, outbound the source. The other end is what its
//! metadata says, else what the control plane said of the endpoint. What is not known reads `unknown`.

use super::{RequestRecord, TcpRecord, UpstreamRecord, Workload};
use crate::{config::Settings, connection::Connection, flag::ResponseFlags};
use mesh_model::{annotation, filter::Stats, name::Direction};
use std::{fmt::Write, sync::Arc};

/// A longer value is cut: some come from outside.
const LONGEST_VALUE: usize = 256;
const UNKNOWN: &str = "unknown";
const OVERFLOW: &str = "overflow";

/// Who we are.
#[derive(Clone, Debug, Default)]
pub(super) struct Local {
    pub(super) workload: Arc<Workload>,
    /// Our SPIFFE id.
    pub(super) principal: Arc<str>,
}

impl Local {
    pub(super) fn new(settings: &Settings) -> Self {
        let node = &settings.node;
        let or =
            |first: &str, second: &str| Arc::from(if first.is_empty() { second } else { first });
        let app = node.label("app");
        let workload = Workload {
            name: or(node.text("WORKLOAD_NAME"), &node.id.pod),
            namespace: node.id.namespace.as_str().into(),
            canonical_name: or(node.label(annotation::CANONICAL_NAME), app),
            canonical_revision: or(node.label(annotation::CANONICAL_REVISION), "latest"),
            app: app.into(),
            version: node.label("version").into(),
            cluster: or(node.text("CLUSTER_ID"), "Kubernetes"),
        };
        Self {
            workload: Arc::new(workload),
            principal: settings.identity.to_string().into(),
        }
    }
}

/// What requests and connections have in common.
struct Facts<'a> {
    connection: &'a Connection,
    upstream: &'a UpstreamRecord,
    peer: Option<&'a Workload>,
    /// Host that stands in for an unknown service.
    host: Option<&'a str>,
    flags: ResponseFlags,
}

/// Labels of a request's metrics.
pub(super) fn request(local: &Local, record: &RequestRecord<'_>, stats: Stats, out: &mut String) {
    let fallback = !stats.disable_host_header_fallback && !record.authority.is_empty();
    let facts = Facts {
        connection: record.connection,
        upstream: record.upstream,
        peer: record.peer,
        host: fallback.then_some(record.authority),
        flags: record.flags,
    };
    facts.ends(local, out);
    label(
        out,
        "request_protocol",
        if record.is_grpc { "grpc" } else { "http" },
    );
    number(
        out,
        "response_code",
        record.status.map_or(0, |s| s.as_u16().into()),
    );
    match record.grpc_status.filter(|_| record.is_grpc) {
        Some(status) => number(out, "grpc_response_status", status),
        None => empty(out, "grpc_response_status"),
    }
    facts.security(out);
}

/// Labels of a connection's metrics.
pub(super) fn tcp(local: &Local, record: &TcpRecord<'_>, out: &mut String) {
    let facts = Facts {
        connection: record.connection,
        upstream: record.upstream,
        peer: record.peer,
        host: None,
        flags: record.flags,
    };
    facts.ends(local, out);
    label(out, "request_protocol", "tcp");
    facts.security(out);
}

/// Labels of what has no place of its own any more. `http`: those of requests, else those of connections.
pub(super) fn overflow(direction: Option<Direction>, http: bool) -> String {
    let mut out = String::new();
    label(&mut out, "reporter", reporter(direction));
    for name in WORKLOADS.iter().chain(SERVICE) {
        label(&mut out, name, OVERFLOW);
    }
    label(
        &mut out,
        "request_protocol",
        if http { OVERFLOW } else { "tcp" },
    );
    if http {
        label(&mut out, "response_code", OVERFLOW);
        label(&mut out, "grpc_response_status", OVERFLOW);
    }
    label(&mut out, "response_flags", OVERFLOW);
    label(&mut out, "connection_security_policy", OVERFLOW);
    out
}

const WORKLOADS: &[&str] = &[
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
];
const SERVICE: &[&str] = &[
    "destination_service",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_service_name",
    "destination_service_namespace",
    "destination_cluster",
];

fn reporter(direction: Option<Direction>) -> &'static str {
    match direction {
        Some(Direction::Inbound) => "destination",
        Some(Direction::Outbound) | None => "source",
    }
}

impl Facts<'_> {
    fn inbound(&self) -> bool {
        self.connection.direction == Some(Direction::Inbound)
    }

    /// From `reporter` to `destination_cluster`.
    fn ends(&self, local: &Local, out: &mut String) {
        let nobody = Workload::default();
        let other = self.peer.or(self.upstream.workload.as_deref());
        let other = other.unwrap_or(&nobody);
        let [source, destination] = match self.inbound() {
            true => [self.peer.unwrap_or(&nobody), &local.workload],
            false => [&local.workload, other],
        };
        let [source_principal, destination_principal] = self.principals(local);
        label(out, "reporter", reporter(self.connection.direction));
        let workloads = [
            &source.name,
            &source.canonical_name,
            &source.canonical_revision,
            &source.namespace,
            source_principal,
            &source.app,
            &source.version,
            &source.cluster,
            &destination.name,
            &destination.namespace,
            destination_principal,
            &destination.app,
            &destination.version,
        ];
        for (name, value) in WORKLOADS.iter().zip(workloads) {
            label(out, name, value);
        }
        let [host, service_name, service_namespace] = self.service();
        let namespace = match service_namespace {
            "" => &*destination.namespace,
            known => known,
        };
        let service = [
            host,
            &destination.canonical_name,
            &destination.canonical_revision,
            service_name,
            namespace,
            &destination.cluster,
        ];
        for (name, value) in SERVICE.iter().zip(service) {
            label(out, name, value);
        }
    }

    /// Who the two ends proved to be.
    fn principals<'a>(&'a self, local: &'a Local) -> [&'a str; 2] {
        if !self.inbound() {
            let proven = self.upstream.peer_principal.as_deref();
            return proven.map_or([""; 2], |peer| [&*local.principal, peer]);
        }
        let tls = self.connection.tls.as_ref();
        [
            tls.and_then(|tls| tls.uri_san.as_deref())
                .unwrap_or_default(),
            tls.and_then(|tls| tls.local_uri_san.as_deref())
                .unwrap_or_default(),
        ]
    }

    /// Host, name and namespace of the service: what the cluster stands for, else the host that was asked for.
    fn service(&self) -> [&str; 3] {
        if let Some(service) = self.upstream.service.as_deref() {
            return [&service.host, &service.name, &service.namespace];
        }
        let host = self.host.unwrap_or_default();
        let cluster = self
            .upstream
            .cluster
            .as_deref()
            .filter(|name| is_special(name));
        [host, cluster.unwrap_or(host), ""]
    }

    /// The last two.
    fn security(&self, out: &mut String) {
        label(out, "response_flags", &self.flags.to_string());
        let policy = match (self.inbound(), self.connection.is_mutual_tls()) {
            (true, true) => "mutual_tls",
            (true, false) => "none",
            // Only the server knows: it alone sees what arrives.
            (false, _) => UNKNOWN,
        };
        label(out, "connection_security_policy", policy);
    }
}

/// Whether metrics name the cluster in place of a service.
pub(super) fn is_special(cluster: &str) -> bool {
    use mesh_model::name::{BLACK_HOLE_CLUSTER, PASSTHROUGH_CLUSTER};
    matches!(cluster, BLACK_HOLE_CLUSTER | PASSTHROUGH_CLUSTER)
        || cluster.starts_with("InboundPassthroughCluster")
}

fn label(out: &mut String, name: &str, value: &str) {
    begin(out, name);
    push_value(out, if value.is_empty() { UNKNOWN } else { value });
    out.push('"');
}

fn empty(out: &mut String, name: &str) {
    begin(out, name);
    out.push('"');
}

fn number(out: &mut String, name: &str, value: u32) {
    begin(out, name);
    write!(out, "{value}\"").expect("a String grows");
}

fn begin(out: &mut String, name: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str(name);
    out.push_str("=\"");
}

/// A label's value as Prometheus' text form wants it.
pub(super) fn push_value(out: &mut String, value: &str) {
    for c in value.chars().take(LONGEST_VALUE) {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}
