//! Socket addresses, of IP and TCP port and nothing else, and ranges of IP addresses.

use crate::{
    decode::{At, Wrapped},
    pb::{
        envoy::config::core::v3::{
            Address, CidrRange, SocketAddress, address::Address as Kind,
            socket_address::PortSpecifier,
        },
        google::protobuf::UInt32Value,
    },
};
use ipnet::IpNet;
use mesh_model::cluster::NamedAddress;
use std::{
    mem::take,
    net::{IpAddr, SocketAddr},
};

/// An IP address with its port.
pub(crate) fn encode(address: SocketAddr) -> Address {
    Address {
        address: Some(Kind::SocketAddress(socket(address.ip(), address.port()))),
    }
}

/// As [`encode`], in the message that sources of connections use.
pub(crate) fn socket(ip: IpAddr, port: u16) -> SocketAddress {
    SocketAddress {
        address: ip.to_string(),
        port_specifier: Some(PortSpecifier::PortValue(port.into())),
        ..Default::default()
    }
}

/// The address of a listener.
pub(crate) fn listener(wire: Address, at: &At<'_>) -> Option<SocketAddr> {
    let address = in_socket(wire, at)?;
    match (address.ip().is_multicast(), address.port()) {
        (true, _) => at.refuse("TCP knows no multicast"),
        (_, 0) => at.refuse("0 is no port"),
        _ => Some(address),
    }
}

/// The address of an endpoint, which one can connect to.
pub(crate) fn endpoint(wire: Address, at: &At<'_>) -> Option<SocketAddr> {
    let address = listener(wire, at)?;
    let broadcast = matches!(address.ip(), IpAddr::V4(ip) if ip.is_broadcast());
    match address.ip().is_unspecified() || broadcast {
        true => at.refuse(format!("{} is the address of no host", address.ip())),
        false => Some(address),
    }
}

/// An address that may be a name.
pub(crate) fn encode_named(address: &NamedAddress) -> Address {
    Address {
        address: Some(Kind::SocketAddress(SocketAddress {
            address: address.host.clone(),
            port_specifier: Some(PortSpecifier::PortValue(address.port.into())),
            ..Default::default()
        })),
    }
}

/// The address of an endpoint, which may be a name.
pub(crate) fn named(wire: Address, at: &At<'_>) -> Option<NamedAddress> {
    let (mut socket, at) = match wire.address {
        Some(Kind::SocketAddress(socket)) => (socket, at.field("socket_address")),
        _ => return in_socket(wire, at).and(None),
    };
    let host = take(&mut socket.address);
    let host = host.strip_suffix('.').unwrap_or(&host).to_owned();
    let is_address = host.parse::<IpAddr>().is_ok();
    let host = match is_address || is_name(&host) {
        true => Some(host),
        false => at
            .field("address")
            .refuse(format!("{host:?} is neither an IP address nor a name")),
    };
    let port = port(&mut socket, &at);
    at.finish(socket);
    match (host?, port?) {
        (_, 0) => at.refuse("0 is no port"),
        (host, port) => Some(NamedAddress { host, port }),
    }
}

/// Whether a query can be made of it.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&label.len()) && label.chars().all(fits)
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// The source address of connections; the port is the kernel's choice.
pub(crate) fn source(wire: SocketAddress, at: &At<'_>) -> Option<IpAddr> {
    let address = decode_socket(wire, at)?;
    match (address.port(), address.ip().is_multicast()) {
        (0, false) => Some(address.ip()),
        _ => at.refuse("must be an address of a host, with port 0"),
    }
}

fn in_socket(wire: Address, at: &At<'_>) -> Option<SocketAddr> {
    match wire.address {
        Some(Kind::SocketAddress(socket)) => decode_socket(socket, &at.field("socket_address")),
        Some(Kind::Pipe(_)) => at.field("pipe").refuse("Unix sockets are not served"),
        Some(Kind::EnvoyInternalAddress(_)) => at
            .field("envoy_internal_address")
            .refuse("there are no internal listeners"),
        None => at.refuse("must be set"),
    }
}

fn decode_socket(mut wire: SocketAddress, at: &At<'_>) -> Option<SocketAddr> {
    let text = take(&mut wire.address);
    // No scope is taken: `fe80::1%eth0` means another host on each machine.
    let ip = match text.parse::<IpAddr>() {
        Ok(ip) => Some(ip),
        Err(_) => at
            .field("address")
            .refuse(format!("{text:?} is no IP address")),
    };
    let port = port(&mut wire, at);
    at.finish(wire);
    Some(SocketAddr::new(ip?, port?))
}

fn port(wire: &mut SocketAddress, at: &At<'_>) -> Option<u16> {
    match wire.port_specifier.take() {
        Some(PortSpecifier::PortValue(port)) => match u16::try_from(port) {
            Ok(port) => Some(port),
            Err(_) => at.field("port_value").refuse(format!("{port} is no port")),
        },
        Some(PortSpecifier::NamedPort(_)) => {
            at.field("named_port").refuse("ports have numbers here")
        }
        None => at.field("port_value").refuse("must be set"),
    }
}

/// A range of addresses.
pub(crate) fn encode_net(net: &IpNet) -> CidrRange {
    CidrRange {
        address_prefix: net.addr().to_string(),
        prefix_len: Some(UInt32Value::wrap(net.prefix_len().into())),
    }
}

/// A range of addresses; its address may have more bits than its length says.
pub(crate) fn decode_net(wire: CidrRange, at: &At<'_>) -> Option<IpNet> {
    let length = wire.prefix_len.map(Wrapped::inner).unwrap_or_default();
    let net = wire
        .address_prefix
        .parse::<IpAddr>()
        .ok()
        .zip(u8::try_from(length).ok());
    match net.and_then(|(ip, length)| IpNet::new(ip, length).ok()) {
        Some(net) => Some(net),
        None => at.refuse(format!(
            "{}/{length} is no range of addresses",
            wire.address_prefix
        )),
    }
}
