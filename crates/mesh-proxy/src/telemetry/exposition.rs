//! All numbers in Prometheus' text form.
//!
//! Given out piece by piece: the text of many label sets is long, and no more of it should be in memory than is being
//! sent.

use super::{
    Stat, Telemetry,
    histogram::{BOUNDS, Distribution},
    label::push_value,
    series::{ConnectionsSum, RequestsSum},
};
use std::{collections::BTreeMap, fmt::Write, sync::Arc};

/// Content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Envoy's counters and gauges, as its `/stats/prometheus` prints them.
pub fn envoy(stats: &[Stat]) -> String {
    // All lines of a name stand together, whatever they belong to.
    let mut by_name = BTreeMap::<String, Vec<&Stat>>::new();
    for stat in stats {
        by_name.entry(name_of(stat)).or_default().push(stat);
    }
    let mut out = String::new();
    for (name, stats) in by_name {
        let kind = if stats[0].is_gauge {
            "gauge"
        } else {
            "counter"
        };
        writeln!(out, "# TYPE {name} {kind}").expect(GROWS);
        for stat in stats {
            out.push_str(&name);
            out.push('{');
            if let Some((label, value)) = stat.scope.label() {
                out.push_str(label);
                out.push_str("=\"");
                push_value(&mut out, value);
                out.push('"');
            }
            writeln!(out, "}} {}", stat.value).expect(GROWS);
        }
    }
    out
}

const GROWS: &str = "a String grows";

fn name_of(stat: &Stat) -> String {
    let name = format!("envoy_{}_{}", stat.scope.word(), stat.name);
    name.replace(['.', '-'], "_")
}

type Requests = Arc<Vec<(Arc<str>, RequestsSum)>>;
type Connections = Arc<Vec<(Arc<str>, ConnectionsSum)>>;

pub(super) fn pieces(telemetry: &Telemetry) -> impl Iterator<Item = String> + Send + use<> {
    let requests: Requests = Arc::new(telemetry.0.requests.sums());
    let connections: Connections = Arc::new(telemetry.0.connections.sums());
    let envoy = envoy(&telemetry.stats());
    let counters = [
        samples(&requests, "istio_requests_total", |sum| sum.total),
        messages(&requests, "istio_request_messages_total", |sum| {
            sum.request_messages
        }),
        messages(&requests, "istio_response_messages_total", |sum| {
            sum.response_messages
        }),
        counter(&connections, "istio_tcp_connections_opened_total", |s| {
            s.opened
        }),
        counter(&connections, "istio_tcp_connections_closed_total", |s| {
            s.closed
        }),
        counter(&connections, "istio_tcp_sent_bytes_total", |s| s.sent_bytes),
        counter(&connections, "istio_tcp_received_bytes_total", |s| {
            s.received_bytes
        }),
        build(),
        envoy,
    ];
    counters
        .into_iter()
        .filter(|piece| !piece.is_empty())
        .chain(histogram(
            &requests,
            "istio_request_duration_milliseconds",
            |s| &s.duration_milliseconds,
        ))
        .chain(histogram(&requests, "istio_request_bytes", |s| {
            &s.request_bytes
        }))
        .chain(histogram(&requests, "istio_response_bytes", |s| {
            &s.response_bytes
        }))
}

fn build() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("# TYPE istio_build gauge\nistio_build{{component=\"proxy\",tag=\"{version}\"}} 1\n")
}

// Only what is gRPC has messages: label sets without any have no line.
fn messages(requests: &Requests, name: &str, of: fn(&RequestsSum) -> u64) -> String {
    let counted = requests.iter().filter(|(_, sum)| of(sum) > 0).cloned();
    samples(&counted.collect::<Vec<_>>(), name, of)
}

fn counter(connections: &Connections, name: &str, of: fn(&ConnectionsSum) -> u64) -> String {
    samples(connections, name, of)
}

fn samples<S>(sums: &[(Arc<str>, S)], name: &str, of: impl Fn(&S) -> u64) -> String {
    if sums.is_empty() {
        return String::new();
    }
    let mut out = format!("# TYPE {name} counter\n");
    for (labels, sum) in sums {
        writeln!(out, "{name}{{{labels}}} {}", of(sum)).expect(GROWS);
    }
    out
}

/// One piece for the type, then one for each label set.
fn histogram(
    requests: &Requests,
    name: &'static str,
    of: fn(&RequestsSum) -> &Distribution,
) -> impl Iterator<Item = String> + Send + use<> {
    let requests = Arc::clone(requests);
    let head = (!requests.is_empty()).then(|| format!("# TYPE {name} histogram\n"));
    let sets = 0..requests.len();
    head.into_iter().chain(sets.map(move |i| {
        let (labels, sum) = &requests[i];
        distribution(name, labels, of(sum))
    }))
}

fn distribution(name: &str, labels: &str, of: &Distribution) -> String {
    let mut out = String::new();
    let mut count = 0;
    for (i, bucket) in of.buckets.iter().enumerate() {
        count += bucket;
        let bound = BOUNDS.get(i).unwrap_or(&"+Inf");
        writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}").expect(GROWS);
    }
    writeln!(out, "{name}_sum{{{labels}}} {}", of.sum).expect(GROWS);
    writeln!(out, "{name}_count{{{labels}}} {count}").expect(GROWS);
    out
}
