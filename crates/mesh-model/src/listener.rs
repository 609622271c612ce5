//! What is accepted, and how a filter chain is picked (Envoy `Listener`).

use crate::{
    ListenerName, access_log::AccessLog, filter::NetworkFilter, name::Direction, tls::DownstreamTls,
};
use ipnet::IpNet;
use std::{net::SocketAddr, ops::Range, time::Duration};

/// How long Envoy's listener filters wait where nothing is set.
pub const DEFAULT_LISTENER_FILTERS_TIMEOUT: Duration = Duration::from_secs(15);

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub name: ListenerName,
    /// Address it stands for; a real socket only if `bind_to_port`.
    pub address: SocketAddr,
    /// Further addresses.
    pub additional_addresses: Vec<SocketAddr>,
    /// Whether a socket is bound. Others receive connections from a listener with `use_original_dst`.
    pub bind_to_port: bool,
    /// Connections are handed to the listener of their original destination, if there is one.
    pub use_original_dst: bool,
    /// Direction of the traffic.
    pub direction: Option<Direction>,
    /// What looks at a connection before its chain is picked.
    pub listener_filters: Vec<ListenerFilter>,
    /// How long the listener filters may wait for bytes; zero: for ever. Envoy's default is 15 s.
    pub listener_filters_timeout: Duration,
    /// Past that time the connection goes on without their findings, instead of being closed.
    pub continue_on_listener_filters_timeout: bool,
    /// Filter chains.
    pub filter_chains: Vec<FilterChain>,
    /// Chain for what no other matches.
    pub default_filter_chain: Option<FilterChain>,
    /// Logs of connections that no chain takes.
    pub access_logs: Vec<AccessLog>,
}

impl Listener {
    /// A listener with Envoy's defaults, still without chains.
    pub fn new(name: ListenerName, address: SocketAddr) -> Self {
        Self {
            name,
            address,
            additional_addresses: Vec::new(),
            bind_to_port: true,
            use_original_dst: false,
            direction: None,
            listener_filters: Vec::new(),
            listener_filters_timeout: DEFAULT_LISTENER_FILTERS_TIMEOUT,
            continue_on_listener_filters_timeout: false,
            filter_chains: Vec::new(),
            default_filter_chain: None,
            access_logs: Vec::new(),
        }
    }

    /// All chains, the default one last.
    pub fn chains(&self) -> impl Iterator<Item = &FilterChain> {
        self.filter_chains.iter().chain(&self.default_filter_chain)
    }
}

/// A listener filter with the connections it leaves alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerFilter {
    /// What it finds out.
    pub kind: ListenerFilterKind,
    /// Connections to which it does not apply.
    pub disabled: Option<ConnectionMatch>,
}

/// What a listener filter finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListenerFilterKind {
    /// Where the client wanted to go before the rules redirected it.
    OriginalDst,
    /// Whether the client speaks TLS, with which server name and ALPN.
    TlsInspector,
    /// Whether the client speaks HTTP, and which.
    HttpInspector,
}

/// Predicate on a connection (Envoy `ListenerFilterChainMatchPredicate`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionMatch {
    /// All.
    Any,
    /// Destination port within the range (its end is not part of it).
    DestinationPort(Range<u32>),
    /// At least one holds.
    Or(Vec<ConnectionMatch>),
    /// All hold.
    And(Vec<ConnectionMatch>),
    /// It does not hold.
    Not(Box<ConnectionMatch>),
}

impl ConnectionMatch {
    /// Whether it holds for a connection to `port`.
    pub fn matches(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::DestinationPort(range) => range.contains(&u32::from(port)),
            Self::Or(all) => all.iter().any(|m| m.matches(port)),
            Self::And(all) => all.iter().all(|m| m.matches(port)),
            Self::Not(inner) => !inner.matches(port),
        }
    }
}

/// A filter chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterChain {
    /// Its name; may be empty, and need not be unique.
    pub name: String,
    /// Which connections it takes.
    pub matches: FilterChainMatch,
    /// TLS that it terminates; `None`: the bytes are taken as they come.
    pub tls: Option<DownstreamTls>,
    /// How long TLS may take to be established; `None`: the proxy's own default.
    pub transport_connect_timeout: Option<Duration>,
    /// Network filters, in order.
    pub filters: Vec<NetworkFilter>,
}

impl FilterChain {
    /// A chain that takes everything as it comes.
    pub fn new(filters: Vec<NetworkFilter>) -> Self {
        Self {
            name: String::new(),
            matches: FilterChainMatch::default(),
            tls: None,
            transport_connect_timeout: None,
            filters,
        }
    }
}

/// Which connections a chain takes; an empty part matches all (Envoy `FilterChainMatch`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FilterChainMatch {
    /// Original destination port.
    pub destination_port: Option<u16>,
    /// Original destination address.
    pub prefix_ranges: Vec<IpNet>,
    /// Server names: exact, or `*.suffix`.
    pub server_names: Vec<String>,
    /// Transport, as the TLS inspector found it.
    pub transport_protocol: Option<TransportProtocol>,
    /// Application protocols: offered by ALPN, or found by the HTTP inspector.
    pub application_protocols: Vec<String>,
    /// Client address.
    pub source_prefix_ranges: Vec<IpNet>,
    /// Client ports.
    pub source_ports: Vec<u16>,
}

/// Transport as the TLS inspector found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportProtocol {
    /// `raw_buffer`: not TLS.
    RawBuffer,
    /// `tls`.
    Tls,
}

impl TransportProtocol {
    /// Envoy's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RawBuffer => "raw_buffer",
            Self::Tls => "tls",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectionMatch::*;

    #[test]
    fn predicates_combine() {
        let not_80_nor_443 = Not(Box::new(Or(vec![
            DestinationPort(80..81),
            DestinationPort(443..444),
        ])));
        for (port, want) in [(80, false), (443, false), (81, true)] {
            assert_eq!(not_80_nor_443.matches(port), want, "{port}");
        }
        assert!(And(vec![Any, DestinationPort(1..65536)]).matches(65535));
        assert!(!And(vec![Any, DestinationPort(1..2)]).matches(2));
    }
}
