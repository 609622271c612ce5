//! Permissions and principals, compiled into one kind of rule.
//!
//! Names of headers are made ready, sets of one member are that member, and each header knows which of its readings count.

use super::Facts;
use crate::http::matching::{HeaderMatcher, Readings};
use ipnet::IpNet;
use mesh_model::{
    matcher::{HeaderMatch, PathTemplate, StringMatcher},
    policy::{
        MetadataMatch,
        rbac::{Permission, Principal},
    },
};
use std::ops::Range;

#[derive(Debug)]
pub(super) enum Rule {
    Any,
    All(Box<[Rule]>),
    One(Box<[Rule]>),
    Not(Box<Rule>),
    Header(Box<HeaderMatcher>, Readings),
    Path(Box<StringMatcher>),
    Template(PathTemplate),
    DestinationIp(IpNet),
    DestinationPort(Range<u32>),
    PeerIp(IpNet),
    RemoteIp(IpNet),
    ServerName(Box<StringMatcher>),
    // Some TLS of the client's, whatever it says.
    Tls,
    Principal(Box<StringMatcher>),
    Metadata(Box<MetadataMatch>),
}

impl Rule {
    /// One of these.
    pub(super) fn one(all: Vec<Self>) -> Self {
        single(all).unwrap_or_else(|all| Self::One(all.into()))
    }

    fn all(all: Vec<Self>) -> Self {
        single(all).unwrap_or_else(|all| Self::All(all.into()))
    }

    fn header(header: &HeaderMatch, eager: bool) -> Self {
        let readings = match eager {
            true => Readings::Any,
            false => Readings::All,
        };
        Self::Header(Box::new(HeaderMatcher::new(header)), readings)
    }

    /// Compiles `model`; `eager`: a match must not be missed.
    pub(super) fn permission(model: &Permission, eager: bool) -> Self {
        let each = |all: &[Permission]| all.iter().map(|p| Self::permission(p, eager)).collect();
        match model {
            Permission::Any => Self::Any,
            Permission::And(all) => Self::all(each(all)),
            Permission::Or(all) => Self::one(each(all)),
            Permission::Not(inner) => Self::Not(Box::new(Self::permission(inner, !eager))),
            Permission::Header(header) => Self::header(header, eager),
            Permission::Path(path) => Self::Path(Box::new(path.clone())),
            Permission::Template(template) => Self::Template(template.clone()),
            Permission::DestinationIp(net) => Self::DestinationIp(*net),
            Permission::DestinationPort(range) => Self::DestinationPort(range.clone()),
            Permission::Metadata(matcher) => Self::Metadata(Box::new(matcher.clone())),
            Permission::ServerName(name) => Self::ServerName(Box::new(name.clone())),
        }
    }

    /// As [`permission`](Self::permission).
    pub(super) fn principal(model: &Principal, eager: bool) -> Self {
        let each = |all: &[Principal]| all.iter().map(|p| Self::principal(p, eager)).collect();
        match model {
            Principal::Any => Self::Any,
            Principal::And(all) => Self::all(each(all)),
            Principal::Or(all) => Self::one(each(all)),
            Principal::Not(inner) => Self::Not(Box::new(Self::principal(inner, !eager))),
            Principal::Authenticated(None) => Self::Tls,
            Principal::Authenticated(Some(name)) | Principal::PeerPrincipal(name) => {
                Self::Principal(Box::new(name.clone()))
            }
            Principal::PeerIp(net) => Self::PeerIp(*net),
            Principal::RemoteIp(net) => Self::RemoteIp(*net),
            Principal::Header(header) => Self::header(header, eager),
            Principal::Path(path) => Self::Path(Box::new(path.clone())),
            Principal::Metadata(matcher) => Self::Metadata(Box::new(matcher.clone())),
        }
    }

    pub(super) fn matches(&self, facts: &Facts<'_>) -> bool {
        let connection = facts.connection;
        match self {
            Self::Any => true,
            Self::All(all) => all.iter().all(|rule| rule.matches(facts)),
            Self::One(all) => all.iter().any(|rule| rule.matches(facts)),
            Self::Not(inner) => !inner.matches(facts),
            Self::Header(header, readings) => match &facts.head {
                Some(head) => header.matches_each(head, *readings),
                None => header.matches_nothing(),
            },
            Self::Path(path) => facts.head.is_some_and(|h| path.matches(h.path.path())),
            Self::Template(form) => facts.head.is_some_and(|h| form.matches(h.path.path())),
            Self::DestinationIp(net) => net.contains(&connection.destination.ip()),
            Self::DestinationPort(range) => {
                range.contains(&u32::from(connection.destination.port()))
            }
            Self::PeerIp(net) => net.contains(&connection.peer.ip()),
            Self::RemoteIp(net) => net.contains(&facts.remote),
            Self::ServerName(name) => {
                name.matches(connection.server_name.as_deref().unwrap_or_default())
            }
            Self::Tls => connection.tls.is_some(),
            Self::Principal(name) => {
                let tls = connection.tls.as_ref();
                let identity = tls.and_then(|tls| tls.uri_san.as_deref());
                identity.is_some_and(|identity| name.matches(identity))
            }
            Self::Metadata(matcher) => facts.metadata.matches(matcher),
        }
    }
}

/// The one member of a set that has no other.
fn single(mut all: Vec<Rule>) -> Result<Rule, Vec<Rule>> {
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(only),
        (last, _) => {
            all.extend(last);
            Err(all)
        }
    }
}
