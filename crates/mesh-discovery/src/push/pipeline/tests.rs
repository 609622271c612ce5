use super::*;
use crate::{
    snapshot::ClusterIdentity,
    testing::{ChannelSource, changes, gone, service, slice},
    watch::Kind,
};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

struct Running {
    source: ChannelSource,
    publications: Publications,
    metrics: Arc<Metrics>,
}

fn start() -> Running {
    let (source, received) = ChannelSource::new();
    let metrics = Arc::new(Metrics::default());
    let world = World::empty(ClusterIdentity::default());
    let (pipeline, publications) = Pipeline::new(world, Debounce::default(), metrics.clone());
    tokio::spawn(pipeline.run(received));
    Running {
        source,
        publications,
        metrics,
    }
}

impl Running {
    async fn apply(&self, manifests: &str) {
        self.source.send(changes(manifests)).await;
    }

    /// The push that comes next, and how long it took to come.
    async fn push(&mut self) -> (Arc<Published>, Duration) {
        let start = Instant::now();
        self.publications.changed().await.expect("running");
        let push = self
            .publications
            .borrow_and_update()
            .clone()
            .expect("synced");
        (push, start.elapsed())
    }

    /// With a service of two endpoints, already published.
    async fn serving() -> Self {
        let mut running = start();
        let manifests = service("web") + &slice("web", &["10.0.0.1", "10.0.0.2"]);
        running.apply(&manifests).await;
        running.push().await;
        running
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_batch_is_published_as_one_and_at_once() {
    let mut running = start();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(running.publications.borrow().is_none());
    running.apply(&(service("web") + &service("db"))).await;
    let (first, waited) = running.push().await;
    assert_eq!((first.generation, waited), (1, Duration::ZERO));
    assert_eq!(first.world.services().iter().count(), 2);
    assert_eq!(running.metrics.services.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_one_push_after_a_quiet_time() {
    let mut running = Running::serving().await;
    let start = Instant::now();
    for name in ["a", "b", "c"] {
        running.apply(&service(name)).await;
        tokio::time::sleep(60 * MS).await;
    }
    let (push, _) = running.push().await;
    assert_eq!(start.elapsed().as_millis(), 220);
    assert_eq!(push.generation, 2);
    assert_eq!(push.world.services().iter().count(), 4);
    assert!(push.change_since(1).full);
    assert!(push.changed_at <= start + MS);
    assert_eq!(running.metrics.debounce_time.count(), 1);
    assert_eq!(
        running.metrics.push_triggers[Trigger::Config as usize].get(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_goes_is_pushed_at_once() {
    let mut running = Running::serving().await;
    running.apply(&slice("web", &["10.0.0.1"])).await;
    let (push, waited) = running.push().await;
    assert!(waited < 2 * MS, "{waited:?}");
    let change = push.change_since(1);
    assert!(!change.full && change.endpoints.len() == 1, "{change:?}");
    assert_eq!(
        running.metrics.push_triggers[Trigger::Endpoint as usize].get(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_comes_waits_for_quiet() {
    let mut running = Running::serving().await;
    running
        .apply(&slice("web", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]))
        .await;
    let (_, waited) = running.push().await;
    assert_eq!(waited.as_millis(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_slice_that_is_replaced_is_never_seen_empty() {
    let mut running = Running::serving().await;
    running
        .source
        .send(vec![gone(Kind::EndpointSlice, "web")])
        .await;
    tokio::time::sleep(50 * MS).await;
    running
        .apply(&slice("web", &["10.0.0.2", "10.0.0.3"]))
        .await;
    let (push, _) = running.push().await;
    assert_eq!(
        push.world
            .endpoints("web.test.svc.cluster.local")
            .iter()
            .count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn what_changes_nothing_is_not_pushed() {
    let mut running = Running::serving().await;
    running.apply(&service("web")).await;
    let quiet = tokio::time::timeout(Duration::from_secs(60), running.push()).await;
    assert!(quiet.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_ends_leaves_the_last_world_in_force() {
    let mut running = Running::serving().await;
    running.apply(&service("db")).await;
    running.source = ChannelSource::new().0;
    let (last, _) = running.push().await;
    assert_eq!(last.world.services().iter().count(), 2);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(
        running
            .publications
            .has_changed()
            .is_ok_and(|changed| !changed),
        "still published"
    );
}
