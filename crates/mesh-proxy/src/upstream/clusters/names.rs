//! Names that endpoints of clusters have, and what is known of each.
//!
//! A name is looked up once for all clusters that use it, and never more than once a second. Its last addresses stay in
//! force when it can't be looked up, however long that takes.

use crate::dns::lookup::{Addresses, Failure};
use mesh_model::{
    cluster::{DnsDiscovery, DnsKind, LookupFamily, NamedAddress},
    endpoint::{ClusterLoadAssignment, Endpoint, LocalityEndpoints},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::time::Instant;

/// A name is not asked for again sooner.
const SHORTEST: Duration = Duration::from_secs(1);
/// After failures nothing else is said of, the time until the next query grows to this.
const LONGEST_FAILURE: Duration = Duration::from_secs(5);
/// Names that are looked up at once; others wait for their turn.
const MOST_UNDER_WAY: usize = 64;

/// A name, and which addresses of it are wanted.
pub(super) type Key = (String, LookupFamily);

/// All names that clusters use.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: BTreeMap<Key, Known>,
}

/// What is known of a name.
#[derive(Debug)]
struct Known {
    // In order, so that an answer that was only turned around changes nothing.
    addresses: Vec<IpAddr>,
    // The one that a single endpoint has.
    first: Option<IpAddr>,
    // It was answered, or failed, before.
    is_settled: bool,
    failures: u32,
    asked_at: Option<Instant>,
    // `None`: it is being looked up.
    due: Option<Instant>,
    pace: Pace,
}

/// How often a name is looked up: as often as the most impatient of its clusters wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    refresh: Duration,
    failure: Option<(Duration, Duration)>,
    respect_ttl: bool,
    jitter: Duration,
}

impl Pace {
    fn of(dns: &DnsDiscovery) -> Self {
        Self {
            refresh: dns.refresh,
            failure: dns.failure_refresh,
            respect_ttl: dns.respect_ttl,
            jitter: dns.jitter,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            refresh: self.refresh.min(other.refresh),
            failure: self.failure.into_iter().chain(other.failure).min(),
            respect_ttl: self.respect_ttl || other.respect_ttl,
            jitter: self.jitter.min(other.jitter),
        }
    }

    fn after_success(self, ttl: Option<Duration>) -> Duration {
        let ttl = ttl.filter(|ttl| self.respect_ttl && !ttl.is_zero());
        let millis = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        let jitter = Duration::from_millis(fastrand::u64(..=millis));
        ttl.unwrap_or(self.refresh).saturating_add(jitter)
    }

    fn after_failure(self, failures: u32) -> Duration {
        let (base, longest) = self
            .failure
            .unwrap_or((SHORTEST, self.refresh.min(LONGEST_FAILURE)));
        let doubled = 1u32 << failures.saturating_sub(1).min(16);
        let longest = base.saturating_mul(doubled).min(longest.max(base));
        // Half of it is left to chance, so that proxies do not all ask at once.
        let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(millis / 2 + fastrand::u64(..=millis / 2))
    }
}

impl Names {
    /// From now on these are all that use names.
    pub(super) fn are_used_by<'a>(&mut self, all: impl Iterator<Item = &'a DnsDiscovery>) {
        let mut paces = BTreeMap::<Key, Pace>::new();
        for dns in all {
            let pace = Pace::of(dns);
            for key in names(dns) {
                let known = paces.entry(key).or_insert(pace);
                *known = known.and(pace);
            }
        }
        self.known.retain(|key, _| paces.contains_key(key));
        for (key, pace) in paces {
            self.known
                .entry(key)
                .and_modify(|known| known.pace = pace)
                .or_insert_with(|| Known::new(pace));
        }
    }

    /// Whether each name was looked up.
    pub(super) fn are_settled(&self, dns: &DnsDiscovery) -> bool {
        names(dns).all(|key| self.known.get(&key).is_some_and(|known| known.is_settled))
    }

    /// When the next name has to be looked up.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.under_way() < MOST_UNDER_WAY {
            true => self.known.values().filter_map(|known| known.due).min(),
            false => None,
        }
    }

    /// The names that have to be looked up now; each is to be told of with [`Self::answered`].
    pub(super) fn begin(&mut self) -> Vec<Key> {
        let now = Instant::now();
        let room = MOST_UNDER_WAY.saturating_sub(self.under_way());
        let due = self.known.iter_mut();
        due.filter(|(_, known)| known.due.is_some_and(|due| due <= now))
            .take(room)
            .map(|(key, known)| {
                known.due = None;
                known.asked_at = Some(now);
                key.clone()
            })
            .collect()
    }

    fn under_way(&self) -> usize {
        self.known.values().filter(|k| k.due.is_none()).count()
    }

    /// A name was looked up. Whether clusters that use it have to be told.
    pub(super) fn answered(&mut self, key: &Key, found: Result<Addresses, Failure>) -> bool {
        let Some(known) = self.known.get_mut(key) else {
            return false;
        };
        let is_first = !std::mem::replace(&mut known.is_settled, true);
        let (changed, pause) = match found {
            Ok(found) => {
                known.failures = 0;
                let pause = known.pace.after_success(found.ttl);
                (known.learn(found.all), pause)
            }
            Err(failure) => {
                if known.failures == 0 {
                    let error = crate::reason::one_line(&failure);
                    tracing::warn!(name = key.0, error, "a name can't be looked up");
                }
                known.failures = known.failures.saturating_add(1);
                (false, known.pace.after_failure(known.failures))
            }
        };
        let soonest = known.asked_at.map_or_else(Instant::now, |at| at + SHORTEST);
        // Too far to be said: never.
        let due = Instant::now().checked_add(pause);
        known.due = Some(
            due.unwrap_or(soonest + Duration::from_secs(86_400))
                .max(soonest),
        );
        changed || is_first
    }

    /// The endpoints, by what is known of their names.
    pub(super) fn resolve(&self, dns: &DnsDiscovery) -> ClusterLoadAssignment {
        let localities = dns.endpoints.localities.iter();
        let localities = localities.map(|locality| LocalityEndpoints {
            locality: locality.locality.clone(),
            weight: locality.weight,
            priority: locality.priority,
            endpoints: locality
                .endpoints
                .iter()
                .flat_map(|endpoint| self.endpoints(dns, endpoint))
                .collect(),
        });
        ClusterLoadAssignment {
            cluster: dns.endpoints.cluster.clone(),
            localities: localities.collect(),
        }
    }

    fn endpoints(&self, dns: &DnsDiscovery, endpoint: &Endpoint<NamedAddress>) -> Vec<Endpoint> {
        let NamedAddress { host, port } = &endpoint.address;
        let known = || self.known.get(&key(host, dns.family));
        let addresses: Vec<IpAddr> = match (host.parse(), dns.kind) {
            (Ok(address), _) => vec![address],
            (Err(_), DnsKind::Logical) => known().and_then(|k| k.first).into_iter().collect(),
            (Err(_), DnsKind::Strict) => known().map(|k| k.addresses.clone()).unwrap_or_default(),
        };
        let addresses = addresses.into_iter();
        addresses
            .map(|address| Endpoint {
                address: SocketAddr::new(address, *port),
                health: endpoint.health,
                weight: endpoint.weight,
                transport_match: endpoint.transport_match.clone(),
                workload: endpoint.workload.clone(),
            })
            .collect()
    }
}

fn key(host: &str, family: LookupFamily) -> Key {
    (host.to_ascii_lowercase(), family)
}

/// The names that have to be looked up.
fn names(dns: &DnsDiscovery) -> impl Iterator<Item = Key> {
    let hosts = dns.endpoints.endpoints().map(|e| &e.address.host);
    let names = hosts.filter(|host| host.parse::<IpAddr>().is_err());
    names.map(|host| key(host, dns.family))
}

/// Whether `dns` has an endpoint of that name.
pub(super) fn uses(dns: &DnsDiscovery, key: &Key) -> bool {
    names(dns).any(|name| name == *key)
}

impl Known {
    fn new(pace: Pace) -> Self {
        Self {
            addresses: Vec::new(),
            first: None,
            is_settled: false,
            failures: 0,
            asked_at: None,
            due: Some(Instant::now()),
            pace,
        }
    }

    // Whether anything changed. A single endpoint stays where it is as long as that is one of the addresses: its
    // connections are good.
    fn learn(&mut self, found: Vec<IpAddr>) -> bool {
        let stays = self.first.filter(|first| found.contains(first));
        let first = stays.or(found.first().copied());
        let mut addresses = found;
        addresses.sort_unstable();
        addresses.dedup();
        let changed = self.first != first || self.addresses != addresses;
        (self.first, self.addresses) = (first, addresses);
        changed
    }
}

#[cfg(test)]
mod tests;
