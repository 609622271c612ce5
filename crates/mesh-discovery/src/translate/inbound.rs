//! The listener for what reaches the pod.
//!
//! Its chains accept mutual TLS, plaintext or both, as policies say (`STRICT`, `DISABLE`, `PERMISSIVE`): first those for
//! ports that no service declares, then those of each declared port, by what the port speaks.

use super::{
    access_log, cluster, filters,
    key::{Client, InboundPort, Server},
    listener::{empty, speaking},
    route, tls,
};
use crate::snapshot::{MtlsMode, Traffic, World};
use ipnet::IpNet;
use mesh_model::{
    ClusterName,
    filter::NetworkFilter,
    listener::{
        ConnectionMatch, FilterChain, FilterChainMatch, Listener, ListenerFilter,
        ListenerFilterKind,
        TransportProtocol::{self, RawBuffer, Tls},
    },
    name::{BLACK_HOLE_CLUSTER, Direction, VIRTUAL_INBOUND},
    port::INBOUND,
};
use std::net::IpAddr;

/// Takes everything that reaches the pod.
pub(super) fn listener(world: &World, server: &Server) -> Listener {
    let client = &server.client;
    let (first, other) = cluster::sources(client);
    let unknown = [first].into_iter().chain(other);
    let unknown = unknown.flat_map(|(name, source)| unknown_ports(world, server, name, source));
    let known = server
        .ports
        .iter()
        .filter(|p| p.target != INBOUND)
        .flat_map(|port| known_port(world, server, port));
    let (address, other) = client.families.any(INBOUND);
    Listener {
        name: VIRTUAL_INBOUND.into(),
        bind_to_port: true,
        filter_chains: [to_itself(client)]
            .into_iter()
            .chain(unknown)
            .chain(known)
            .collect(),
        listener_filters: listener_filters(server),
        ..empty(world, Direction::Inbound, address, other)
    }
}

/// A connection to the port itself came from nobody's rules.
fn to_itself(client: &Client) -> FilterChain {
    FilterChain {
        name: "virtualInbound-blackhole".into(),
        matches: FilterChainMatch {
            destination_port: Some(INBOUND),
            ..Default::default()
        },
        ..FilterChain::new(filters::inbound_tcp(
            client,
            BLACK_HOLE_CLUSTER.into(),
            Vec::new(),
        ))
    }
}

/// Chains for the ports of one IP version that no service declares: those that a policy names, and all others.
fn unknown_ports(
    world: &World,
    server: &Server,
    cluster: &'static str,
    source: IpAddr,
) -> Vec<FilterChain> {
    let any: IpNet = match source {
        IpAddr::V4(_) => ipnet::Ipv4Net::default().into(),
        IpAddr::V6(_) => ipnet::Ipv6Net::default().into(),
    };
    let declared = |port: u16| port == INBOUND || server.ports.iter().any(|p| p.target == port);
    let named = server.mutual_tls.ports.iter();
    let named = named
        .filter(|(port, _)| !declared(**port))
        .map(|(port, mode)| (Some(*port), *mode));
    let modes = named.chain([(None, server.mutual_tls.default)]);
    let chains = |(destination_port, mode)| {
        Port {
            world,
            client: &server.client,
            http_name: "virtualInbound-catchall-http".into(),
            name: "virtualInbound".into(),
            matches: FilterChainMatch {
                destination_port,
                prefix_ranges: vec![any],
                ..Default::default()
            },
            stat_prefix: format!("{cluster};"),
            route: cluster.into(),
            number: 0,
            operation: ":0/*".into(),
            cluster: cluster.into(),
        }
        .undeclared(mode)
    };
    modes.flat_map(chains).collect()
}

/// Chains for a port of the pod that a service declares.
fn known_port(world: &World, server: &Server, port: &InboundPort) -> Vec<FilterChain> {
    let client = &server.client;
    let (address, _) = client.families.wildcards();
    let name = format!("{address}_{}", port.target);
    let cluster = ClusterName::inbound(port.target);
    let chains = Port {
        world,
        client,
        http_name: name.clone(),
        matches: FilterChainMatch {
            destination_port: Some(port.target),
            ..Default::default()
        },
        stat_prefix: format!("inbound_{name};"),
        name,
        route: cluster.to_string(),
        number: port.number,
        operation: format!("{}:{}/*", port.service.host, port.number),
        cluster,
    };
    chains.declared(server.mutual_tls.on(port.target), port.protocol.traffic())
}

/// What the chains of a port have in common.
struct Port<'a> {
    world: &'a World,
    client: &'a Client,
    http_name: String,
    name: String,
    matches: FilterChainMatch,
    stat_prefix: String,
    route: String,
    /// The service's port.
    number: u16,
    operation: String,
    cluster: ClusterName,
}

impl Port<'_> {
    /// On a port of known mode and traffic.
    fn declared(&self, mode: MtlsMode, traffic: Traffic) -> Vec<FilterChain> {
        match mode {
            MtlsMode::Disable => self.plaintext(traffic),
            MtlsMode::Permissive => self.permissive(traffic),
            MtlsMode::Strict => self.strict(traffic),
        }
    }

    /// On a port that no service declares. TLS is looked for there, so what is not ours to open needs a chain as well.
    fn undeclared(&self, mode: MtlsMode) -> Vec<FilterChain> {
        let mut chains = self.declared(mode, Traffic::Auto);
        if mode == MtlsMode::Disable {
            chains.push(self.tcp(Tls));
        }
        chains
    }

    /// Mutual TLS only, whatever the client offers within.
    fn strict(&self, traffic: Traffic) -> Vec<FilterChain> {
        match traffic {
            Traffic::Auto => vec![self.http(Tls, &tls::MESH_HTTP), self.mesh_tcp(&[])],
            Traffic::Http => vec![self.http(Tls, &[])],
            Traffic::Tcp => vec![self.mesh_tcp(&[])],
        }
    }

    /// Plaintext only. TLS is not looked for on such a port, so that of the application passes as bytes.
    fn plaintext(&self, traffic: Traffic) -> Vec<FilterChain> {
        match traffic {
            Traffic::Auto => vec![self.http(RawBuffer, &tls::PLAIN_HTTP), self.tcp(RawBuffer)],
            Traffic::Http => vec![self.http(RawBuffer, &[])],
            Traffic::Tcp => vec![self.tcp(RawBuffer)],
        }
    }

    /// Mutual TLS and plaintext side by side. What comes with TLS of somebody else's is not ours to open.
    fn permissive(&self, traffic: Traffic) -> Vec<FilterChain> {
        match traffic {
            Traffic::Auto => vec![
                self.http(Tls, &tls::MESH_HTTP),
                self.http(RawBuffer, &tls::PLAIN_HTTP),
                self.mesh_tcp(&tls::MESH_TCP),
                self.tcp(RawBuffer),
                self.tcp(Tls),
            ],
            Traffic::Http => vec![self.http(Tls, &tls::MESH_ALL), self.http(RawBuffer, &[])],
            Traffic::Tcp => vec![
                self.mesh_tcp(&tls::MESH_ALL),
                self.tcp(Tls),
                self.tcp(RawBuffer),
            ],
        }
    }

    /// Requests; over TLS if they come so.
    fn http(&self, transport: TransportProtocol, protocols: &[&str]) -> FilterChain {
        let routes = route::inbound(
            &self.route,
            self.number,
            self.cluster.clone(),
            self.operation.clone(),
        );
        let filters =
            filters::inbound_http(self.world, self.client, self.stat_prefix.clone(), routes);
        FilterChain {
            name: self.http_name.clone(),
            tls: (transport == Tls).then(|| tls::downstream(self.world, self.client, true)),
            ..self.chain(transport, protocols, filters)
        }
    }

    /// Bytes over mutual TLS.
    fn mesh_tcp(&self, protocols: &[&str]) -> FilterChain {
        FilterChain {
            tls: Some(tls::downstream(self.world, self.client, false)),
            ..self.chain(Tls, protocols, self.bytes())
        }
    }

    /// Bytes as they come.
    fn tcp(&self, transport: TransportProtocol) -> FilterChain {
        self.chain(transport, &[], self.bytes())
    }

    fn bytes(&self) -> Vec<NetworkFilter> {
        filters::inbound_tcp(
            self.client,
            self.cluster.clone(),
            access_log::all(self.world),
        )
    }

    fn chain(
        &self,
        transport: TransportProtocol,
        protocols: &[&str],
        filters: Vec<NetworkFilter>,
    ) -> FilterChain {
        let FilterChainMatch {
            transport_protocol,
            application_protocols,
            ..
        } = speaking(transport, protocols);
        FilterChain {
            name: self.name.clone(),
            matches: FilterChainMatch {
                transport_protocol,
                application_protocols,
                ..self.matches.clone()
            },
            ..FilterChain::new(filters)
        }
    }
}

/// Where the client was going; whether it speaks TLS; and on ports of unknown protocol, whether it speaks HTTP.
fn listener_filters(server: &Server) -> Vec<ListenerFilter> {
    let declared = server
        .ports
        .iter()
        .filter(|p| p.protocol.traffic() != Traffic::Auto)
        .map(|p| p.target);
    let plaintext = server
        .ports
        .iter()
        .filter(|p| server.mutual_tls.on(p.target) == MtlsMode::Disable)
        .map(|p| p.target);
    vec![
        ListenerFilter {
            kind: ListenerFilterKind::OriginalDst,
            disabled: None,
        },
        ListenerFilter {
            kind: ListenerFilterKind::TlsInspector,
            disabled: Some(ports(plaintext.chain([INBOUND]).collect())),
        },
        ListenerFilter {
            kind: ListenerFilterKind::HttpInspector,
            disabled: Some(ports(declared.chain([INBOUND]).collect())),
        },
    ]
}

/// Connections to these ports.
fn ports(mut ports: Vec<u16>) -> ConnectionMatch {
    ports.sort_unstable();
    ports.dedup();
    let mut each: Vec<_> = ports
        .into_iter()
        .map(|port| ConnectionMatch::DestinationPort(u32::from(port)..u32::from(port) + 1))
        .collect();
    if each.len() == 1 {
        each.remove(0)
    } else {
        ConnectionMatch::Or(each)
    }
}
