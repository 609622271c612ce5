use super::*;
use crate::{
    dns::lookup::Lookup,
    tls::Secrets,
    upstream::{Clusters, Warmth, cluster::tests::cluster},
};
use futures_util::future::{BoxFuture, FutureExt};
use mesh_model::cluster::{self, Discovery};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::time::sleep;

const S: Duration = Duration::from_secs(1);

fn dns(kind: DnsKind, names: &[&str]) -> DnsDiscovery {
    let at = |name: &&str| {
        Endpoint::at(NamedAddress {
            host: (*name).to_owned(),
            port: 80,
        })
    };
    DnsDiscovery {
        endpoints: ClusterLoadAssignment {
            cluster: "c".into(),
            localities: vec![LocalityEndpoints {
                endpoints: names.iter().map(at).collect(),
                ..LocalityEndpoints::default()
            }],
        },
        kind,
        family: LookupFamily::V4Only,
        refresh: 60 * S,
        failure_refresh: None,
        respect_ttl: true,
        jitter: Duration::ZERO,
    }
}

fn model(name: &str, dns: DnsDiscovery) -> cluster::Cluster {
    cluster::Cluster {
        discovery: Discovery::Dns(Box::new(dns)),
        ..cluster(name, &[])
    }
}

/// Answers as it is told, and remembers when it was asked.
#[derive(Default)]
struct Script {
    // Last parts of addresses, and seconds; none: a failure.
    answer: Mutex<Option<(Vec<u8>, u64)>>,
    asked: Mutex<Vec<(String, Instant)>>,
}

impl Script {
    fn answers(&self, last: &[u8], ttl: u64) {
        *self.answer.lock() = Some((last.to_vec(), ttl));
    }

    /// Seconds between queries since the last call.
    fn pauses(&self) -> Vec<u64> {
        let asked = self.asked.lock().split_off(0);
        let pairs = asked.windows(2);
        pairs
            .map(|pair| (pair[1].1 - pair[0].1).as_secs())
            .collect()
    }
}

impl Lookup for Arc<Script> {
    fn addresses<'a>(
        &'a self,
        host: &'a str,
        _: LookupFamily,
    ) -> BoxFuture<'a, Result<Addresses, Failure>> {
        self.asked.lock().push((host.to_owned(), Instant::now()));
        let answer = self.answer.lock().clone();
        let found = answer.map(|(last, ttl)| Addresses {
            all: last.iter().map(|n| [10, 0, 0, *n].into()).collect(),
            ttl: Some(Duration::from_secs(ttl)),
        });
        async move { found.ok_or(Failure::NoAddress) }.boxed()
    }
}

/// Clusters that are kept up by a script.
struct Kept {
    clusters: Arc<Clusters>,
    script: Arc<Script>,
    upkeep: tokio::task::JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

impl Kept {
    fn start() -> Self {
        let (clusters, script) = (Arc::<Clusters>::default(), Arc::<Script>::default());
        let (kept, asked) = (Arc::clone(&clusters), Arc::clone(&script));
        Self {
            clusters,
            script,
            upkeep: tokio::spawn(async move { kept.keep_up(&asked).await }),
        }
    }

    async fn apply(&self, name: &str, dns: DnsDiscovery) {
        self.clusters.apply(model(name, dns), &Secrets::default());
        sleep(Duration::from_millis(1)).await;
    }

    /// Last parts of the addresses of a cluster's endpoints.
    fn hosts(&self, name: &str) -> Option<Vec<u8>> {
        let cluster = self.clusters.slot(&name.into()).load()?;
        let hosts = cluster.endpoints.all().iter();
        let last = hosts.map(|e| match e.host.address.ip() {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(_) => 0,
        });
        Some(last.collect())
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_warm_once_its_names_were_looked_up() {
    let kept = Kept::start();
    kept.script.answers(&[2, 1], 30);
    let applied = kept.clusters.apply(
        model("c", dns(DnsKind::Strict, &["a.test"])),
        &Secrets::default(),
    );
    assert_eq!(applied, Warmth::WaitsForNames);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(kept.hosts("c"), Some(vec![1, 2]), "all addresses");
    kept.apply("l", dns(DnsKind::Logical, &["a.test"])).await;
    assert_eq!(kept.hosts("l"), Some(vec![2]), "the first address");
    assert_eq!(kept.script.asked.lock().len(), 1, "one query serves both");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_cannot_be_looked_up_leaves_a_cluster_without_endpoints_and_an_address_needs_no_query()
 {
    let kept = Kept::start();
    kept.apply("c", dns(DnsKind::Strict, &["a.test"])).await;
    assert_eq!(kept.hosts("c"), Some(vec![]));
    kept.apply("d", dns(DnsKind::Strict, &["10.0.0.9"])).await;
    assert_eq!(kept.hosts("d"), Some(vec![9]));
    assert!(
        kept.script
            .asked
            .lock()
            .iter()
            .all(|(name, _)| name == "a.test")
    );
}

#[tokio::test(start_paused = true)]
async fn last_addresses_stay_while_name_servers_are_down_and_new_ones_come_within_seconds() {
    let kept = Kept::start();
    kept.script.answers(&[1], 10);
    kept.apply("c", dns(DnsKind::Strict, &["a.test"])).await;
    *kept.script.answer.lock() = None;
    sleep(120 * S).await;
    assert_eq!(kept.hosts("c"), Some(vec![1]));
    kept.script.answers(&[2, 3], 10);
    sleep(5 * S).await;
    assert_eq!(kept.hosts("c"), Some(vec![2, 3]));
    let pauses = kept.script.pauses();
    assert!(pauses.iter().all(|p| (1..=10).contains(p)), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn answers_are_kept_as_long_as_they_say_but_a_name_is_asked_for_once_a_second_at_most() {
    let kept = Kept::start();
    kept.script.answers(&[1], 10);
    kept.apply("c", dns(DnsKind::Strict, &["a.test"])).await;
    sleep(35 * S).await;
    assert_eq!(kept.script.pauses(), [10, 10, 10], "what the answer says");
    let ours = DnsDiscovery {
        respect_ttl: false,
        refresh: Duration::from_millis(1),
        ..dns(DnsKind::Strict, &["b.test"])
    };
    kept.apply("c", ours).await;
    sleep(5 * S).await;
    let pauses = kept.script.pauses();
    assert!(
        pauses.len() <= 6 && pauses[1..].iter().all(|p| *p >= 1),
        "{pauses:?}"
    );
    kept.clusters.remove(&"c".into());
    kept.script.pauses();
    sleep(60 * S).await;
    assert!(
        kept.script.asked.lock().len() <= 1,
        "nobody uses it any more"
    );
}

#[tokio::test(start_paused = true)]
async fn a_zero_ttl_says_nothing() {
    let kept = Kept::start();
    kept.script.answers(&[1], 0);
    kept.apply("c", dns(DnsKind::Strict, &["a.test"])).await;
    sleep(125 * S).await;
    assert_eq!(kept.script.pauses(), [60, 60], "as the cluster says");
}

#[tokio::test(start_paused = true)]
async fn failures_are_spread_as_the_cluster_says() {
    let kept = Kept::start();
    let patient = DnsDiscovery {
        failure_refresh: Some((8 * S, 32 * S)),
        ..dns(DnsKind::Strict, &["a.test"])
    };
    kept.apply("c", patient).await;
    sleep(200 * S).await;
    let pauses = kept.script.pauses();
    for (pause, longest) in pauses.iter().zip([8, 16, 32, 32, 32, 32]) {
        assert!((longest / 2..=longest).contains(pause), "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_outlive_answers_and_a_single_endpoint_stays_where_it_is() {
    let kept = Kept::start();
    kept.script.answers(&[1, 2], 10);
    kept.apply("s", dns(DnsKind::Strict, &["a.test"])).await;
    kept.apply("l", dns(DnsKind::Logical, &["a.test"])).await;
    let host = |name: &str| {
        let cluster = kept.clusters.slot(&name.into()).load().expect("warm");
        Arc::clone(&cluster.endpoints.all()[0].host)
    };
    let (strict, logical) = (host("s"), host("l"));
    let version = kept.clusters.slot(&"s".into()).version();
    kept.script.answers(&[2, 1], 10);
    sleep(11 * S).await;
    assert_eq!((host("s").id, host("l").id), (strict.id, logical.id));
    assert_eq!(
        kept.clusters.slot(&"s".into()).version(),
        version,
        "only turned around"
    );
    kept.script.answers(&[2], 10);
    sleep(11 * S).await;
    assert!(strict.is_removed() && logical.is_removed());
    assert_eq!(kept.hosts("l"), Some(vec![2]));
}
