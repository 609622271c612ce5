//! All clusters: what the control plane sends is compiled, warmed and published here.
//!
//! One writer, the control side. A cluster is published once its endpoints and secrets are there; a changed one warms
//! beside the one in force, which serves until then. Endpoints and clusters may come in any order.

mod ejection; // hosts that fail are left out for a while
mod names; //    endpoints that have names
mod upkeep; //   what is done beside the path

use super::{Cluster, Host, cluster::ClusterInfo};
use crate::{
    slot::{Slot, Slots},
    tls::Secrets,
};
use ejection::Sweeps;
use mesh_model::{
    ClusterName,
    cluster::{self, Discovery},
    endpoint::ClusterLoadAssignment,
};
use names::Names;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};
use tokio::time::Instant;
use upkeep::Reports;

/// The slot of a cluster, as routes and TCP proxies hold it.
pub type ClusterSlot = Slot<ClusterName, Cluster>;

/// Whether a cluster, as it was last applied, is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmth {
    /// It is.
    Warm,
    /// Its endpoints have not come.
    WaitsForEndpoints,
    /// A secret that it names has not come.
    WaitsForSecrets,
    /// A name of its endpoints has not been looked up yet.
    WaitsForNames,
}

/// All clusters of the process.
#[derive(Debug, Default)]
pub struct Clusters {
    slots: Slots<ClusterName, Cluster>,
    state: Mutex<State>,
    reports: Reports,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<ClusterName, Entry>,
    known: Known,
}

// Where endpoints are taken from.
#[derive(Debug, Default)]
struct Known {
    assignments: HashMap<ClusterName, Arc<ClusterLoadAssignment>>,
    names: Names,
}

#[derive(Debug)]
struct Entry {
    slot: Arc<ClusterSlot>,
    active: Option<Arc<ClusterInfo>>,
    warming: Option<Arc<ClusterInfo>>,
    hosts: HashMap<SocketAddr, Arc<Host>>,
    sweeps: Sweeps,
    sweep_at: Option<Instant>,
}

impl Clusters {
    /// The slot of that name: empty until the cluster is warm.
    pub fn slot(&self, name: &ClusterName) -> Arc<ClusterSlot> {
        self.slots.slot(name)
    }

    /// Adds or changes a cluster.
    pub fn apply(&self, model: cluster::Cluster, secrets: &Secrets) -> Warmth {
        let mut state = self.state.lock();
        let entry = state
            .entries
            .entry(model.name.clone())
            .or_insert_with(|| Entry {
                slot: self.slots.slot(&model.name),
                active: None,
                warming: None,
                hosts: HashMap::new(),
                sweeps: Sweeps::begin(),
                sweep_at: None,
            });
        let latest = entry.warming.as_ref().or(entry.active.as_ref());
        let had_names = latest.is_some_and(|latest| has_names(latest));
        if latest.is_none_or(|latest| latest.model != model) {
            let mut info = ClusterInfo::new(model, secrets, latest.map(|l| &**l));
            self.reports.receive_from(&mut info, latest.map(|l| &**l));
            entry.warming = Some(Arc::new(info));
        }
        let has_names = had_names || entry.warming.as_ref().is_some_and(|new| has_names(new));
        let name = entry.slot.name().clone();
        if has_names {
            state.review_names();
        }
        let State { entries, known } = &mut *state;
        let warmth = entries.get_mut(&name).map(|entry| entry.settle(known));
        if has_names {
            state.review_names();
        }
        self.reports.look();
        warmth.unwrap_or(Warmth::Warm)
    }

    /// Removes a cluster. What is in flight finishes.
    pub fn remove(&self, name: &ClusterName) {
        let mut state = self.state.lock();
        if let Some(entry) = state.entries.remove(name) {
            entry.slot.set(None);
            entry.hosts.values().for_each(|host| host.set_removed(true));
            let mut infos = entry.warming.iter().chain(&entry.active);
            if infos.any(|info| has_names(info)) {
                state.review_names();
            }
        }
    }

    /// Replaces the endpoints of all clusters that take theirs under the assignment's name.
    pub fn apply_endpoints(&self, assignment: ClusterLoadAssignment) {
        let name = assignment.cluster.clone();
        let mut state = self.state.lock();
        let assignment = Arc::new(assignment);
        state.known.assignments.insert(name.clone(), assignment);
        state.endpoints_changed(&name);
    }

    /// Takes away the endpoints under that name: clusters that use them have none.
    pub fn remove_endpoints(&self, name: &ClusterName) {
        let mut state = self.state.lock();
        if state.known.assignments.contains_key(name) {
            let none = Arc::new(ClusterLoadAssignment::new(name.clone()));
            state.known.assignments.insert(name.clone(), none);
            state.endpoints_changed(name);
            state.known.assignments.remove(name);
        }
    }

    /// Publishes the clusters for which nothing is missing any more. To be called when secrets have come.
    pub fn settle(&self) {
        let mut state = self.state.lock();
        let State { entries, known } = &mut *state;
        for entry in entries.values_mut() {
            entry.settle(known);
        }
    }

    /// Whether the cluster of that name is in force as it was last applied; `None`: there is none.
    pub fn warmth(&self, name: &ClusterName) -> Option<Warmth> {
        let state = self.state.lock();
        Some(state.entries.get(name)?.warmth(&state.known))
    }

    /// Each cluster in force, by name.
    pub fn active(&self) -> Vec<Arc<Cluster>> {
        let state = self.state.lock();
        state
            .entries
            .values()
            .filter_map(|e| e.slot.load())
            .collect()
    }

    /// Each cluster that waits for something, by name.
    pub fn warming(&self) -> Vec<Arc<ClusterInfo>> {
        let state = self.state.lock();
        state
            .entries
            .values()
            .filter_map(|e| e.warming.clone())
            .collect()
    }
}

impl State {
    fn endpoints_changed(&mut self, name: &ClusterName) {
        let users = self.entries.values_mut().filter(|entry| {
            let infos = entry.warming.iter().chain(&entry.active);
            infos.into_iter().any(|info| eds_name(info) == Some(name))
        });
        for entry in users {
            // What is in force gets the endpoints even if its successor still waits for a secret.
            if let Some(info) = entry.active.clone() {
                entry.publish(info, &self.known);
            }
            entry.settle(&self.known);
        }
    }
}

impl Entry {
    fn warmth(&self, known: &Known) -> Warmth {
        let Some(info) = &self.warming else {
            return Warmth::Warm;
        };
        if eds_name(info).is_some_and(|name| !known.assignments.contains_key(name)) {
            return Warmth::WaitsForEndpoints;
        }
        if !info.transports.is_warm() {
            return Warmth::WaitsForSecrets;
        }
        if let Discovery::Dns(dns) = &info.model.discovery
            && !known.names.are_settled(dns)
        {
            return Warmth::WaitsForNames;
        }
        Warmth::Warm
    }

    // Puts the warming configuration in force if nothing is missing.
    fn settle(&mut self, known: &Known) -> Warmth {
        let warmth = self.warmth(known);
        if warmth == Warmth::Warm
            && let Some(info) = self.warming.take()
        {
            self.active = Some(Arc::clone(&info));
            self.publish(info, known);
        }
        warmth
    }

    fn publish(&mut self, info: Arc<ClusterInfo>, known: &Known) {
        let looked_up;
        let assignment = match &info.model.discovery {
            Discovery::Static(assignment) => Some(assignment),
            Discovery::Dns(dns) => {
                looked_up = known.names.resolve(dns);
                Some(&looked_up)
            }
            Discovery::Eds(name) => match known.assignments.get(name) {
                Some(assignment) => Some(&**assignment),
                // Taken away since: the endpoints in force stay as they are.
                None if self.slot.is_filled() => return,
                None => None,
            },
            Discovery::OriginalDst => None,
        };
        let mut cluster = Cluster::new(Arc::clone(&info), assignment, &self.hosts);
        self.keep_hosts(&cluster);
        if self.review_ejections() {
            cluster.endpoints = cluster.endpoints.laid_out_anew();
        }
        self.slot.set(Some(Arc::new(cluster)));
    }

    // What is known of hosts has changed: endpoints are picked by that from now on.
    fn lay_out(&self) {
        if let Some(cluster) = self.slot.load() {
            let endpoints = cluster.endpoints.laid_out_anew();
            let info = Arc::clone(&cluster.info);
            self.slot.set(Some(Arc::new(Cluster { info, endpoints })));
        }
    }

    fn keep_hosts(&mut self, cluster: &Cluster) {
        let endpoints = cluster.endpoints.all().iter();
        let current = endpoints.map(|e| (e.host.address, Arc::clone(&e.host)));
        let old = std::mem::replace(&mut self.hosts, current.collect());
        for host in old.values() {
            host.set_removed(true);
        }
        for host in self.hosts.values() {
            host.set_removed(false);
        }
    }
}

fn eds_name(info: &ClusterInfo) -> Option<&ClusterName> {
    match &info.model.discovery {
        Discovery::Eds(name) => Some(name),
        Discovery::Static(_) | Discovery::OriginalDst | Discovery::Dns(_) => None,
    }
}

fn has_names(info: &ClusterInfo) -> bool {
    matches!(info.model.discovery, Discovery::Dns(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::cluster::tests::{assignment, cluster, tls};
    use mesh_model::secret::{Secret, SecretValue};
    use std::time::Duration;

    fn eds(name: &str) -> cluster::Cluster {
        cluster::Cluster {
            discovery: Discovery::Eds(name.into()),
            ..cluster(name, &[])
        }
    }

    fn address(port: u16) -> SocketAddr {
        ([10, 0, 0, 1], port).into()
    }

    #[test]
    fn warms_in_either_order_and_keeps_hosts() {
        let (clusters, secrets) = (Clusters::default(), Secrets::default());
        let slot = clusters.slot(&"c".into());
        assert_eq!(
            clusters.apply(eds("c"), &secrets),
            Warmth::WaitsForEndpoints
        );
        assert!(!slot.is_filled(), "not before its endpoints");
        clusters.apply_endpoints(assignment("c", &[address(1), address(2)]));
        assert_eq!(clusters.warmth(&"c".into()), Some(Warmth::Warm));
        let first = slot.load().expect("published");

        clusters.apply_endpoints(assignment("c", &[address(2), address(3)]));
        let second = slot.load().expect("published");
        let (was, is) = (first.endpoints.all(), second.endpoints.all());
        assert_eq!(was[1].host.id, is[0].host.id, "a host outlives a push");
        assert!(was[0].host.is_removed() && !is[0].host.is_removed());
        assert!(Arc::ptr_eq(&first.info, &second.info));

        clusters.apply_endpoints(assignment("late", &[address(9)]));
        assert_eq!(clusters.apply(eds("late"), &secrets), Warmth::Warm);

        clusters.remove(&"c".into());
        assert!(slot.load().is_none() && is[0].host.is_removed());
    }

    #[test]
    fn a_changed_cluster_warms_beside_the_old_one() {
        let (clusters, secrets) = (Clusters::default(), Secrets::default());
        let slot = clusters.slot(&"c".into());
        clusters.apply(cluster("c", &[address(1)]), &secrets);
        let mut changed = cluster("c", &[address(2)]);
        changed.transport = tls("c");
        assert_eq!(clusters.apply(changed, &secrets), Warmth::WaitsForSecrets);
        assert_eq!(clusters.warming().len(), 1);
        let serving = slot.load().expect("the old one");
        assert_eq!(serving.endpoints.all()[0].host.address, address(1));

        let key = rcgen::generate_simple_self_signed(["a".to_owned()]).expect("a certificate");
        let secret = Secret {
            name: "default".into(),
            value: SecretValue::Certificate {
                chain: key.cert.pem().into_bytes(),
                key: mesh_model::secret::PrivateKey(key.signing_key.serialize_pem().into_bytes()),
            },
        };
        secrets.set(secret).expect("valid");
        clusters.settle();
        let serving = slot.load().expect("the new one");
        assert_eq!(serving.endpoints.all()[0].host.address, address(2));
        assert!(clusters.warming().is_empty());
    }

    #[test]
    fn an_equal_cluster_changes_nothing() {
        let (clusters, secrets) = (Clusters::default(), Secrets::default());
        clusters.apply(cluster("c", &[address(1)]), &secrets);
        let before = clusters.slot(&"c".into()).version();
        clusters.apply(cluster("c", &[address(1)]), &secrets);
        assert_eq!(before, clusters.slot(&"c".into()).version());
        let mut changed = cluster("c", &[address(1)]);
        changed.connect_timeout = Duration::from_secs(1);
        clusters.apply(changed, &secrets);
        assert_ne!(before, clusters.slot(&"c".into()).version());
    }

    #[test]
    fn removed_endpoints_leave_a_cluster_without_any() {
        let (clusters, secrets) = (Clusters::default(), Secrets::default());
        clusters.apply(eds("c"), &secrets);
        clusters.apply_endpoints(assignment("c", &[address(1)]));
        clusters.remove_endpoints(&"c".into());
        let serving = clusters.slot(&"c".into()).load().expect("still known");
        assert!(serving.endpoints.all().is_empty());
    }
}
