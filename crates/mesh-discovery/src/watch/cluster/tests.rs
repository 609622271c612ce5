use super::*;
use crate::{
    ca::{CertificateAuthority, directory::CaDirectory, lifetime::Lifetime, secret::CaSecret},
    lead::{Election, RootCertificates},
};
use crate::{
    testing::{api::Api, service, slice},
    watch::{Kind, ObjectRef, Stored},
};
use http::StatusCode;
use mesh_runtime::shutdown::Shutdown;
use std::time::Duration;
use tokio::task::JoinSet;

/// Longer than the longest pause of a watch.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough for a watch to be taken up again.
const QUIET: Duration = Duration::from_millis(1500);

fn pod(name: &str, extra: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: test{extra}}}\nspec: {{nodeName: node-1, containers: [{{name: app, image: i}}]}}\nstatus: {{phase: Running, podIP: 10.0.0.1}}\n"
    )
}

fn watching(api: &Api, readiness: &Readiness) -> Cluster {
    Cluster::new(
        &api.client(),
        &Watchers::default(),
        &ObjectRef::new("istio-system", "istio"),
        readiness,
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
    let mut cluster = watching(&api, &readiness);
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
    let mut cluster = watching(&api, &Readiness::new());
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
    let mut cluster = watching(&api, &Readiness::new());
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
    let mut cluster = watching(&api, &Readiness::new());
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
    let mut cluster = watching(&api, &readiness);
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
    let mut cluster = watching(&api, &Readiness::new());
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

#[tokio::test]
async fn a_revision_follows_its_own_settings() {
    let api = Api::start().await;
    let settings = |name: &str, domain: &str| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: istio-system}}\ndata: {{mesh: 'trustDomain: {domain}'}}\n"
        )
    };
    api.apply(&(settings("istio", "other") + &settings("istio-canary", "a")));
    let own = ObjectRef::new("istio-system", "istio-canary");
    let readiness = Readiness::new();
    let mut cluster = Cluster::new(&api.client(), &Watchers::default(), &own, &readiness);
    let mut stores = crate::watch::Stores::default();
    let mut world = crate::snapshot::World::empty(crate::snapshot::ClusterIdentity {
        settings: "istio-canary".into(),
        ..Default::default()
    });
    for domain in ["a", "b"] {
        api.apply(&settings("istio-canary", domain));
        for delta in next(&mut cluster).await {
            stores.apply(delta);
        }
        let touched = stores.take_touched();
        world = world.next(&stores, &touched).0;
        assert_eq!(world.mesh().trust_domain, domain);
    }
    api.apply(&settings("istio", "c"));
    assert_quiet(&mut cluster).await;
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
    let mut cluster = watching(&api, &readiness);
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
    let mut cluster = watching(&api, &Readiness::new());
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
    let mut cluster = watching(&api, &Readiness::new());
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

/// The definition of policies, served in these versions only.
fn peers_definition_in(versions: &str) -> String {
    peers_definition().replace("spec: {", &format!("spec: {{versions: [{versions}], "))
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_served_in_another_version_is_watched_in_that_one_and_keeps_its_state() {
    let in_beta = |mode: &str| peers(mode).replace("istio.io/v1\n", "istio.io/v1beta1\n");
    for (late, seen) in [(false, true), (true, true), (true, false)] {
        let api = Api::in_process();
        api.apply(&(service("web") + &peers_definition_in("{name: v1beta1}") + &in_beta("STRICT")));
        let mut cluster = watching(&api, &Readiness::new());
        assert_eq!(next(&mut cluster).await.len(), 2);
        // The definition is rewritten, and what is served follows a little later; or nobody is told of it.
        api.set_unserved("peerauthentications", late);
        let rewritten = peers_definition_in("{name: v1}") + &peers("STRICT");
        match seen {
            true => api.apply(&rewritten),
            false => api.apply_unseen(&rewritten),
        }
        api.disconnect();
        let policy = "+PeerAuthentication test/default";
        for (unserved, patience) in [(late, 3), (false, 60)] {
            api.set_unserved("peerauthentications", unserved);
            let patience = Duration::from_secs(patience);
            // It may be told in its new version; it is never gone.
            while let Ok(told) = tokio::time::timeout(patience, cluster.next()).await {
                assert_eq!(names(&told.expect("running")), [policy]);
            }
        }
        api.apply(&peers("PERMISSIVE"));
        let told = tokio::time::timeout(PATIENCE, cluster.next()).await;
        let told = told.unwrap_or_else(|_| {
            let calls = api.calls();
            panic!(
                "late: {late}, seen: {seen}, asked last: {:?}",
                &calls[calls.len() - 12..]
            )
        });
        assert_eq!(names(&told.expect("running")), [policy]);
        let asked = api.requests();
        let quiet = tokio::time::timeout(Duration::from_secs(600), cluster.next()).await;
        assert!(quiet.is_err(), "{quiet:?}");
        assert!(api.requests() - asked < 200, "{}", api.requests() - asked);
    }
}

#[tokio::test(start_paused = true)]
async fn kinds_of_groups_that_the_role_does_not_allow_are_not_watched() {
    let api = Api::in_process();
    let foreign = definition("istiooperators", "install.istio.io", "IstioOperator");
    let object = "---\napiVersion: install.istio.io/v1\nkind: IstioOperator\nmetadata: {name: o, namespace: test}\n";
    api.apply(&(service("web") + &foreign + object + &peers_definition()));
    let mut cluster = watching(&api, &Readiness::new());
    assert_eq!(names(&next(&mut cluster).await), ["+Service test/web"]);
    let quiet = tokio::time::timeout(Duration::from_secs(60), cluster.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    assert_eq!(
        (
            api.lists("istiooperators"),
            api.lists("peerauthentications")
        ),
        (0, 1)
    );
    assert!(cluster.problems().borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn f14_a_policy_stays_while_a_server_that_starts_does_not_know_its_kind() {
    let api = Api::in_process();
    api.apply(&(service("web") + &peers_definition() + &peers("STRICT")));
    let mut cluster = watching(&api, &Readiness::new());
    assert_eq!(next(&mut cluster).await.len(), 2);
    api.set_missing("peerauthentications", true);
    api.forget_versions();
    let quiet = tokio::time::timeout(Duration::from_secs(300), cluster.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    api.set_missing("peerauthentications", false);
    api.apply(&peers("PERMISSIVE"));
    let changed = tokio::time::timeout(Duration::from_secs(30), cluster.next()).await;
    let policy = "+PeerAuthentication test/default";
    assert_eq!(
        names(&changed.expect("in time").expect("running")),
        [policy]
    );
}

#[tokio::test(start_paused = true)]
async fn f14_policies_that_cannot_be_listed_are_waited_for_at_the_start_and_hold_up_nothing_later()
{
    let api = Api::in_process();
    api.apply(&(service("web") + &peers_definition() + &peers("STRICT")));
    api.set_missing("peerauthentications", true);
    let readiness = Readiness::new();
    let mut cluster = watching(&api, &readiness);
    let quiet = tokio::time::timeout(Duration::from_secs(60), cluster.next()).await;
    assert!(quiet.is_err(), "served without its policies: {quiet:?}");
    let unready = readiness.check().expect_err("not ready").to_string();
    assert!(
        unready.contains("peerauthentications.security.istio.io cannot be listed"),
        "{unready}"
    );
    api.set_missing("peerauthentications", false);
    assert_eq!(next(&mut cluster).await.len(), 2);

    let api = Api::in_process();
    api.apply(&service("web"));
    let mut cluster = watching(&api, &Readiness::new());
    assert_eq!(next(&mut cluster).await.len(), 1);
    api.set_missing("peerauthentications", true);
    api.apply(&peers_definition());
    let quiet = tokio::time::timeout(Duration::from_secs(60), cluster.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    api.apply(&service("new"));
    assert_eq!(names(&next(&mut cluster).await), ["+Service test/new"]);
}

/// The kinds of a cluster with all of Istio and the Gateway API.
fn all_kinds() -> String {
    let kinds = (0..24).map(|n| {
        definition(
            &format!("kind{n}s"),
            "networking.istio.io",
            &format!("Kind{n}"),
        )
    });
    kinds.collect::<String>() + &peers_definition()
}

#[tokio::test(start_paused = true)]
async fn f14_ten_minutes_without_the_api_server_cost_less_than_a_request_a_second() {
    let api = Api::in_process();
    api.apply(
        &(service("web")
            + &all_kinds()
            + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: test}\n"),
    );
    let (watchers, readiness, client) = (Watchers::default(), Readiness::new(), api.client());
    let settings = ObjectRef::new("istio-system", "istio");
    let mut cluster = Cluster::new(&client, &watchers, &settings, &readiness);
    next(&mut cluster).await;
    let secret = CaSecret::new(client.clone(), "istio-system");
    let opened = CertificateAuthority::open_cluster(
        CaDirectory::new("/nonexistent"),
        secret,
        "cluster.local",
        Lifetime::default(),
        |_| (),
    );
    let authority = Arc::new(opened.await.expect("an authority"));
    let mut tasks = JoinSet::new();
    tasks.spawn(RootCertificates::new(client.clone(), watchers, authority.changes()).run());
    let election = Election::new(client, "istio-system", "mesh-discovery", "a");
    tasks.spawn(election.run(Shutdown::new(), std::future::pending::<()>));
    tasks.spawn(async move {
        loop {
            let _ = authority.reload().await;
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    });
    let quiet = tokio::time::timeout(Duration::from_secs(60), cluster.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    for (round, status) in [500, 503, 429].into_iter().enumerate() {
        api.set_broken(StatusCode::from_u16(status).ok());
        let before = api.requests();
        let quiet = tokio::time::timeout(Duration::from_secs(600), cluster.next()).await;
        assert!(quiet.is_err(), "{quiet:?}");
        let asked = api.requests() - before;
        println!("{status}: {asked} requests in 600 s by {} watches", 24 + 9);
        assert!(asked <= 600, "{status}: {asked} requests in 600 s");
        assert_eq!(readiness.check(), Ok(()), "it serves from memory");
        let name = format!("new{round}");
        api.apply(&service(&name));
        api.set_broken(None);
        let back = tokio::time::timeout(Duration::from_secs(90), cluster.next()).await;
        assert_eq!(
            names(&back.expect("in time").expect("running")),
            [format!("+Service test/{name}")]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn f15_a_slow_server_that_is_busy_and_has_large_objects_is_synced_within_a_minute() {
    let api = Api::in_process();
    let large = "x".repeat(1 << 20);
    let pods: String = (0..5)
        .map(|n| {
            pod(
                &format!("large-{n}"),
                &format!(", annotations: {{a: {large}}}"),
            )
        })
        .collect();
    let many: String = (0..300).map(|n| pod(&format!("p{n}"), "")).collect();
    api.apply(&(service("web") + &pods + &many + &peers_definition() + &peers("STRICT")));
    api.set_delay(Duration::from_secs(3));
    api.refuse(StatusCode::TOO_MANY_REQUESTS, 15);
    let mut cluster = watching(&api, &Readiness::new());
    let begin = tokio::time::Instant::now();
    let first = tokio::time::timeout(Duration::from_secs(60), cluster.next()).await;
    let first = first.expect("within a minute").expect("running");
    println!(
        "synced after {:?} with {} requests",
        begin.elapsed(),
        api.requests()
    );
    assert_eq!(first.len(), 1 + 5 + 300 + 1);
    let kept: usize = first.iter().map(|delta| format!("{delta:?}").len()).sum();
    assert!(kept < 2 << 20, "{kept} bytes are kept of 5 MB");
    // None of the watches waits for another.
    api.apply(&service("new"));
    let new = tokio::time::timeout(Duration::from_secs(30), cluster.next()).await;
    assert_eq!(
        names(&new.expect("in time").expect("running")),
        ["+Service test/new"]
    );
}
