//! Picks the filter chain for a fresh connection.
//!
//! Called once per connection, after inspection and before any byte is consumed. Follows Envoy's order: destination
//! port, destination prefix, server name, transport protocol, application protocols, source prefix, source port. At each
//! step the most specific that matches wins, and a later miss does not reopen an earlier choice. Looks at nothing but
//! [`Inspected`].

use ipnet::IpNet;
use mesh_model::listener::{FilterChainMatch, TransportProtocol};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

/// What is known of a connection when its chain is picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// Where the client wanted to go.
    pub destination: SocketAddr,
    /// The client.
    pub source: SocketAddr,
    /// Whether it speaks TLS.
    pub transport: TransportProtocol,
    /// Server name of its hello, lower case.
    pub server_name: Option<String>,
    /// Offered by ALPN, or found by the HTTP inspector; most wanted first.
    pub application_protocols: Vec<String>,
}

impl Inspected {
    /// A client that has said nothing.
    pub fn silent(destination: SocketAddr, source: SocketAddr) -> Self {
        Self {
            destination,
            source,
            transport: TransportProtocol::RawBuffer,
            server_name: None,
            application_protocols: Vec::new(),
        }
    }
}

/// The chains of one listener, indexed for matching.
#[derive(Debug)]
pub struct ChainTable {
    // By destination port, since an inbound listener has several chains for each port of its workload; in each the
    // matches with their place in the listener.
    by_port: HashMap<Option<u16>, Vec<(usize, FilterChainMatch)>, foldhash::fast::RandomState>,
}

/// Two chains claim the same connections.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter_chains[{second}]: matches the same connections as filter_chains[{first}]")]
pub struct SameMatch {
    /// Place of the first.
    pub first: usize,
    /// Place of the second.
    pub second: usize,
}

impl ChainTable {
    /// Builds the index.
    ///
    /// # Errors
    /// If two chains claim the same match, as in Envoy.
    pub fn new<'a>(
        matches: impl IntoIterator<Item = &'a FilterChainMatch>,
    ) -> Result<Self, SameMatch> {
        let mut seen = HashMap::<&FilterChainMatch, usize>::new();
        let mut by_port = HashMap::<_, Vec<_>, _>::default();
        for (second, wanted) in matches.into_iter().enumerate() {
            if let Some(first) = seen.insert(wanted, second) {
                return Err(SameMatch { first, second });
            }
            by_port
                .entry(wanted.destination_port)
                .or_default()
                .push((second, wanted.clone()));
        }
        Ok(Self { by_port })
    }

    /// Place of the chain for `conn`, or `None`: the caller then takes the default chain, or closes the connection.
    pub fn pick(&self, conn: &Inspected) -> Option<usize> {
        let port = self
            .by_port
            .get(&Some(conn.destination.port()))
            .or_else(|| self.by_port.get(&None))?;
        let mut left: Vec<_> = port.iter().collect();
        keep_best(&mut left, |m| {
            prefix_rank(&m.prefix_ranges, conn.destination.ip())
        });
        keep_best(&mut left, |m| {
            server_name_rank(&m.server_names, conn.server_name.as_deref())
        });
        keep_best(&mut left, |m| match m.transport_protocol {
            None => Some(0),
            Some(transport) => (transport == conn.transport).then_some(1),
        });
        keep_best(&mut left, |m| {
            protocol_rank(&m.application_protocols, &conn.application_protocols)
        });
        keep_best(&mut left, |m| {
            prefix_rank(&m.source_prefix_ranges, conn.source.ip())
        });
        keep_best(&mut left, |m| match &m.source_ports[..] {
            [] => Some(0),
            ports => ports.contains(&conn.source.port()).then_some(1),
        });
        left.first().map(|(place, _)| *place)
    }
}

/// Keeps those of the highest rank; `None` is no match.
fn keep_best(
    left: &mut Vec<&(usize, FilterChainMatch)>,
    rank: impl Fn(&FilterChainMatch) -> Option<usize>,
) {
    let best = left.iter().filter_map(|(_, m)| rank(m)).max();
    left.retain(|(_, m)| best.is_some() && rank(m) == best);
}

/// Length of the longest prefix that holds `ip`; no prefix at all is one of length zero, as in Envoy.
fn prefix_rank(prefixes: &[IpNet], ip: IpAddr) -> Option<usize> {
    if prefixes.is_empty() {
        return Some(0);
    }
    prefixes
        .iter()
        .filter(|p| p.contains(&ip))
        .map(|p| usize::from(p.prefix_len()))
        .max()
}

/// Exact before the longest suffix before any.
fn server_name_rank(names: &[String], found: Option<&str>) -> Option<usize> {
    if names.is_empty() {
        return Some(0);
    }
    let found = found?;
    let rank = |name: &String| {
        if name == found {
            return Some(usize::MAX);
        }
        let suffix = name.strip_prefix('*')?;
        (suffix.starts_with('.') && found.len() > suffix.len() && found.ends_with(suffix))
            .then_some(suffix.len())
    };
    names.iter().filter_map(rank).max()
}

/// The client's first choice before its second, and so on, before any.
fn protocol_rank(wanted: &[String], offered: &[String]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    let place = offered
        .iter()
        .position(|protocol| wanted.contains(protocol))?;
    Some(offered.len() - place)
}

#[cfg(test)]
mod tests;
