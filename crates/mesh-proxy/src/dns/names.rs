//! The names of the mesh, and how a query's name is found among them.

use hickory_proto::rr::Name;
use mesh_model::name_table::NameTable;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::watch;

/// The table in force; none until the control plane has sent one.
#[derive(Debug, Default)]
pub struct Names(watch::Sender<Option<Arc<Table>>>);

impl Names {
    /// Replaces the table.
    pub fn apply(&self, names: &NameTable) {
        self.0.send_replace(Some(Arc::new(Table::new(names))));
    }

    /// The table.
    pub fn current(&self) -> Option<Arc<Table>> {
        self.0.borrow().clone()
    }

    /// Waits for the first one.
    pub async fn come(&self) {
        // The sender lives as long as we are borrowed.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }
}

/// Where the pod stands, which decides how names may be shortened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains {
    /// What a Service's short name is completed with: the domain of the pod's namespace, and those above it.
    own: Vec<String>,
    /// What resolvers of the pod put behind a name that may be incomplete, in the order in which they try.
    search: Vec<String>,
}

impl Domains {
    /// Of a pod whose namespace has this `domain`, such as `test.svc.cluster.local`.
    pub fn new(domain: &str, search: Vec<String>) -> Self {
        let domain = domain.trim_matches('.').to_ascii_lowercase();
        let above = domain.match_indices('.').map(|(dot, _)| &domain[dot + 1..]);
        // `name`, `name.namespace`, and `name.namespace.svc`.
        let own = std::iter::once(&*domain).chain(above).take(3);
        Self {
            own: own.filter(|d| !d.is_empty()).map(str::to_owned).collect(),
            search,
        }
    }
}

/// A table, ready to be asked. Names are in lower case and without a final dot.
#[derive(Debug)]
pub struct Table {
    hosts: HashMap<Box<str>, Host>,
    has_wildcards: bool,
}

/// What is answered for one name.
#[derive(Debug)]
pub(super) struct Host {
    v4: Turns<Ipv4Addr>,
    v6: Turns<Ipv6Addr>,
    is_service: bool,
}

/// How a name was found.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// What is answered.
    pub(super) host: &'a Host,
    /// The name that the one asked for is an alias of: it had a search domain behind it.
    pub(super) alias_of: Option<Name>,
}

impl Table {
    pub(super) fn new(names: &NameTable) -> Self {
        let hosts = names.names.iter().map(|(name, info)| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let host = Host::new(&info.addresses, info.service.is_some());
            (name.into_boxed_str(), host)
        });
        let hosts: HashMap<_, _> = hosts.collect();
        Self {
            has_wildcards: hosts.keys().any(|name| name.starts_with("*.")),
            hosts,
        }
    }

    /// Finds a name: as it is, as a short form, with a search domain behind it, and as one of those that a `*.` stands
    /// for, the longest first.
    pub(super) fn find(&self, name: &Name, domains: &Domains) -> Option<Found<'_>> {
        let text = text(name);
        self.exact(&text, domains)
            .map(|(_, host)| Found::directly(host))
            .or_else(|| self.expanded(&text, domains))
            .or_else(|| self.wildcard(&text).map(Found::directly))
            .or_else(|| self.expanded_wildcard(&text, domains))
    }

    fn exact(&self, text: &str, domains: &Domains) -> Option<(&str, &Host)> {
        let known = self.hosts.get_key_value(text);
        let known = known.map(|(name, host)| (&**name, host));
        known.or_else(|| {
            let full = domains.own.iter().map(|domain| format!("{text}.{domain}"));
            let mut found = full.filter_map(|full| self.hosts.get_key_value(&*full));
            let (name, host) = found.find(|(_, host)| host.is_service)?;
            Some((name, host))
        })
    }

    /// A name behind which a resolver has put a search domain. Short forms are completed by the first of them alone, as
    /// in the cluster: behind the others they would make names that do not exist.
    fn expanded(&self, text: &str, domains: &Domains) -> Option<Found<'_>> {
        let mut bases = domains.search.iter().enumerate();
        bases.find_map(|(index, domain)| {
            let base = without(text, domain)?;
            let (name, host) = match index {
                0 => self.exact(base, domains)?,
                _ => self.hosts.get_key_value(base).map(|(n, h)| (&**n, h))?,
            };
            Found::alias(name, host)
        })
    }

    fn expanded_wildcard(&self, text: &str, domains: &Domains) -> Option<Found<'_>> {
        let mut bases = domains.search.iter().filter_map(|d| without(text, d));
        bases.find_map(|base| Found::alias(base, self.wildcard(base)?))
    }

    fn wildcard(&self, text: &str) -> Option<&Host> {
        if !self.has_wildcards {
            return None;
        }
        let mut above = text.match_indices('.').map(|(dot, _)| &text[dot..]);
        above.find_map(|suffix| self.hosts.get(&*format!("*{suffix}")))
    }
}

impl<'a> Found<'a> {
    fn directly(host: &'a Host) -> Self {
        Self {
            host,
            alias_of: None,
        }
    }

    /// `None` if the name can't be written on the wire: then it can't be what was asked for either.
    fn alias(name: &str, host: &'a Host) -> Option<Self> {
        let mut name = Name::from_ascii(name).ok()?;
        name.set_fqdn(true);
        Some(Self {
            host,
            alias_of: Some(name),
        })
    }
}

impl Host {
    fn new(addresses: &[IpAddr], is_service: bool) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for address in addresses {
            match address {
                IpAddr::V4(address) => v4.push(*address),
                IpAddr::V6(address) => v6.push(*address),
            }
        }
        Self {
            v4: Turns::new(v4),
            v6: Turns::new(v6),
            is_service,
        }
    }

    /// Its IPv4 addresses; each has its turn to be first.
    pub(super) fn v4(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.v4.take()
    }

    /// Its IPv6 addresses; each has its turn to be first.
    pub(super) fn v6(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.v6.take()
    }
}

/// Addresses of which another comes first each time. Each IP version counts for itself: resolvers ask for both at once.
#[derive(Debug)]
struct Turns<A> {
    addresses: Box<[A]>,
    next: AtomicUsize,
}

impl<A: Copy> Turns<A> {
    fn new(addresses: Vec<A>) -> Self {
        // Not the first one in every proxy, nor after every push.
        let next = AtomicUsize::new(fastrand::usize(..=addresses.len()));
        Self {
            addresses: addresses.into(),
            next,
        }
    }

    fn take(&self) -> impl Iterator<Item = A> {
        let first = self.next.fetch_add(1, Relaxed) % self.addresses.len().max(1);
        let (end, start) = self.addresses.split_at(first);
        start.iter().chain(end).copied()
    }
}

/// As the table has it. What no name of the mesh has in it is escaped, so that nothing else looks like one.
fn text(name: &Name) -> String {
    let mut text = name.to_ascii().to_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

/// `text` without `domain` at its end, if something is left then.
fn without<'a>(text: &'a str, domain: &str) -> Option<&'a str> {
    let rest = text.strip_suffix(domain)?.strip_suffix('.')?;
    (!rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests;
