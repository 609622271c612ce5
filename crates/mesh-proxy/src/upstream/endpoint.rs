//! The endpoints of a cluster at one moment, laid out for picking: priority by priority, locality by locality.
//!
//! All that depends on health and weight alone is computed here, once per push. Shares follow Envoy: a priority takes
//! traffic as long as 1.4 times its healthy share covers it, what is left over goes to the next one, and where too little
//! is healthy to mean anything ("panic") all endpoints are used.

use super::{
    Host,
    balance::consistent::{self, Table},
    transport::Transport,
};
use crate::telemetry::record::Workload;
use mesh_model::{
    cluster::{LbPolicy, RingHash},
    endpoint::{self, ClusterLoadAssignment, HealthStatus, Locality},
};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU32},
};

/// Envoy's overprovisioning factor, in percent.
const OVERPROVISIONING: u32 = 140;

/// One endpoint, compiled.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its state.
    pub host: Arc<Host>,
    /// How to connect to it.
    pub transport: Arc<Transport>,
    /// What the control plane knows of its health.
    pub health: HealthStatus,
    /// Its share in its locality, at least 1.
    pub weight: u32,
    /// Where it is.
    pub locality: Arc<Locality>,
    /// 0 is used first.
    pub priority: u32,
    /// The workload behind it.
    pub workload: Option<Arc<Workload>>,
}

impl Endpoint {
    /// An address about which nothing but its host and transport is known (original destination).
    pub fn unknown(host: Arc<Host>, transport: Arc<Transport>) -> Self {
        Self {
            host,
            transport,
            health: HealthStatus::Unknown,
            weight: 1,
            locality: Arc::default(),
            priority: 0,
            workload: None,
        }
    }

    /// Whether it is picked while there are enough like it.
    pub fn is_healthy(&self) -> bool {
        matches!(self.health, HealthStatus::Unknown | HealthStatus::Healthy)
            && !self.host.monitor.is_ejected()
    }

    fn is_degraded(&self) -> bool {
        self.health == HealthStatus::Degraded && !self.host.monitor.is_ejected()
    }
}

/// All endpoints of a cluster.
#[derive(Debug, Default)]
pub struct Endpoints {
    all: Vec<Endpoint>,
    // What is picked from, with the cumulative share of each in percent; empty: nothing can be picked.
    pub(super) shares: Vec<(u32, Group)>,
    // Where hashes decide: a table for each priority, with its cumulative share in percent.
    pub(super) tables: Option<Vec<(u32, Table)>>,
    weights: Arc<LocalityWeights>,
    layout: Layout,
}

/// Endpoints among which one is picked: of one priority and health.
#[derive(Debug)]
pub(super) struct Group {
    // With the cumulative weight of each.
    pub(super) localities: Vec<(u32, Members)>,
}

/// Endpoints of one locality, or of all if localities do not count.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) indices: Vec<u32>,
    // Cumulative; empty where all weigh the same.
    pub(super) weights: Vec<u32>,
    // For round robin: whose turn it is, and in which order where weights differ.
    pub(super) turn: AtomicU32,
    pub(super) order: Vec<u32>,
}

/// Weights of localities, by priority and place; one that is not in it gets nothing.
pub type LocalityWeights = HashMap<(u32, Arc<Locality>), u32>;

/// How endpoints are to be laid out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// How one is picked.
    pub policy: LbPolicy,
    /// Localities share by their weights.
    pub locality_weighted: bool,
    /// Below this share of healthy endpoints, in percent, all are used.
    pub panic_threshold: u32,
}

impl Endpoints {
    /// Lays out `all`.
    pub fn new(all: Vec<Endpoint>, weights: LocalityWeights, layout: Layout) -> Self {
        Self::lay_out(all, Arc::new(weights), layout)
    }

    /// The same endpoints, by what is known of their hosts now.
    pub fn laid_out_anew(&self) -> Self {
        Self::lay_out(self.all.clone(), Arc::clone(&self.weights), self.layout)
    }

    fn lay_out(all: Vec<Endpoint>, weights: Arc<LocalityWeights>, layout: Layout) -> Self {
        let mut priorities: Vec<u32> = all.iter().map(|e| e.priority).collect();
        priorities.sort_unstable();
        priorities.dedup();
        let health: Vec<Health> = priorities.iter().map(|p| Health::of(&all, *p)).collect();
        let loads = loads(&health);
        let total = health
            .iter()
            .map(|h| h.available() + h.degraded_available())
            .sum::<u32>()
            .min(100);
        let panics = |i: usize| {
            total < 100 && health[i].healthy * 100 < layout.panic_threshold * health[i].total
        };
        let hashes = matches!(
            layout.policy,
            LbPolicy::RingHash(_) | LbPolicy::Maglev { .. }
        );
        if hashes {
            let mut end = 0;
            let tables = (0..).zip(&priorities).map(|(i, priority)| {
                let all_of_it = panics(i);
                let chosen = (0u32..)
                    .zip(&all)
                    .filter(|(_, e)| e.priority == *priority && (all_of_it || e.is_healthy()));
                end += loads.healthy[i] + loads.degraded[i];
                (
                    end,
                    table(&chosen.collect::<Vec<_>>(), &all, &weights, layout),
                )
            });
            return Self {
                tables: Some(tables.collect()),
                shares: Vec::new(),
                all,
                weights,
                layout,
            };
        }
        let mut shares: Vec<(u32, Group)> = Vec::new();
        let mut end = 0;
        let mut push = |load: u32, select: &dyn Fn(&Endpoint) -> bool, health: Option<&Health>| {
            let group = Group::new(&all, select, &weights, layout, health);
            if load > 0 && !group.localities.is_empty() {
                end += load;
                shares.push((end, group));
            }
        };
        for (i, priority) in priorities.iter().enumerate() {
            let here = |e: &Endpoint| e.priority == *priority;
            if panics(i) {
                push(loads.healthy[i] + loads.degraded[i], &here, None);
                continue;
            }
            push(
                loads.healthy[i],
                &|e| here(e) && e.is_healthy(),
                Some(&health[i]),
            );
            push(loads.degraded[i], &|e| here(e) && e.is_degraded(), None);
        }
        Self {
            all,
            shares,
            tables: None,
            weights,
            layout,
        }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// All of them.
    pub fn all(&self) -> &[Endpoint] {
        &self.all
    }
}

// The table of `chosen`, one after the other as they came, or by the weights of their localities.
fn table(
    chosen: &[(u32, &Endpoint)],
    all: &[Endpoint],
    weights: &LocalityWeights,
    layout: Layout,
) -> Table {
    let shares = match layout.locality_weighted && !weights.is_empty() {
        false => consistent::shares(chosen, 1.0),
        true => {
            let mut chosen = chosen.to_vec();
            chosen.sort_by(|(_, a), (_, b)| a.locality.cmp(&b.locality));
            let weight = |list: &[(u32, &Endpoint)]| {
                let place = (list[0].1.priority, Arc::clone(&list[0].1.locality));
                weights.get(&place).copied().unwrap_or(0)
            };
            let localities = chosen.chunk_by(|(_, a), (_, b)| a.locality == b.locality);
            let localities: Vec<_> = localities.filter(|list| weight(list) > 0).collect();
            let sum: u64 = localities.iter().map(|list| u64::from(weight(list))).sum();
            let whole = |list| f64::from(weight(list)) / sum.max(1) as f64;
            let shares = localities.iter();
            let shares = shares.flat_map(|list| consistent::shares(list, whole(list)));
            shares.collect()
        }
    };
    match layout.policy {
        LbPolicy::Maglev { table_size } => Table::maglev(&shares, all, table_size),
        LbPolicy::RingHash(ring) => Table::ring(&shares, all, &ring),
        _ => Table::ring(&shares, all, &RingHash::default()),
    }
}

/// Numbers of endpoints of one priority.
struct Health {
    total: u32,
    healthy: u32,
    degraded: u32,
}

impl Health {
    fn of(all: &[Endpoint], priority: u32) -> Self {
        let count = |test: &dyn Fn(&Endpoint) -> bool| {
            all.iter()
                .filter(|e| e.priority == priority && test(e))
                .count() as u32
        };
        Self {
            total: count(&|_| true),
            healthy: count(&Endpoint::is_healthy),
            degraded: count(&Endpoint::is_degraded),
        }
    }

    fn available(&self) -> u32 {
        (OVERPROVISIONING * self.healthy / self.total.max(1)).min(100)
    }

    fn degraded_available(&self) -> u32 {
        (OVERPROVISIONING * self.degraded / self.total.max(1)).min(100)
    }
}

/// Shares of each priority, in percent: together 100, unless there is no endpoint at all.
struct Loads {
    healthy: Vec<u32>,
    degraded: Vec<u32>,
}

// Healthy endpoints of all priorities first, then degraded ones; each takes what it can of what is left.
fn loads(health: &[Health]) -> Loads {
    let available: Vec<u32> = health.iter().map(Health::available).collect();
    let degraded: Vec<u32> = health.iter().map(Health::degraded_available).collect();
    let total = available.iter().chain(&degraded).sum::<u32>().min(100);
    if total == 0 {
        return by_count(health);
    }
    let mut left = 100;
    let mut take = |available: &u32| {
        let load = (available * 100 / total).min(left);
        left -= load;
        load
    };
    let mut loads = Loads {
        healthy: available.iter().map(&mut take).collect(),
        degraded: degraded.iter().map(&mut take).collect(),
    };
    // What rounding left over goes to the first that takes part.
    let mut all = loads.healthy.iter_mut().chain(&mut loads.degraded);
    if let Some(first) = all.find(|load| **load > 0) {
        *first += left;
    }
    loads
}

// Nothing is healthy anywhere: by the number of endpoints, for the case that they are used all the same.
fn by_count(health: &[Health]) -> Loads {
    let total: u32 = health.iter().map(|h| h.total).sum();
    Loads {
        healthy: health
            .iter()
            .map(|h| h.total * 100 / total.max(1))
            .collect(),
        degraded: vec![0; health.len()],
    }
}

impl Group {
    fn new(
        all: &[Endpoint],
        select: &dyn Fn(&Endpoint) -> bool,
        weights: &LocalityWeights,
        layout: Layout,
        health: Option<&Health>,
    ) -> Self {
        let chosen = (0u32..).zip(all).filter(|(_, e)| select(e));
        if !layout.locality_weighted {
            let members = Members::new(chosen.collect());
            let localities = members.map(|m| (1, m)).into_iter().collect();
            return Self { localities };
        }
        let mut chosen: Vec<(u32, &Endpoint)> = chosen.collect();
        chosen.sort_by(|(_, a), (_, b)| a.locality.cmp(&b.locality));
        let mut end = 0;
        let localities = chosen.chunk_by(|(_, a), (_, b)| a.locality == b.locality);
        let localities = localities.filter_map(|list| {
            let (_, first) = list.first()?;
            let place = (first.priority, Arc::clone(&first.locality));
            let weight = weights.get(&place).copied().unwrap_or(0);
            let weight = effective(weight, first, list.len() as u32, all, health);
            end += weight;
            let members = Members::new(list.to_vec())?;
            (weight > 0).then_some((end, members))
        });
        Self {
            localities: localities.collect(),
        }
    }
}

// A locality of which little is healthy gets less, as Envoy's effective weight. Times 100, to keep small shares apart.
fn effective(
    weight: u32,
    one: &Endpoint,
    usable: u32,
    all: &[Endpoint],
    health: Option<&Health>,
) -> u32 {
    if health.is_none() {
        return weight.saturating_mul(100);
    }
    let here = |e: &&Endpoint| e.priority == one.priority && e.locality == one.locality;
    let total = all.iter().filter(here).count() as u32;
    weight.saturating_mul((OVERPROVISIONING * usable / total.max(1)).min(100))
}

impl Members {
    fn new(list: Vec<(u32, &Endpoint)>) -> Option<Self> {
        let first = list.first()?.1.weight;
        let mut members = Self {
            indices: list.iter().map(|(i, _)| *i).collect(),
            // Proxies must not all begin with the same endpoint.
            turn: AtomicU32::new(fastrand::u32(..)),
            ..Self::default()
        };
        if list.iter().any(|(_, e)| e.weight != first) {
            let weights: Vec<u32> = list.iter().map(|(_, e)| e.weight).collect();
            members.order = turns(&weights);
            members.weights = cumulative(&weights);
        }
        Some(members)
    }
}

fn cumulative(weights: &[u32]) -> Vec<u32> {
    let mut end = 0u32;
    weights
        .iter()
        .map(|w| {
            end = end.saturating_add(*w);
            end
        })
        .collect()
}

/// Longest schedule of a weighted round robin; beyond, weights are scaled down.
const LONGEST_SCHEDULE: u64 = 4096;

// A smooth weighted round robin, written out: each member as often as it weighs, spread as evenly as can be.
fn turns(weights: &[u32]) -> Vec<u32> {
    let sum: u64 = weights.iter().map(|w| u64::from(*w)).sum();
    let scale = |w: u32| {
        if sum > LONGEST_SCHEDULE {
            (u64::from(w) * LONGEST_SCHEDULE / sum).max(1) as i64
        } else {
            i64::from(w)
        }
    };
    let weights: Vec<i64> = weights.iter().map(|w| scale(*w)).collect();
    let total: i64 = weights.iter().sum();
    let mut credit = vec![0i64; weights.len()];
    let mut order = Vec::with_capacity(total as usize);
    for _ in 0..total {
        for (credit, weight) in credit.iter_mut().zip(&weights) {
            *credit += weight;
        }
        let (best, _) = credit
            .iter()
            .enumerate()
            .rev()
            .max_by_key(|(_, c)| **c)
            .unwrap_or((0, &0));
        credit[best] -= total;
        order.push(best as u32);
    }
    order
}

/// Compiles an assignment: hosts that are known are kept, others are made.
pub fn compile(
    assignment: &ClusterLoadAssignment,
    known: &HashMap<SocketAddr, Arc<Host>>,
    transport: impl Fn(&endpoint::Endpoint) -> Arc<Transport>,
    layout: Layout,
) -> Endpoints {
    let mut all = Vec::new();
    let mut weights = HashMap::new();
    for group in &assignment.localities {
        let locality = Arc::new(group.locality.clone());
        if let Some(weight) = group.weight {
            weights.insert((group.priority, Arc::clone(&locality)), weight);
        }
        all.extend(group.endpoints.iter().map(|e| {
            let host = known.get(&e.address).cloned();
            Endpoint {
                host: host.unwrap_or_else(|| Host::new(e.address)),
                transport: transport(e),
                health: e.health,
                weight: e.weight.max(1),
                locality: Arc::clone(&locality),
                priority: group.priority,
                workload: e
                    .workload
                    .as_deref()
                    .map(|text| Arc::new(Workload::from_metadata(text))),
            }
        }));
    }
    Endpoints::new(all, weights, layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighted_turns_are_spread() {
        assert_eq!(turns(&[3, 1]), [0, 0, 1, 0]);
        assert_eq!(turns(&[1, 1, 1]), [0, 1, 2]);
        let long = turns(&[1_000_000, 1]);
        assert!(long.len() <= LONGEST_SCHEDULE as usize + 1 && long.contains(&1));
    }

    #[test]
    fn loads_spill_over_as_envoy_does() {
        let health = |total, healthy, degraded| Health {
            total,
            healthy,
            degraded,
        };
        // 1.4 * 5/10 = 70 %.
        let l = loads(&[health(10, 5, 0), health(10, 10, 0)]);
        assert_eq!(l.healthy, [70, 30]);
        // Degraded endpoints take what healthy ones of all priorities leave.
        let l = loads(&[health(10, 5, 5), health(10, 1, 0)]);
        assert_eq!((l.healthy, l.degraded), (vec![70, 14], vec![16, 0]));
        // Too little everywhere: scaled to 100.
        let l = loads(&[health(10, 1, 0), health(10, 1, 0)]);
        assert_eq!(l.healthy, [50, 50]);
        let l = loads(&[health(4, 0, 0)]);
        assert_eq!(l.healthy, [100]);
    }
}
