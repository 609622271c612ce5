//! Ports, ids and addresses that Istio's users, dashboards and firewalls know by heart.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Outbound capture: everything an application sends is redirected here (`virtualOutbound`).
pub const OUTBOUND: u16 = 15001;
/// Port that traffic validation dials through the rules; nothing listens on it.
pub const IPTABLES_PROBE: u16 = 15002;
/// The proxy's debug view of its xDS stream.
pub const XDS_DEBUG: u16 = 15004;
/// Inbound capture: everything that reaches the pod is redirected here (`virtualInbound`).
pub const INBOUND: u16 = 15006;
/// HBONE tunnels. Reserved, never captured.
pub const HBONE: u16 = 15008;
/// Control plane: xDS in plaintext, loopback unless told otherwise.
pub const DISCOVERY_PLAINTEXT: u16 = 15010;
/// Control plane: xDS and certificates over TLS.
pub const DISCOVERY_TLS: u16 = 15012;
/// Control plane: metrics.
pub const DISCOVERY_MONITORING: u16 = 15014;
/// Control plane: webhooks.
pub const WEBHOOK: u16 = 15017;
/// Control plane: debug endpoints and readiness.
pub const DISCOVERY_HTTP: u16 = 8080;
/// Proxy: Envoy's admin interface, loopback only.
pub const ADMIN: u16 = 15000;
/// Proxy: agent endpoints (merged metrics, application probes, drain).
pub const STATUS: u16 = 15020;
/// Proxy: readiness.
pub const HEALTH: u16 = 15021;
/// Proxy: DNS capture.
pub const DNS: u16 = 15053;
/// Proxy: Prometheus scrape.
pub const PROMETHEUS: u16 = 15090;

/// Ports of a pod that belong to the proxy: never an application's.
pub const RESERVED: [u16; 9] = [
    ADMIN, OUTBOUND, XDS_DEBUG, INBOUND, HBONE, STATUS, HEALTH, DNS, PROMETHEUS,
];

/// User and group that the proxy runs as; the capture rules let its packets pass.
pub const PROXY_UID: u32 = 1337;
/// See [`PROXY_UID`].
pub const PROXY_GID: u32 = 1337;

/// Source address of inbound connections to the application, so that the rules tell them from captured ones.
pub const INBOUND_SOURCE_V4: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
/// As [`INBOUND_SOURCE_V4`], IPv6.
pub const INBOUND_SOURCE_V6: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6);
