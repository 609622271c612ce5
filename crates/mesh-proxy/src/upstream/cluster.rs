//! One cluster, compiled: its configuration and the endpoints known at one moment.

use super::{
    Host,
    balance::Pick,
    breaker::Breaker,
    endpoint::{Endpoint, Endpoints, Layout, compile},
    failure::{Failure, FailureKind},
    outlier::{Outcome, Outliers},
    transport::Transports,
};
use crate::{telemetry::UpstreamRecord, tls::Secrets};
use mesh_model::{
    cluster::{self, Discovery, LbPolicy, ServiceRef},
    endpoint::ClusterLoadAssignment,
};
use parking_lot::Mutex;
use std::{borrow::Cow, collections::HashMap, net::SocketAddr, sync::Arc};

/// Envoy's panic threshold, in percent.
const PANIC_THRESHOLD: u32 = 50;
/// Hosts of an original-destination cluster beyond which those that nothing uses are forgotten.
const MANY_HOSTS: usize = 1024;

/// A cluster at one moment.
#[derive(Debug)]
pub struct Cluster {
    /// What its configuration says; the same value until that changes.
    pub info: Arc<ClusterInfo>,
    /// Its endpoints. Empty for original destination.
    pub endpoints: Endpoints,
}

/// The configured part of a cluster.
#[derive(Debug)]
pub struct ClusterInfo {
    /// Its name, as records carry it.
    pub name: Arc<str>,
    /// What was configured.
    pub model: cluster::Cluster,
    /// The first service that it stands for.
    pub service: Option<Arc<ServiceRef>>,
    /// How its endpoints are connected to.
    pub transports: Transports,
    /// Permits in use.
    pub breaker: Arc<Breaker>,
    /// Who is ejected for failures, where hosts are looked after.
    pub outliers: Option<Outliers>,
    // Hosts of an original-destination cluster, made on demand.
    on_demand: Mutex<HashMap<SocketAddr, Arc<Host>>>,
}

impl ClusterInfo {
    /// Compiles `model`. Of `old`, the same cluster before, what did not change is kept.
    pub fn new(model: cluster::Cluster, secrets: &Secrets, old: Option<&Self>) -> Self {
        Self {
            name: model.name.as_str().into(),
            service: model.services.first().cloned().map(Arc::new),
            transports: Transports::new(&model, secrets, old.map(|o| &o.transports)),
            breaker: old.map(|o| Arc::clone(&o.breaker)).unwrap_or_default(),
            outliers: None,
            on_demand: Mutex::new(old.map(|o| o.on_demand.lock().clone()).unwrap_or_default()),
            model,
        }
    }

    /// The record of what leaves to it, as far as no endpoint was picked.
    pub fn record(&self) -> UpstreamRecord {
        UpstreamRecord {
            cluster: Some(Arc::clone(&self.name)),
            service: self.service.clone(),
            ..UpstreamRecord::default()
        }
    }

    /// The record of what was to leave to `endpoint`, but failed.
    pub fn record_of(&self, endpoint: &Endpoint, failure: &Failure) -> UpstreamRecord {
        UpstreamRecord {
            host: Some(endpoint.host.address),
            workload: endpoint.workload.clone(),
            transport_failure: failure.transport.clone(),
            ..self.record()
        }
    }

    /// Notes what became of something that went to `host`.
    pub fn put(&self, host: &Arc<Host>, outcome: Outcome) {
        if let Some(outliers) = &self.outliers {
            outliers.put(host, outcome);
        }
    }

    /// Notes that what went to `host` failed, unless that was no fault of it.
    pub fn put_failure(&self, host: &Arc<Host>, failure: &Failure) {
        if failure.kind.is_of_the_host() {
            self.put(host, Outcome::Failed);
        }
    }

    /// Hosts that were made on demand.
    pub fn on_demand(&self) -> Vec<Arc<Host>> {
        self.on_demand.lock().values().cloned().collect()
    }

    // Takes a lock, which other clusters never do: such a connection is new, or its request goes astray anyway.
    fn host_on_demand(&self, address: SocketAddr) -> Arc<Host> {
        let mut hosts = self.on_demand.lock();
        if hosts.len() >= MANY_HOSTS && !hosts.contains_key(&address) {
            hosts.retain(|_, host| Arc::strong_count(host) > 1);
        }
        Arc::clone(hosts.entry(address).or_insert_with(|| Host::new(address)))
    }
}

impl Cluster {
    /// The cluster with the endpoints of `assignment`, keeping the `known` hosts.
    pub fn new(
        info: Arc<ClusterInfo>,
        assignment: Option<&ClusterLoadAssignment>,
        known: &HashMap<SocketAddr, Arc<Host>>,
    ) -> Self {
        let layout = Layout {
            policy: info.model.lb_policy,
            locality_weighted: info.model.locality_weighted,
            panic_threshold: (info.model.healthy_panic_threshold)
                .map_or(PANIC_THRESHOLD, |p| p.get().into()),
        };
        let transport = |e: &_| Arc::clone(info.transports.select(e));
        let endpoints = assignment
            .map(|assignment| compile(assignment, known, transport, layout))
            .unwrap_or_default();
        Self { info, endpoints }
    }

    /// An endpoint for what brings `pick`.
    ///
    /// # Errors
    /// If there is none.
    pub fn endpoint(&self, pick: &Pick<'_>) -> Result<Cow<'_, Endpoint>, Failure> {
        let none = || Failure::unsent(FailureKind::NoHealthyUpstream);
        if let Discovery::OriginalDst = self.info.model.discovery {
            let host = self
                .info
                .host_on_demand(pick.original_dst.ok_or_else(none)?);
            let transport = Arc::clone(self.info.transports.for_unknown());
            return Ok(Cow::Owned(Endpoint::unknown(host, transport)));
        }
        self.endpoints
            .pick(pick)
            .map(Cow::Borrowed)
            .ok_or_else(none)
    }

    /// Whether the hash of a request decides where it goes.
    pub fn hashes(&self) -> bool {
        self.endpoints.tables.is_some()
    }

    /// Whether requests are sent to where they were meant for.
    pub fn is_original_dst(&self) -> bool {
        self.info.model.discovery == Discovery::OriginalDst
            || self.info.model.lb_policy == LbPolicy::ClusterProvided
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::upstream::transport::Transport;
    use mesh_model::{
        cluster::{Limits, TransportMatch, UpstreamHttp},
        endpoint::{self, HealthStatus, LocalityEndpoints},
        tls::{CommonTls, TlsVersion, UpstreamTls},
    };
    use std::time::Duration;

    /// A plaintext cluster of that name with static endpoints.
    pub(crate) fn cluster(name: &str, addresses: &[SocketAddr]) -> cluster::Cluster {
        cluster::Cluster {
            connect_timeout: Duration::from_secs(10),
            lb_policy: LbPolicy::LeastRequest,
            limits: Limits::UNLIMITED,
            http_protocol: UpstreamHttp::Downstream,
            ..cluster::Cluster::new(name.into(), Discovery::Static(assignment(name, addresses)))
        }
    }

    pub(crate) fn assignment(name: &str, addresses: &[SocketAddr]) -> ClusterLoadAssignment {
        ClusterLoadAssignment {
            localities: vec![LocalityEndpoints {
                weight: Some(1),
                endpoints: addresses.iter().map(|a| endpoint(&a.to_string())).collect(),
                ..Default::default()
            }],
            ..ClusterLoadAssignment::new(name.into())
        }
    }

    pub(crate) fn endpoint(address: &str) -> endpoint::Endpoint {
        endpoint::Endpoint {
            health: HealthStatus::Healthy,
            ..endpoint::Endpoint::at(address.parse().expect("an address"))
        }
    }

    pub(crate) fn tls(sni: &str) -> cluster::Transport {
        cluster::Transport::Tls(Box::new(UpstreamTls {
            common: CommonTls {
                min_version: TlsVersion::V1_2,
                max_version: TlsVersion::V1_3,
                cipher_suites: vec![],
                certificate: Some("default".into()),
                validation: None,
                alpn: vec![],
            },
            sni: sni.to_owned(),
        }))
    }

    /// Name, labels, transport.
    type Match<'a> = (&'a str, Vec<(&'a str, &'a str)>, cluster::Transport);

    pub(crate) fn with_transports(matches: Vec<Match<'_>>) -> cluster::Cluster {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        let matches = matches.into_iter();
        cluster::Cluster {
            transport_matches: matches
                .map(|(name, labels, transport)| TransportMatch {
                    name: name.to_owned(),
                    labels: labels.iter().map(owned).collect(),
                    transport,
                })
                .collect(),
            ..cluster("c", &[])
        }
    }

    pub(crate) fn transport() -> Arc<Transport> {
        let transports = Transports::new(&cluster("c", &[]), &Secrets::default(), None);
        Arc::clone(transports.for_unknown())
    }

    #[test]
    fn original_destination_makes_a_host_once() {
        let model = cluster::Cluster {
            discovery: Discovery::OriginalDst,
            ..cluster("PassthroughCluster", &[])
        };
        let info = Arc::new(ClusterInfo::new(model, &Secrets::default(), None));
        let passthrough = Cluster::new(info, None, &HashMap::new());
        let to = Pick {
            original_dst: Some("10.0.0.1:80".parse().expect("an address")),
            ..Pick::default()
        };
        let first = passthrough.endpoint(&to).expect("made").host.id;
        let second = passthrough.endpoint(&to).expect("found").host.id;
        assert_eq!(first, second);
        let nowhere = passthrough.endpoint(&Pick::default());
        assert_eq!(
            nowhere.map(|_| ()),
            Err(Failure::unsent(FailureKind::NoHealthyUpstream))
        );
    }
}
