use super::*;
use crate::testing::api::Api as ApiServer;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use tokio::task::JoinSet;

/// How many lead at the moment.
#[derive(Clone, Default)]
struct Leading(Arc<AtomicUsize>);

struct Held(Leading);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

impl Leading {
    async fn work(self) {
        self.0.fetch_add(1, SeqCst);
        let _held = Held(self);
        std::future::pending().await
    }

    async fn becomes(&self, wanted: usize) {
        let reached = async {
            while self.0.load(SeqCst) != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(20), reached).await;
        reached.unwrap_or_else(|_| panic!("{} lead, not {wanted}", self.0.load(SeqCst)));
    }
}

fn start(api: &ApiServer, name: &str, leading: &Leading, tasks: &mut JoinSet<()>) -> Shutdown {
    let shutdown = Shutdown::new();
    let election = Election::new(api.client(), "istio-system", "mesh-leader", name);
    let (stop, leading) = (shutdown.clone(), leading.clone());
    tasks.spawn(election.run(stop, move || leading.clone().work()));
    shutdown
}

fn held_by(api: &ApiServer) -> String {
    let lease = api
        .get("leases", "istio-system", "mesh-leader")
        .expect("a lease");
    lease["spec"]["holderIdentity"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn one_leads_and_steps_down_at_the_end_and_another_follows() {
    let api = ApiServer::start().await;
    let (a, b) = (Leading::default(), Leading::default());
    let mut tasks = JoinSet::new();
    let stop_a = start(&api, "a", &a, &mut tasks);
    a.becomes(1).await;
    let stop_b = start(&api, "b", &b, &mut tasks);
    tokio::time::sleep(RENEW_EVERY + Duration::from_millis(500)).await;
    assert_eq!((held_by(&api).as_str(), b.0.load(SeqCst)), ("a", 0));
    stop_a.request("test");
    a.becomes(0).await;
    b.becomes(1).await;
    assert_eq!(held_by(&api), "b");
    stop_b.request("test");
    while tasks.join_next().await.is_some() {}
    assert_eq!(held_by(&api), "", "given back");
}

#[tokio::test]
async fn who_cannot_renew_stops_before_others_may_begin() {
    let api = ApiServer::start().await;
    let a = Leading::default();
    let mut tasks = JoinSet::new();
    let _stop = start(&api, "a", &a, &mut tasks);
    a.becomes(1).await;
    api.set_broken(Some(http::StatusCode::INTERNAL_SERVER_ERROR));
    let since = Instant::now();
    a.becomes(0).await;
    assert!(since.elapsed() < DURATION, "{:?}", since.elapsed());
    api.set_broken(None);
    a.becomes(1).await;
}

#[test]
fn a_lease_is_free_when_it_was_not_renewed_for_its_duration() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("runtime");
    runtime.block_on(async move {
        // Nothing is asked of this server.
        let client = Client::try_from(kube::Config::new(
            "http://127.0.0.1:1".parse().expect("address"),
        ));
        let mut election = Election::new(client.expect("client"), "n", "l", "us");
        let theirs = |renewals: i32| Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some("them".into()),
                lease_duration_seconds: Some(15),
                lease_transitions: Some(renewals),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        };
        for renewals in 0..3 {
            election.note(theirs(renewals));
            tokio::time::advance(Duration::from_secs(14)).await;
            assert!(!election.is_free(&theirs(renewals)));
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(election.is_free(&theirs(2)));
        let taken = election.ours(Some(theirs(2))).spec.expect("a spec");
        assert_eq!(
            (taken.lease_transitions, taken.holder_identity.as_deref()),
            (Some(3), Some("us"))
        );
    });
}
