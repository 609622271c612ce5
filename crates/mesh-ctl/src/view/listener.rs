//! The table of listeners.

use crate::args::ListenerFilter;
use crate::dump::Entry;
use crate::dump::listener::{ChainMatch, FilterChain, HttpConnectionManager, Listener, Terminal};
use crate::dump::route::{RouteConfiguration, VirtualHost};
use crate::view::columns::columns;

const PADDING: usize = 1;
const NON: &str = "Non-HTTP/Non-TCP";

/// Names that are shorter than the lists of protocols that Istio writes into a match.
const PROTOCOLS: [(&str, &[&str]); 4] = [
    ("HTTP", &["http/1.0", "http/1.1", "h2c"]),
    (
        "Istio HTTP Plain",
        &["istio", "istio-http/1.0", "istio-http/1.1", "istio-h2"],
    ),
    (
        "HTTP TLS",
        &[
            "http/1.0",
            "http/1.1",
            "h2c",
            "istio-http/1.0",
            "istio-http/1.1",
            "istio-h2",
        ],
    ),
    ("TCP TLS", &["istio-peer-exchange", "istio"]),
];

/// Those that `filter` asks for, by port, address and type.
pub(crate) fn select(
    entries: Vec<Entry<Listener>>,
    filter: &ListenerFilter,
) -> Vec<Entry<Listener>> {
    let mut entries = entries;
    entries.retain(|entry| takes(filter, &entry.shape));
    entries.sort_by_cached_key(|Entry { shape, .. }| (shape.port(), addresses(shape), kind(shape)));
    entries
}

fn takes(filter: &ListenerFilter, listener: &Listener) -> bool {
    let has_address = |address: &String| {
        let hosts = listener.hosts();
        hosts.iter().any(|host| host.eq_ignore_ascii_case(address))
    };
    filter.address.as_ref().is_none_or(has_address)
        && filter
            .port
            .is_none_or(|port| listener.port() == u32::from(port))
        && filter
            .kind
            .as_ref()
            .is_none_or(|wanted| kind(listener).eq_ignore_ascii_case(wanted))
}

/// The table; `named` puts the name of each listener before its rows.
pub(crate) fn table(entries: &[Entry<Listener>], verbose: bool, named: bool) -> String {
    let header: &[&str] = match verbose {
        true => &["ADDRESSES", "PORT", "MATCH", "DESTINATION"],
        false => &["ADDRESSES", "PORT", "TYPE"],
    };
    let name = named.then(|| "NAME".to_owned());
    let header = name
        .into_iter()
        .chain(header.iter().map(ToString::to_string))
        .collect();
    let rows = entries.iter().flat_map(|Entry { shape, .. }| {
        let rows = if verbose {
            chains(shape)
        } else {
            vec![vec![kind(shape).to_owned()]]
        };
        rows.into_iter().map(|row| {
            let name = named.then(|| format!("listener/{}", shape.name));
            let listener = [addresses(shape), shape.port().to_string()];
            name.into_iter().chain(listener).chain(row).collect()
        })
    });
    columns(
        &std::iter::once(header).chain(rows).collect::<Vec<_>>(),
        PADDING,
    )
}

fn addresses(listener: &Listener) -> String {
    listener.hosts().join(",")
}

/// What its chains do: `HTTP`, `TCP`, both or something else.
fn kind(listener: &Listener) -> &'static str {
    let (mut http, mut tcp) = (false, false);
    for chain in listener.chains() {
        match chain.terminal() {
            Some(Terminal::Http(_)) => http = true,
            Some(Terminal::Tcp(_)) => tcp = true,
            None => {}
        }
    }
    match (http, tcp) {
        (true, true) => "HTTP+TCP",
        (true, false) => "HTTP",
        (false, true) => "TCP",
        (false, false) => "UNKNOWN",
    }
}

/// Match and destination of every chain: destinations in descending order, equal ones in the order of the chains.
fn chains(listener: &Listener) -> Vec<Vec<String>> {
    let row = |chain: &FilterChain| vec![describe(&chain.filter_chain_match), destination(chain)];
    let mut rows: Vec<_> = listener.chains().map(row).collect();
    rows.sort_by(|a, b| b[1].cmp(&a[1]));
    rows
}

fn describe(matches: &ChainMatch) -> String {
    let mut parts = Vec::new();
    if !matches.server_names.is_empty() {
        parts.push(format!("SNI: {}", matches.server_names.join(",")));
    }
    if !matches.transport_protocol.is_empty() {
        parts.push(format!("Trans: {}", matches.transport_protocol));
    }
    if !matches.application_protocols.is_empty() {
        parts.push(format!(
            "App: {}",
            protocols(&matches.application_protocols)
        ));
    }
    if let Some(address) = address(matches) {
        parts.push(format!("Addr: {address}"));
    }
    match parts.is_empty() {
        true => "ALL".to_owned(),
        false => parts.join("; "),
    }
}

fn protocols(list: &[String]) -> String {
    let alias = PROTOCOLS.iter().find(|(_, protocols)| *protocols == list);
    alias.map_or_else(|| list.join(","), |(name, _)| (*name).to_owned())
}

fn address(matches: &ChainMatch) -> Option<String> {
    let port = matches.destination_port.map(|port| format!(":{port}"));
    if matches.prefix_ranges.is_empty() {
        return port.map(|port| format!("*{port}"));
    }
    let ranges = matches.prefix_ranges.iter();
    let ranges: Vec<_> = ranges
        .map(|r| format!("{}/{}", r.address_prefix, r.prefix_len))
        .collect();
    Some(ranges.join(",") + &port.unwrap_or_default())
}

fn destination(chain: &FilterChain) -> String {
    match chain.terminal() {
        Some(Terminal::Http(http)) => http_destination(http),
        Some(Terminal::Tcp(tcp)) => cluster(&tcp.clusters()),
        None => NON.to_owned(),
    }
}

fn http_destination(http: &HttpConnectionManager) -> String {
    match (&http.route_config, &http.rds) {
        (Some(routes), _) => inline(routes),
        (None, Some(rds)) => format!("Route: {}", rds.route_config_name),
        (None, None) => "HTTP".to_owned(),
    }
}

/// A cluster that is special says so in its name.
fn cluster(name: &str) -> String {
    match name.contains("Cluster") {
        true => name.to_owned(),
        false => format!("Cluster: {name}"),
    }
}

fn inline(routes: &RouteConfiguration) -> String {
    if let Some(name) = only_cluster(routes) {
        return cluster(name);
    }
    let hosts: Vec<_> = routes.virtual_hosts.iter().map(inline_host).collect();
    format!("Inline Route: {}", hosts.join("; "))
}

/// The cluster that every request goes to, if there is one.
fn only_cluster(routes: &RouteConfiguration) -> Option<&str> {
    let [host] = &routes.virtual_hosts[..] else {
        return None;
    };
    let [route] = &host.routes[..] else {
        return None;
    };
    (host.domains == ["*"] && route.matches.is_all()).then(|| route.cluster())?
}

fn inline_host(host: &VirtualHost) -> String {
    let matches: Vec<_> = host
        .routes
        .iter()
        .map(|route| route.matches.describe())
        .collect();
    let matches = matches.join(", ");
    match host.domains == ["*"] {
        true => matches,
        false => format!("{} {matches}", host.domains.join("/")),
    }
}
