//! `envoy.config.listener.v3.Listener`, as far as tables show it.

use serde::Deserialize;

use mesh_model::name::BLACK_HOLE_CLUSTER;

use super::Shape;
use super::address::Address;
use super::route::RouteConfiguration;

/// A listener.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Listener {
    pub(crate) name: String,
    address: Option<Address>,
    additional_addresses: Vec<AdditionalAddress>,
    filter_chains: Vec<FilterChain>,
    default_filter_chain: Option<FilterChain>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AdditionalAddress {
    address: Address,
}

impl Shape for Listener {
    const MESSAGE: &'static str = "envoy.config.listener.v3.Listener";
}

impl Listener {
    /// All addresses, without ports.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let more = self.additional_addresses.iter().map(|more| &more.address);
        self.address.iter().chain(more).map(Address::host).collect()
    }

    /// The port of the main address; 0 if it has none.
    pub(crate) fn port(&self) -> u32 {
        self.address.as_ref().map_or(0, Address::port)
    }

    /// All filter chains, the default one last.
    pub(crate) fn chains(&self) -> impl Iterator<Item = &FilterChain> {
        self.filter_chains.iter().chain(&self.default_filter_chain)
    }
}

/// What is done with one kind of connection.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct FilterChain {
    pub(crate) filter_chain_match: ChainMatch,
    filters: Vec<Filter>,
}

impl FilterChain {
    /// The filter that ends the chain, if it is one that we know and that goes anywhere.
    pub(crate) fn terminal(&self) -> Option<Terminal<'_>> {
        self.filters
            .iter()
            .find_map(|filter| match &filter.typed_config {
                Some(Config::Http(http)) => Some(Terminal::Http(http)),
                Some(Config::Tcp(tcp)) if tcp.cluster != BLACK_HOLE_CLUSTER => {
                    Some(Terminal::Tcp(tcp))
                }
                _ => None,
            })
    }
}

/// What ends a filter chain.
#[derive(Debug)]
pub(crate) enum Terminal<'a> {
    /// Requests are routed.
    Http(&'a HttpConnectionManager),
    /// Bytes are forwarded.
    Tcp(&'a TcpProxy),
}

/// Which connections a chain is for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ChainMatch {
    pub(crate) destination_port: Option<u32>,
    pub(crate) prefix_ranges: Vec<CidrRange>,
    pub(crate) server_names: Vec<String>,
    pub(crate) transport_protocol: String,
    pub(crate) application_protocols: Vec<String>,
}

/// A range of addresses.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CidrRange {
    pub(crate) address_prefix: String,
    pub(crate) prefix_len: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    typed_config: Option<Config>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "@type")]
enum Config {
    #[serde(
        rename = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    )]
    Http(HttpConnectionManager),
    #[serde(rename = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy")]
    Tcp(TcpProxy),
    #[serde(other)]
    Other,
}

/// Where an HTTP chain finds its routes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HttpConnectionManager {
    pub(crate) rds: Option<Rds>,
    pub(crate) route_config: Option<RouteConfiguration>,
}

/// A route configuration by name.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rds {
    pub(crate) route_config_name: String,
}

/// Where a TCP chain goes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TcpProxy {
    cluster: String,
    weighted_clusters: Weighted,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Weighted {
    clusters: Vec<WeightedCluster>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WeightedCluster {
    name: String,
}

impl TcpProxy {
    /// The cluster, or all of them.
    pub(crate) fn clusters(&self) -> String {
        if !self.cluster.is_empty() {
            return self.cluster.clone();
        }
        let names: Vec<_> = self
            .weighted_clusters
            .clusters
            .iter()
            .map(|c| c.name.as_str())
            .collect();
        names.join(",")
    }
}
