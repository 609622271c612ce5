//! Picks an endpoint: a share (priority and health), a locality, then one of its endpoints by the cluster's policy.

use super::endpoint::{Endpoint, Endpoints, Members};
use mesh_model::cluster::LbPolicy;
use std::{net::SocketAddr, sync::atomic::Ordering::Relaxed};

/// How often a host that refused a connection a moment ago is passed over for another pick.
const REPICKS: u32 = 3;

/// What a request or a connection brings to the choice of its endpoint. The default: nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pick<'a> {
    /// Where it was meant for.
    pub original_dst: Option<SocketAddr>,
    /// Numbers of the hosts that it has tried: they are avoided.
    pub tried: &'a [u64],
    /// How many further picks are made to find another host; then the last is taken all the same.
    pub attempts: u32,
}

impl Endpoints {
    /// An endpoint by `policy`; `None`: there is none that may be used.
    pub fn pick(&self, policy: LbPolicy, pick: &Pick<'_>) -> Option<&Endpoint> {
        let tried = pick.tried;
        let mut picked = self.pick_once(policy)?;
        let mut again = pick.attempts.max(1);
        while tried.contains(&picked.host.id) && again > 0 {
            picked = self.pick_once(policy)?;
            again -= 1;
        }
        let mut again = REPICKS;
        while picked.host.is_refusing() && again > 0 {
            let other = self.pick_once(policy)?;
            if !tried.contains(&other.host.id) {
                picked = other;
            }
            again -= 1;
        }
        Some(picked)
    }

    fn pick_once(&self, policy: LbPolicy) -> Option<&Endpoint> {
        let group = &self.shares[cumulative(&self.shares, |share| share.0)?].1;
        let members = &group.localities[cumulative(&group.localities, |l| l.0)?].1;
        let index = match policy {
            LbPolicy::RoundRobin => members.in_turn(),
            LbPolicy::LeastRequest => members.least_request(self.all()),
            LbPolicy::Random | LbPolicy::ClusterProvided => members.at_random(),
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

    const LAYOUT: Layout = Layout {
        locality_weighted: false,
        panic_threshold: 50,
    };

    fn endpoint(port: u16) -> Endpoint {
        Endpoint::unknown(Host::new(([127, 0, 0, 1], port).into()), transport())
    }

    fn counts(endpoints: &Endpoints, policy: LbPolicy, picks: u32) -> HashMap<u16, u32> {
        let mut counts = HashMap::new();
        for _ in 0..picks {
            let picked = endpoints
                .pick(policy, &Pick::default())
                .expect("an endpoint");
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

    fn plain(all: Vec<Endpoint>) -> Endpoints {
        Endpoints::new(all, HashMap::new(), LAYOUT)
    }

    #[test]
    fn none_of_none() {
        assert!(
            plain(vec![])
                .pick(LbPolicy::Random, &Pick::default())
                .is_none()
        );
    }

    #[test]
    fn least_request_finds_the_idle_one_of_two() {
        let endpoints = plain(vec![endpoint(1), endpoint(2)]);
        let busy = ActiveRequest::new(&endpoints.all()[0].host);
        assert_eq!(
            counts(&endpoints, LbPolicy::LeastRequest, 50),
            [(2, 50)].into()
        );
        drop(busy);
        assert_eq!(counts(&endpoints, LbPolicy::LeastRequest, 200).len(), 2);
    }

    #[test]
    fn least_request_follows_weights_when_idle() {
        let heavy = Endpoint {
            weight: 9,
            ..endpoint(1)
        };
        let counts = counts(
            &plain(vec![heavy, endpoint(2)]),
            LbPolicy::LeastRequest,
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
        let weighted = plain(vec![heavy, endpoint(2)]);
        assert_eq!(
            counts(&weighted, LbPolicy::RoundRobin, 40),
            [(1, 30), (2, 10)].into()
        );
        let equal = plain(vec![endpoint(1), endpoint(2)]);
        assert_eq!(
            counts(&equal, LbPolicy::RoundRobin, 40),
            [(1, 20), (2, 20)].into()
        );
    }

    #[test]
    fn unhealthy_ones_are_used_only_in_panic() {
        let sick = |port| Endpoint {
            health: HealthStatus::Unhealthy,
            ..endpoint(port)
        };
        // 1.4 * 3/4 covers all: no panic.
        let mostly = plain(vec![endpoint(1), endpoint(2), endpoint(3), sick(4)]);
        assert!(!counts(&mostly, LbPolicy::Random, 300).contains_key(&4));
        // One of four is below 50 %: all are used.
        let few = plain(vec![endpoint(1), sick(2), sick(3), sick(4)]);
        assert_eq!(counts(&few, LbPolicy::Random, 300).len(), 4);
        // Without panic none are used.
        let never = Layout {
            panic_threshold: 0,
            ..LAYOUT
        };
        let dead = Endpoints::new(vec![sick(1)], HashMap::new(), never);
        assert!(dead.pick(LbPolicy::Random, &Pick::default()).is_none());
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
            ..LAYOUT
        };
        let counts = counts(
            &Endpoints::new(all, weights, layout),
            LbPolicy::LeastRequest,
            2000,
        );
        assert!((1450..1750).contains(&counts[&1]), "{counts:?}");
        assert!(!counts.contains_key(&3));
    }

    #[test]
    fn hosts_that_were_tried_or_refuse_are_avoided() {
        let endpoints = plain(vec![endpoint(1), endpoint(2)]);
        let first = endpoints.all()[0].host.id;
        let avoided = (0..100)
            .filter(|_| {
                let picked = endpoints.pick(LbPolicy::Random, &avoiding(&[first]));
                picked.is_some_and(|e| e.host.id != first)
            })
            .count();
        assert!(avoided > 90, "{avoided}");
        let all = [first, endpoints.all()[1].host.id];
        assert!(
            endpoints.pick(LbPolicy::Random, &avoiding(&all)).is_some(),
            "better one again than none"
        );

        endpoints.all()[0].host.connect_failed();
        let refused = counts(&endpoints, LbPolicy::Random, 200);
        assert!(refused.get(&1).copied().unwrap_or(0) < 40, "{refused:?}");
    }
}
