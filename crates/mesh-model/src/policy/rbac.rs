//! Role based access control (Envoy `RBAC`, of HTTP and of connections).

use super::MetadataMatch;
use crate::matcher::{HeaderMatch, PathTemplate, StringMatcher};
use ipnet::IpNet;
use std::ops::Range;

/// Name of the filter state that holds the peer's identity, as Istio names it.
pub const PEER_PRINCIPAL: &str = "io.istio.peer_principal";

/// Access control of requests (Envoy `envoy.filters.http.rbac`): what is enforced, and what is only tried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rbac {
    /// What is enforced; `None`: all may pass, and nothing is counted.
    pub rules: Option<Rules>,
    /// What is counted as if it were enforced.
    pub shadow_rules: Option<Rules>,
    /// Stands before the names of the counters of `rules`.
    pub stat_prefix: String,
    /// Stands before the names of the counters of `shadow_rules`.
    pub shadow_stat_prefix: String,
}

/// Access control of connections (Envoy `envoy.filters.network.rbac`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRbac {
    /// What is enforced; `None`: all may connect, and nothing is counted.
    pub rules: Option<Rules>,
    /// What is counted as if it were enforced.
    pub shadow_rules: Option<Rules>,
    /// Stands before the names of all counters, such as `tcp.`; not empty.
    pub stat_prefix: String,
    /// Stands before the names of the counters of `shadow_rules`.
    pub shadow_stat_prefix: String,
}

/// Policies and what follows from one that matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What follows.
    pub action: Action,
    /// In the order of their names, which are distinct. The first that matches counts.
    pub policies: Vec<Policy>,
}

/// What follows from a policy that matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Action {
    /// It may pass; what no policy matches may not.
    #[default]
    Allow,
    /// It may not pass; what no policy matches may.
    Deny,
    /// It may pass, and it is written down that the policy matched.
    Log,
}

/// Matches what one of its principals does that one of its permissions describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name, as details and logs print it.
    pub name: String,
    /// What is done: one of these, at least one.
    pub permissions: Vec<Permission>,
    /// Who does it: one of these, at least one.
    pub principals: Vec<Principal>,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Anything.
    Any,
    /// All of these, at least one.
    And(Vec<Permission>),
    /// One of these, at least one.
    Or(Vec<Permission>),
    /// All but this.
    Not(Box<Permission>),
    /// A request with such a header.
    Header(HeaderMatch),
    /// A request of such a path, without its query.
    Path(StringMatcher),
    /// A request of a path of that form, without its query.
    Template(PathTemplate),
    /// To such an address.
    DestinationIp(IpNet),
    /// To a port in this range; never empty.
    DestinationPort(Range<u32>),
    /// About which a filter wrote this.
    Metadata(MetadataMatch),
    /// With such a server name in the client's TLS hello.
    ServerName(StringMatcher),
}

/// Who does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Anybody.
    Any,
    /// All of these, at least one.
    And(Vec<Principal>),
    /// One of these, at least one.
    Or(Vec<Principal>),
    /// All but this.
    Not(Box<Principal>),
    /// Whose certificate names him so; `None`: any certificate.
    Authenticated(Option<StringMatcher>),
    /// Whose identity in the mesh is such (Envoy filter state [`PEER_PRINCIPAL`]).
    PeerPrincipal(StringMatcher),
    /// Whose connection comes from such an address (Envoy `direct_remote_ip`, `source_ip`).
    PeerIp(IpNet),
    /// Whose address, as far as proxies on the way told it, is such (Envoy `remote_ip`).
    RemoteIp(IpNet),
    /// Who sends such a header.
    Header(HeaderMatch),
    /// Who asks for such a path, without its query.
    Path(StringMatcher),
    /// About whose request a filter wrote this.
    Metadata(MetadataMatch),
}
