//! Picks an endpoint: a share (priority and health), a locality, then one of its endpoints by the cluster's policy.

pub(super) mod consistent; // by hashes

use super::endpoint::{Endpoint, Endpoints, Members};
use consistent::Table;
use mesh_model::cluster::LbPolicy;
use std::{net::SocketAddr, sync::atomic::Ordering::Relaxed};

/// How often a host that refused a connection a moment ago is passed over for another pick.
const REPICKS: u32 = 3;

/// What a request or a connection brings to the choice of its endpoint. The default: nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pick<'a> {
    /// Where it was meant for.
    pub original_dst: Option<SocketAddr>,
    /// What keeps it together with others, where the cluster hashes; `None`: nothing does.
    pub hash: Option<u64>,
    /// Numbers of the hosts that it has tried: they are avoided.
    pub tried: &'a [u64],
    /// How many further picks are made to find another host; then the last is taken all the same.
    pub attempts: u32,
}

impl Endpoints {
    /// An endpoint; `None`: there is none that may be used.
    pub fn pick(&self, pick: &Pick<'_>) -> Option<&Endpoint> {
        if let Some(tables) = &self.tables {
            return self.pick_by_hash(tables, pick);
        }
        let tried = pick.tried;
        let mut picked = self.pick_once()?;
        let mut again = pick.attempts.max(1);
        while tried.contains(&picked.host.id) && again > 0 {
            picked = self.pick_once()?;
            again -= 1;
        }
        let mut again = REPICKS;
        while picked.host.is_refusing() && again > 0 {
            let other = self.pick_once()?;
            if !tried.contains(&other.host.id) {
                picked = other;
            }
            again -= 1;
        }
        Some(picked)
    }

    // The last is taken if all were tried.
    fn pick_by_hash(&self, tables: &[(u32, Table)], pick: &Pick<'_>) -> Option<&Endpoint> {
        let hash = pick.hash.unwrap_or_else(|| fastrand::u64(..));
        let place = (hash % 100) as u32;
        let (_, table) = tables.iter().find(|(end, _)| place < *end)?;
        let mut picked = None;
        for attempt in 0..=pick.attempts {
            let endpoint = &self.all()[table.get(hash, attempt)? as usize];
            picked = Some(endpoint);
            if !pick.tried.contains(&endpoint.host.id) {
                break;
            }
        }
        picked
    }

    fn pick_once(&self) -> Option<&Endpoint> {
        let group = &self.shares[cumulative(&self.shares, |share| share.0)?].1;
        let members = &group.localities[cumulative(&group.localities, |l| l.0)?].1;
        let index = match self.layout().policy {
            LbPolicy::RoundRobin => members.in_turn(),
            LbPolicy::LeastRequest => members.least_request(self.all()),
            // Of the last three nothing is laid out in groups.
            LbPolicy::Random
            | LbPolicy::ClusterProvided
            | LbPolicy::RingHash(_)
            | LbPolicy::Maglev { .. } => members.at_random(),
        };
        Some(&self.all()[members.indices[index] as usize])
    }
}

// Index of one of `list` at random, by the cumulative shares in it.
fn cumulative<T>(list: &[T], end: impl Fn(&T) -> u32) -> Option<usize> {
    match list {
        [] => None,
        [_] => Some(0),
        [.., last] => {
            let at = fastrand::u32(..end(last).max(1));
            Some(list.partition_point(|item| end(item) <= at))
        }
    }
}

impl Members {
    fn at_random(&self) -> usize {
        if self.weights.is_empty() {
            return fastrand::usize(..self.indices.len());
        }
        cumulative(&self.weights, |end| *end).unwrap_or(0)
    }

    fn in_turn(&self) -> usize {
        let turn = self.turn.fetch_add(1, Relaxed) as usize;
        if self.order.is_empty() {
            return turn % self.indices.len();
        }
        self.order[turn % self.order.len()] as usize
    }

    // Two at random, by weight; the one with fewer requests for its weight. Two different ones: of two endpoints the
    // idle one is found always, not half the time.
    fn least_request(&self, all: &[Endpoint]) -> usize {
        if self.indices.len() == 1 {
            return 0;
        }
        let first = self.at_random();
        let mut second = self.at_random();
        if second == first {
            second = (first + 1 + fastrand::usize(..self.indices.len() - 1)) % self.indices.len();
        }
        let load = |i: usize, j: usize| {
            let (this, other) = (
                &all[self.indices[i] as usize],
                &all[self.indices[j] as usize],
            );
            u64::from(this.host.active()) * u64::from(other.weight)
        };
        if load(first, second) <= load(second, first) {
            first
        } else {
            second
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Host, cluster::tests::transport, endpoint::Layout, host::ActiveRequest};
    use mesh_model::endpoint::{HealthStatus, Locality};
    use std::{collections::HashMap, sync::Arc};

    fn layout(policy: LbPolicy) -> Layout {
        Layout {
            policy,
            panic_threshold: 50,
            ..Layout::default()
        }
    }

    fn endpoint(port: u16) -> Endpoint {
        Endpoint::unknown(Host::new(([127, 0, 0, 1], port).into()), transport())
    }

    fn counts(endpoints: &Endpoints, picks: u32) -> HashMap<u16, u32> {
        let mut counts = HashMap::new();
        for _ in 0..picks {
            let picked = endpoints.pick(&Pick::default()).expect("an endpoint");
            *counts.entry(picked.host.address.port()).or_default() += 1;
        }
        counts
    }

    fn avoiding(tried: &[u64]) -> Pick<'_> {
        Pick {
            tried,
            attempts: 5,
            ..Pick::default()
        }
    }

    fn plain(policy: LbPolicy, all: Vec<Endpoint>) -> Endpoints {
        Endpoints::new(all, HashMap::new(), layout(policy))
    }

    #[test]
    fn none_of_none() {
        assert!(
            plain(LbPolicy::Random, vec![])
                .pick(&Pick::default())
                .is_none()
        );
    }

    #[test]
    fn least_request_finds_the_idle_one_of_two() {
        let endpoints = plain(LbPolicy::LeastRequest, vec![endpoint(1), endpoint(2)]);
        let busy = ActiveRequest::new(&endpoints.all()[0].host);
        assert_eq!(counts(&endpoints, 50), [(2, 50)].into());
        drop(busy);
        assert_eq!(counts(&endpoints, 200).len(), 2);
    }

    #[test]
    fn least_request_follows_weights_when_idle() {
        let heavy = Endpoint {
            weight: 9,
            ..endpoint(1)
        };
        let counts = counts(
            &plain(LbPolicy::LeastRequest, vec![heavy, endpoint(2)]),
            2000,
        );
        assert!((1650..1950).contains(&counts[&1]), "{counts:?}");
    }

    #[test]
    fn round_robin_takes_each_as_often_as_it_weighs() {
        let heavy = Endpoint {
            weight: 3,
            ..endpoint(1)
        };
        let weighted = plain(LbPolicy::RoundRobin, vec![heavy, endpoint(2)]);
        assert_eq!(counts(&weighted, 40), [(1, 30), (2, 10)].into());
        let equal = plain(LbPolicy::RoundRobin, vec![endpoint(1), endpoint(2)]);
        assert_eq!(counts(&equal, 40), [(1, 20), (2, 20)].into());
    }

    #[test]
    fn unhealthy_ones_are_used_only_in_panic() {
        let sick = |port| Endpoint {
            health: HealthStatus::Unhealthy,
            ..endpoint(port)
        };
        // 1.4 * 3/4 covers all: no panic.
        let mostly = plain(
            LbPolicy::Random,
            vec![endpoint(1), endpoint(2), endpoint(3), sick(4)],
        );
        assert!(!counts(&mostly, 300).contains_key(&4));
        // One of four is below 50 %: all are used.
        let few = plain(
            LbPolicy::Random,
            vec![endpoint(1), sick(2), sick(3), sick(4)],
        );
        assert_eq!(counts(&few, 300).len(), 4);
        // Without panic none are used.
        let never = Layout {
            panic_threshold: 0,
            ..layout(LbPolicy::Random)
        };
        let dead = Endpoints::new(vec![sick(1)], HashMap::new(), never);
        assert!(dead.pick(&Pick::default()).is_none());
    }

    #[test]
    fn localities_share_by_weight_and_unweighted_ones_get_nothing() {
        let at = |zone: &str, port| Endpoint {
            locality: Arc::new(Locality {
                zone: zone.into(),
                ..Locality::default()
            }),
            ..endpoint(port)
        };
        let all = vec![at("a", 1), at("b", 2), at("c", 3)];
        let place = |e: &Endpoint| (0, e.locality.clone());
        let weights = [(place(&all[0]), 80), (place(&all[1]), 20)].into();
        let layout = Layout {
            locality_weighted: true,
            ..layout(LbPolicy::LeastRequest)
        };
        let counts = counts(&Endpoints::new(all, weights, layout), 2000);
        assert!((1450..1750).contains(&counts[&1]), "{counts:?}");
        assert!(!counts.contains_key(&3));
    }

    #[test]
    fn hosts_that_were_tried_or_refuse_are_avoided() {
        let endpoints = plain(LbPolicy::Random, vec![endpoint(1), endpoint(2)]);
        let first = endpoints.all()[0].host.id;
        let avoided = (0..100)
            .filter(|_| {
                let picked = endpoints.pick(&avoiding(&[first]));
                picked.is_some_and(|e| e.host.id != first)
            })
            .count();
        assert!(avoided > 90, "{avoided}");
        let all = [first, endpoints.all()[1].host.id];
        assert!(
            endpoints.pick(&avoiding(&all)).is_some(),
            "better one again than none"
        );

        endpoints.all()[0].host.connect_failed();
        let refused = counts(&endpoints, 200);
        assert!(refused.get(&1).copied().unwrap_or(0) < 40, "{refused:?}");
    }

    fn by_hash(hash: u64) -> Pick<'static> {
        Pick {
            hash: Some(hash),
            ..Pick::default()
        }
    }

    #[test]
    fn hashes_stay_with_their_endpoint_and_pass_over_what_was_tried() {
        for policy in [
            LbPolicy::RingHash(Default::default()),
            LbPolicy::Maglev { table_size: 251 },
        ] {
            let endpoints = plain(policy, (1..=5).map(endpoint).collect());
            for hash in 0..500u64 {
                let hash = crate::upstream::hash::xx(&hash.to_le_bytes(), 0);
                let first = endpoints.pick(&by_hash(hash)).expect("an endpoint").host.id;
                let again = endpoints.pick(&by_hash(hash)).expect("an endpoint").host.id;
                assert_eq!(first, again);
                let tried = [first];
                let other = Pick {
                    tried: &tried,
                    attempts: 20,
                    ..by_hash(hash)
                };
                let other = endpoints.pick(&other).expect("an endpoint");
                assert_ne!(other.host.id, first);
            }
            assert_eq!(counts(&endpoints, 500).len(), 5, "without a hash: any");
        }
    }

    #[test]
    fn hashes_spill_over_into_the_next_priority_and_pass_over_the_unhealthy() {
        let of = |port, priority, health| Endpoint {
            priority,
            health,
            ..endpoint(port)
        };
        let all = vec![
            of(1, 0, HealthStatus::Healthy),
            of(2, 0, HealthStatus::Unhealthy),
            of(3, 1, HealthStatus::Healthy),
        ];
        let endpoints = plain(LbPolicy::Maglev { table_size: 11 }, all);
        let counts = (0..100).map(|hash| {
            let picked = endpoints.pick(&by_hash(hash)).expect("an endpoint");
            picked.host.address.port()
        });
        // 1.4 * 1/2.
        let counts = counts.fold(HashMap::<u16, u32>::new(), |mut all, port| {
            *all.entry(port).or_default() += 1;
            all
        });
        assert_eq!(counts, [(1, 70), (3, 30)].into());
    }
}
