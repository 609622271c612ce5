use super::*;
use crate::{
    dns::Lookups,
    tls::Secrets,
    upstream::{
        Clusters,
        balance::Pick,
        cluster::tests::{assignment, cluster},
    },
};
use mesh_model::cluster::{self, Discovery, Percent};
use std::{collections::HashSet, net::SocketAddr, time::Duration};
use tokio::time::sleep;

const S: Duration = Duration::from_secs(1);

fn addresses(count: u8) -> Vec<SocketAddr> {
    (1..=count).map(|n| ([10, 0, 0, n], 80).into()).collect()
}

/// As Istio writes it, for so many hosts.
fn model(hosts: u8, change: impl FnOnce(&mut OutlierDetection)) -> cluster::Cluster {
    let mut config = OutlierDetection {
        max_ejection_percent: Percent::new(50).expect("a percentage"),
        ..OutlierDetection::default()
    };
    config.success_rate.enforcing = Percent::ZERO;
    change(&mut config);
    cluster::Cluster {
        outlier_detection: Some(config),
        healthy_panic_threshold: Some(Percent::ZERO),
        discovery: Discovery::Eds("c".into()),
        ..cluster("c", &addresses(hosts))
    }
}

/// Clusters that are kept up.
struct Kept {
    clusters: Arc<Clusters>,
    upkeep: tokio::task::JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

impl Kept {
    fn of(hosts: u8, change: impl FnOnce(&mut OutlierDetection)) -> Self {
        let clusters = Arc::<Clusters>::default();
        clusters.apply(model(hosts, change), &Secrets::default());
        clusters.apply_endpoints(assignment("c", &addresses(hosts)));
        let kept = Arc::clone(&clusters);
        Self {
            clusters,
            upkeep: tokio::spawn(async move { kept.keep_up(&Lookups::default()).await }),
        }
    }

    fn host(&self, number: usize) -> Arc<Host> {
        let cluster = self.clusters.slot(&"c".into()).load().expect("in force");
        Arc::clone(&cluster.endpoints.all()[number - 1].host)
    }

    /// Puts so many outcomes to a host, and lets the control side act.
    async fn put(&self, number: usize, times: usize, outcome: Outcome) {
        let cluster = self.clusters.slot(&"c".into()).load().expect("in force");
        let host = self.host(number);
        (0..times).for_each(|_| cluster.info.put(&host, outcome));
        sleep(Duration::from_millis(1)).await;
    }

    /// Numbers of the hosts that are picked.
    fn picked(&self) -> HashSet<u8> {
        let cluster = self.clusters.slot(&"c".into()).load().expect("in force");
        let picks = (0..200).filter_map(|_| {
            let endpoint = cluster.endpoint(&Pick::default()).ok()?;
            match endpoint.host.address {
                SocketAddr::V4(address) => address.ip().octets().last().copied(),
                SocketAddr::V6(_) => None,
            }
        });
        picks.collect()
    }

    fn counter(&self, name: &str) -> u64 {
        let cluster = self.clusters.slot(&"c".into()).load().expect("in force");
        let stats = &cluster.info.outliers.as_ref().expect("looked after").stats;
        let name = format!("outlier_detection.{name}");
        let counters = stats.counters();
        counters.iter().find(|c| c.0 == name).expect("a counter").1
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_fails_five_times_in_a_row_is_ejected_for_the_base_time() {
    let kept = Kept::of(3, |_| ());
    kept.put(1, 4, Outcome::Answered(500)).await;
    kept.put(1, 1, Outcome::Answered(200)).await;
    kept.put(1, 4, Outcome::Answered(500)).await;
    assert_eq!(kept.picked(), [1, 2, 3].into(), "not in a row");
    kept.put(1, 1, Outcome::Failed).await;
    assert_eq!(kept.picked(), [2, 3].into());
    assert!(kept.host(1).monitor.is_ejected());
    assert_eq!(kept.counter("ejections_enforced_consecutive_5xx"), 1);
    sleep(29 * S).await;
    assert_eq!(kept.picked(), [2, 3].into());
    sleep(12 * S).await;
    assert_eq!(kept.picked(), [1, 2, 3].into(), "at the next look");
}

#[tokio::test(start_paused = true)]
async fn ejections_grow_longer_up_to_the_longest_and_are_forgiven() {
    let kept = Kept::of(2, |config| {
        config.interval = S;
        config.base_ejection_time = 10 * S;
        config.max_ejection_time = Some(25 * S);
    });
    let lasts = async || {
        kept.put(1, 5, Outcome::Answered(503)).await;
        let (host, began) = (kept.host(1), tokio::time::Instant::now());
        while host.monitor.is_ejected() {
            sleep(Duration::from_millis(10)).await;
        }
        began.elapsed().as_secs()
    };
    for seconds in [10, 20, 25, 25] {
        let lasted = lasts().await;
        assert!((seconds..=seconds + 1).contains(&lasted), "{lasted}");
    }
    sleep(10 * S).await;
    assert!((9..=11).contains(&lasts().await), "it was good for long");
}

#[tokio::test(start_paused = true)]
async fn no_more_are_ejected_than_may_be() {
    let kept = Kept::of(4, |_| ());
    for number in 1..=3 {
        kept.put(number, 5, Outcome::Answered(500)).await;
    }
    assert_eq!(kept.picked(), [3, 4].into());
    assert_eq!(kept.counter("ejections_overflow"), 1);

    let ten = |config: &mut OutlierDetection| {
        config.max_ejection_percent = Percent::new(10).expect("a percentage");
    };
    let kept = Kept::of(4, ten);
    kept.put(1, 5, Outcome::Failed).await;
    assert_eq!(kept.picked().len(), 4, "one is more than a tenth");
    let kept = Kept::of(4, |config| {
        ten(config);
        config.always_eject_one_host = true;
    });
    kept.put(1, 5, Outcome::Failed).await;
    kept.put(2, 5, Outcome::Failed).await;
    assert_eq!(kept.picked(), [2, 3, 4].into());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_enforced_is_only_counted() {
    let kept = Kept::of(2, |config| config.consecutive_5xx.enforcing = Percent::ZERO);
    kept.put(1, 5, Outcome::Answered(503)).await;
    assert_eq!(kept.picked(), [1, 2].into());
    assert_eq!(kept.counter("ejections_detected_consecutive_5xx"), 1);
    let detected = "ejections_detected_consecutive_gateway_failure";
    assert_eq!(kept.counter(detected), 1);
    let kept = Kept::of(2, |config| {
        config.consecutive_5xx.count = 0;
        config.consecutive_gateway_failure.enforcing = Percent::HUNDRED;
    });
    kept.put(1, 9, Outcome::Answered(500)).await;
    assert_eq!(kept.picked().len(), 2, "no gateway failure");
    kept.put(1, 5, Outcome::TimedOut).await;
    assert_eq!(kept.picked(), [2].into());
}

#[tokio::test(start_paused = true)]
async fn local_failures_are_counted_apart_where_they_are_split() {
    let kept = Kept::of(3, |config| {
        config.split_local_origin = true;
        config.consecutive_5xx.count = 3;
        config.consecutive_local_origin_failure.count = 2;
    });
    kept.put(1, 1, Outcome::Failed).await;
    kept.put(1, 1, Outcome::Connected).await;
    kept.put(1, 1, Outcome::TimedOut).await;
    kept.put(1, 2, Outcome::Answered(500)).await;
    assert_eq!(kept.picked().len(), 3);
    kept.put(1, 1, Outcome::Failed).await;
    assert_eq!(kept.picked(), [2, 3].into());
    let enforced = "ejections_enforced_consecutive_local_origin_failure";
    assert_eq!(kept.counter(enforced), 1);
}

#[tokio::test(start_paused = true)]
async fn who_succeeds_less_often_than_the_others_is_ejected() {
    let kept = Kept::of(5, |config| {
        config.success_rate.enforcing = Percent::HUNDRED;
        config.success_rate.request_volume = 20;
        config.consecutive_5xx.count = 0;
    });
    for number in 1..=5 {
        kept.put(number, 20, Outcome::Answered(200)).await;
    }
    kept.put(5, 20, Outcome::Answered(500)).await;
    sleep(10 * S).await;
    assert_eq!(kept.picked(), [1, 2, 3, 4].into());
    assert_eq!(kept.counter("ejections_enforced_success_rate"), 1);
    assert_eq!(kept.host(5).monitor.rates()[0], Some(50.0));
    sleep(10 * S).await;
    assert_eq!(kept.host(5).monitor.rates()[0], None, "nothing was asked");
}

#[tokio::test(start_paused = true)]
async fn who_fails_too_often_is_ejected_whatever_the_others_do() {
    let kept = Kept::of(3, |config| {
        config.failure_percentage.enforcing = Percent::HUNDRED;
        config.failure_percentage.minimum_hosts = 1;
        config.consecutive_5xx.count = 0;
    });
    kept.put(1, 42, Outcome::Answered(200)).await;
    kept.put(1, 8, Outcome::Answered(500)).await;
    kept.put(2, 7, Outcome::Answered(200)).await;
    kept.put(2, 43, Outcome::Answered(500)).await;
    kept.put(3, 49, Outcome::Answered(500)).await;
    sleep(10 * S).await;
    assert_eq!(kept.picked(), [1, 3].into(), "85 % of enough requests");
}

#[tokio::test(start_paused = true)]
async fn an_ejection_outlives_pushes_until_nobody_looks_after_the_host() {
    let kept = Kept::of(3, |_| ());
    kept.put(1, 5, Outcome::Failed).await;
    kept.clusters
        .apply_endpoints(assignment("c", &addresses(3)));
    assert_eq!(kept.picked(), [2, 3].into(), "endpoints came again");
    let changed = model(3, |config| config.interval = 5 * S);
    kept.clusters.apply(changed, &Secrets::default());
    assert_eq!(kept.picked(), [2, 3].into(), "the cluster changed");
    assert_eq!(kept.counter("ejections_enforced_total"), 1);
    let without = cluster::Cluster {
        outlier_detection: None,
        ..model(3, |_| ())
    };
    kept.clusters.apply(without, &Secrets::default());
    assert_eq!(kept.picked(), [1, 2, 3].into());
}

/// Neither worker alone sees enough.
#[tokio::test(start_paused = true)]
async fn a_host_is_judged_by_what_two_workers_saw() {
    let kept = Kept::of(3, |_| ());
    let cluster = kept.clusters.slot(&"c".into()).load().expect("in force");
    std::thread::scope(|scope| {
        for failures in [3, 2] {
            let (cluster, host) = (Arc::clone(&cluster), kept.host(1));
            scope.spawn(move || {
                (0..failures).for_each(|_| cluster.info.put(&host, Outcome::Failed));
            });
        }
    });
    sleep(Duration::from_millis(1)).await;
    assert_eq!(kept.picked(), [2, 3].into());
}
