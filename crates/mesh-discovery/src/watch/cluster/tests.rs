use super::*;
use crate::{
    testing::{api::Api, service, slice},
    watch::{Kind, ObjectRef, Stored},
};
use http::StatusCode;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough for a watch to be taken up again.
const QUIET: Duration = Duration::from_millis(1500);

fn pod(name: &str, extra: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: test{extra}}}\nspec: {{nodeName: node-1, containers: [{{name: app, image: i}}]}}\nstatus: {{phase: Running, podIP: 10.0.0.1}}\n"
    )
}

async fn next(cluster: &mut Cluster) -> Vec<Delta> {
    let next = tokio::time::timeout(PATIENCE, cluster.next()).await;
    next.expect("changes in time").expect("running")
}

async fn assert_quiet(cluster: &mut Cluster) {
    let more = tokio::time::timeout(QUIET, cluster.next()).await;
    assert!(more.is_err(), "{more:?}");
}

fn names(deltas: &[Delta]) -> Vec<String> {
    let name = |delta: &Delta| match delta {
        Delta::Set(object) => format!("+{:?} {}", object.kind(), object.name()),
        Delta::Gone(kind, name) => format!("-{kind:?} {name}"),
    };
    let mut all: Vec<_> = deltas.iter().map(name).collect();
    all.sort();
    all
}

#[tokio::test]
async fn all_is_told_first_and_then_what_changes() {
    let api = Api::start().await;
    api.apply(&(service("web") + &slice("web", &["10.0.0.1"]) + &pod("web-0", "")));
    let readiness = Readiness::new();
    let mut cluster = Cluster::new(&api.client(), "istio-system", &readiness);
    assert!(readiness.check().is_err());
    let all = [
        "+EndpointSlice test/web",
        "+Pod test/web-0",
        "+Service test/web",
    ];
    assert_eq!(names(&next(&mut cluster).await), all);
    assert_eq!(readiness.check(), Ok(()));
    api.apply(&slice("web", &["10.0.0.2"]));
    assert_eq!(
        names(&next(&mut cluster).await),
        ["+EndpointSlice test/web"]
    );
    api.delete("services", "test", "web");
    assert_eq!(names(&next(&mut cluster).await), ["-Service test/web"]);
}

#[tokio::test]
async fn what_nobody_reads_changes_nothing() {
    let api = Api::start().await;
    api.apply(&pod("web-0", ""));
    let mut cluster = Cluster::new(&api.client(), "istio-system", &Readiness::new());
    let first = next(&mut cluster).await;
    let Delta::Set(Stored::Pod(kept)) = &first[0] else {
        panic!("{first:?}");
    };
    assert_eq!(
        kept.spec.as_ref().expect("a spec").containers[0].image,
        None
    );
    api.apply(&pod(
        "web-0",
        ", annotations: {seen: yes}, managedFields: [{manager: m}]",
    ));
    assert_quiet(&mut cluster).await;
    api.apply(&pod("web-0", ", labels: {a: b}"));
    assert_eq!(names(&next(&mut cluster).await), ["+Pod test/web-0"]);
}

#[tokio::test]
async fn f13_a_forgotten_version_or_a_disconnect_tells_nothing_but_what_changed() {
    let api = Api::start().await;
    api.apply(&(service("web") + &service("gone") + &pod("web-0", "")));
    let mut cluster = Cluster::new(&api.client(), "istio-system", &Readiness::new());
    assert_eq!(next(&mut cluster).await.len(), 3);
    api.disconnect();
    assert_quiet(&mut cluster).await;
    assert_eq!(
        api.lists("pods"),
        1,
        "a watch that ends is taken up where it was"
    );
    api.forget_versions();
    assert_quiet(&mut cluster).await;
    assert_eq!(api.lists("pods"), 2, "a forgotten version is listed again");
    api.delete_unseen("services", "test", "gone");
    api.apply_unseen(&service("new"));
    api.forget_versions();
    let blind = ["+Service test/new", "-Service test/gone"];
    assert_eq!(names(&next(&mut cluster).await), blind);
}

#[tokio::test]
async fn f14_a_server_that_is_away_is_asked_now_and_then_and_costs_nothing() {
    let api = Api::start().await;
    api.apply(&service("web"));
    let mut cluster = Cluster::new(&api.client(), "istio-system", &Readiness::new());
    assert_eq!(next(&mut cluster).await.len(), 1);
    api.set_broken(Some(StatusCode::INTERNAL_SERVER_ERROR));
    let before = api.requests();
    assert_quiet(&mut cluster).await;
    assert!(
        api.requests() - before <= 4 * 5,
        "{}",
        api.requests() - before
    );
    api.apply(&service("new"));
    api.set_broken(None);
    assert_eq!(names(&next(&mut cluster).await), ["+Service test/new"]);
}

#[tokio::test]
async fn f04_nothing_is_told_before_every_kind_is_listed_and_ready_says_which_are_not() {
    let api = Api::start().await;
    api.apply(&service("web"));
    api.set_missing("nodes", true);
    let readiness = Readiness::new();
    let mut cluster = Cluster::new(&api.client(), "istio-system", &readiness);
    assert_quiet(&mut cluster).await;
    let unready = readiness.check().expect_err("not ready").to_string();
    assert!(
        unready.starts_with("nodes: cannot be listed: "),
        "{unready}"
    );
    assert!(!unready.contains("pods"), "{unready}");
    api.set_missing("nodes", false);
    assert_eq!(names(&next(&mut cluster).await), ["+Service test/web"]);
    assert_eq!(readiness.check(), Ok(()));
}

#[tokio::test]
async fn settings_that_are_not_understood_leave_the_old_in_force() {
    let api = Api::start().await;
    let settings = |text: &str| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata: {{mesh: '{text}'}}\n"
        )
    };
    api.apply(&settings("trustDomain: a"));
    api.apply(&settings("trustDomain: b").replace("name: istio,", "name: other,"));
    let mut cluster = Cluster::new(&api.client(), "istio-system", &Readiness::new());
    let problems = cluster.problems();
    assert_eq!(
        names(&next(&mut cluster).await),
        ["+MeshConfig istio-system/istio"]
    );
    api.apply(&settings("trustDomain: [no]"));
    assert_quiet(&mut cluster).await;
    let found = problems.borrow().clone();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].place, "ConfigMap istio-system/istio");
    api.delete("configmaps", "istio-system", "istio");
    let gone = Delta::Gone(Kind::MeshConfig, ObjectRef::new("istio-system", "istio"));
    assert_eq!(next(&mut cluster).await, [gone]);
    assert!(problems.borrow().is_empty());
}

fn definition(plural: &str, group: &str, kind: &str) -> String {
    format!(
        "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {plural}.{group}}}\nspec: {{group: {group}, names: {{plural: {plural}, kind: {kind}}}}}\n"
    )
}

fn peers_definition() -> String {
    definition(
        "peerauthentications",
        "security.istio.io",
        "PeerAuthentication",
    )
}

fn peers(mode: &str) -> String {
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: default, namespace: test}}\nspec: {{mtls: {{mode: {mode}}}}}\n"
    )
}

#[tokio::test]
async fn kinds_that_are_missing_do_not_block_and_are_picked_up_when_they_appear() {
    let api = Api::start().await;
    api.apply(&service("web"));
    let readiness = Readiness::new();
    let mut cluster = Cluster::new(&api.client(), "istio-system", &readiness);
    assert_eq!(names(&next(&mut cluster).await), ["+Service test/web"]);
    assert_eq!(readiness.check(), Ok(()));
    // Defined, and served a little later, as by a real API server.
    api.set_unserved("peerauthentications", true);
    api.apply(&(peers_definition() + &peers("STRICT")));
    assert_quiet(&mut cluster).await;
    api.set_unserved("peerauthentications", false);
    let policy = "PeerAuthentication test/default";
    assert_eq!(names(&next(&mut cluster).await), [format!("+{policy}")]);
    let definitions = "customresourcedefinitions";
    api.delete(definitions, "", "peerauthentications.security.istio.io");
    assert_eq!(names(&next(&mut cluster).await), [format!("-{policy}")]);
}

#[tokio::test]
async fn policies_are_listed_before_anything_is_told() {
    let api = Api::start().await;
    api.apply(&(service("web") + &peers_definition() + &peers("STRICT")));
    let mut cluster = Cluster::new(&api.client(), "istio-system", &Readiness::new());
    let first = next(&mut cluster).await;
    assert_eq!(
        names(&first),
        ["+PeerAuthentication test/default", "+Service test/web"]
    );
    api.apply(&peers("SOMETIMES"));
    assert_quiet(&mut cluster).await;
    let problems = cluster.problems().borrow().clone();
    assert_eq!(problems[0].place, "PeerAuthentication test/default");
    assert!(
        problems[0].reason.contains("spec.mtls.mode"),
        "{problems:?}"
    );
    api.apply(&peers("PERMISSIVE"));
    assert_eq!(next(&mut cluster).await.len(), 1);
    assert!(cluster.problems().borrow().is_empty());
}

#[tokio::test]
async fn what_is_not_executed_is_named_and_blocks_nothing() {
    let api = Api::start().await;
    let defined = definition("virtualservices", "networking.istio.io", "VirtualService");
    let object = "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: test}\n";
    api.apply(&(service("web") + &defined + object));
    api.apply(&definition("others", "example.org", "Other"));
    let mut cluster = Cluster::new(&api.client(), "istio-system", &Readiness::new());
    let mut problems = cluster.problems();
    assert_eq!(names(&next(&mut cluster).await), ["+Service test/web"]);
    let named = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            found = problems.wait_for(|p| !p.is_empty()) => found.expect("running").clone(),
            _ = cluster.next() => panic!("nothing changes"),
        }
    });
    let named = named.await.expect("named in time");
    assert_eq!(named[0].place, "VirtualService test/v");
    assert!(named[0].reason.contains("does not execute"), "{named:?}");
    assert_eq!(api.lists("others"), 0);
}
