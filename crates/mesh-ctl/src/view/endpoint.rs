//! The tables of endpoints: as the proxy sees them, and as the control plane sent them.

use crate::args::EndpointFilter;
use crate::dump::Entry;
use crate::dump::address::Address;
use crate::dump::endpoint::{ClusterLoadAssignment, ClusterStatus, HostStatus, LbEndpoint};
use crate::view::cluster::Parts;
use crate::view::columns::columns;

const PADDING: usize = 5;

/// The clusters that have an endpoint which `filter` asks for; without a filter all that have any.
pub(crate) fn select(
    entries: Vec<Entry<ClusterStatus>>,
    filter: &EndpointFilter,
) -> Vec<Entry<ClusterStatus>> {
    let mut entries = entries;
    entries.retain(|Entry { shape, .. }| {
        shape
            .host_statuses
            .iter()
            .any(|host| takes_host(filter, &shape.name, host))
    });
    entries
}

fn takes_host(filter: &EndpointFilter, cluster: &str, host: &HostStatus) -> bool {
    takes(filter, cluster, &host.address, host.health())
}

fn takes(filter: &EndpointFilter, cluster: &str, address: &Address, health: &str) -> bool {
    let same = |wanted: &Option<String>, is: &str| {
        wanted
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(is))
    };
    same(&filter.cluster, cluster)
        && same(&filter.address, &address.host())
        && same(&filter.status, health)
        && filter
            .port
            .is_none_or(|port| address.port() == u32::from(port))
}

/// The table of the proxy's view, by address, port and cluster.
pub(crate) fn table(
    entries: &[Entry<ClusterStatus>],
    filter: &EndpointFilter,
    named: bool,
) -> String {
    let mut hosts: Vec<_> = entries
        .iter()
        .flat_map(|Entry { shape, .. }| {
            shape
                .host_statuses
                .iter()
                .map(|host| (host, shape.name.as_str()))
        })
        .filter(|(host, cluster)| takes_host(filter, cluster, host))
        .collect();
    hosts.sort_by_cached_key(|(host, cluster)| (shown_host(host), host.address.port(), *cluster));
    let (name, prefix) = first_column("ENDPOINT", named);
    let header = [name, "STATUS", "OUTLIER CHECK", "CLUSTER"]
        .map(str::to_owned)
        .into();
    let rows = hosts.into_iter().map(|(host, cluster)| {
        let outlier = if host.is_ejected() { "FAILED" } else { "OK" };
        let endpoint = format!("{prefix}{}{}", scheme(host), host.address.with_port());
        vec![
            endpoint,
            host.health().to_owned(),
            outlier.to_owned(),
            cluster.to_owned(),
        ]
    });
    columns(
        &std::iter::once(header).chain(rows).collect::<Vec<_>>(),
        PADDING,
    )
}

fn shown_host(host: &HostStatus) -> String {
    scheme(host).to_owned() + &host.address.host()
}

/// What stands before the path of a Unix socket.
fn scheme(host: &HostStatus) -> &'static str {
    if host.address.is_pipe() {
        "unix://"
    } else {
        ""
    }
}

fn first_column(name: &'static str, named: bool) -> (&'static str, &'static str) {
    match named {
        true => ("NAME", "endpoint/"),
        false => (name, ""),
    }
}

/// The clusters whose sent endpoints include one that `filter` asks for, in the order of clusters.
pub(crate) fn select_sent(
    entries: Vec<Entry<ClusterLoadAssignment>>,
    filter: &EndpointFilter,
) -> Vec<Entry<ClusterLoadAssignment>> {
    let mut entries = entries;
    entries.retain(|Entry { shape, .. }| {
        sent(shape).any(|(endpoint, _)| takes_sent(filter, shape, endpoint))
    });
    entries.sort_by(|a, b| Parts::of(&a.shape.cluster_name).cmp(&Parts::of(&b.shape.cluster_name)));
    entries
}

fn takes_sent(filter: &EndpointFilter, set: &ClusterLoadAssignment, endpoint: &LbEndpoint) -> bool {
    takes(
        filter,
        &set.cluster_name,
        endpoint.address(),
        endpoint.health(),
    )
}

/// The endpoints of a cluster with their places.
fn sent(set: &ClusterLoadAssignment) -> impl Iterator<Item = (&LbEndpoint, String)> {
    let places = set.endpoints.iter();
    places.flat_map(|place| {
        place
            .lb_endpoints
            .iter()
            .map(|endpoint| (endpoint, place.locality.describe()))
    })
}

/// The table of what the control plane sent.
pub(crate) fn sent_table(
    entries: &[Entry<ClusterLoadAssignment>],
    filter: &EndpointFilter,
    named: bool,
) -> String {
    let (name, prefix) = first_column("NAME", named);
    let header = [name, "STATUS", "LOCALITY", "CLUSTER"]
        .map(str::to_owned)
        .into();
    let mut rows = vec![header];
    for Entry { shape, .. } in entries {
        let endpoints = sent(shape).filter(|(endpoint, _)| takes_sent(filter, shape, endpoint));
        rows.extend(endpoints.map(|(endpoint, place)| {
            let name = format!("{prefix}{}", endpoint.address().with_port());
            vec![
                name,
                endpoint.health().to_owned(),
                place,
                shape.cluster_name.clone(),
            ]
        }));
    }
    columns(&rows, PADDING)
}
