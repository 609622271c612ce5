//! Endpoints that stand behind names (Envoy's `STRICT_DNS` and `LOGICAL_DNS`).

use crate::endpoint::ClusterLoadAssignment;
use std::time::Duration;

/// Envoy's time between queries where nothing else is set.
pub const DEFAULT_DNS_REFRESH: Duration = Duration::from_secs(5);

/// Endpoints that the proxy looks up by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsDiscovery {
    /// The names, with all that is said of the endpoints behind each.
    pub endpoints: ClusterLoadAssignment<NamedAddress>,
    /// What an answer is taken for.
    pub kind: DnsKind,
    /// Which addresses are asked for.
    pub family: LookupFamily,
    /// Time until a name is looked up again; at least a millisecond.
    pub refresh: Duration,
    /// The same after a failure: the first time, and the longest; both over zero. `None`: as after a success.
    pub failure_refresh: Option<(Duration, Duration)>,
    /// An answer is kept for as long as it says, if it says it.
    pub respect_ttl: bool,
    /// At most so much longer, at random.
    pub jitter: Duration,
}

/// What an answer is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsKind {
    /// All endpoints that there are.
    Strict,
    /// Addresses of one endpoint, of which the first is used; there is exactly one name.
    Logical,
}

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LookupFamily {
    /// IPv6, and IPv4 if there is none.
    #[default]
    Auto,
    /// IPv4.
    V4Only,
    /// IPv6.
    V6Only,
    /// IPv4, and IPv6 if there is none.
    V4Preferred,
    /// Both.
    All,
}

/// A name, or an IP address as text, with a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamedAddress {
    /// The name, without a final dot; or the address.
    pub host: String,
    /// The port.
    pub port: u16,
}
