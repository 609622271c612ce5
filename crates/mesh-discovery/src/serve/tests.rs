//! Streams over real sockets: what a change comes to, who is let in, and who is cut off.

use crate::testing::{
    gone, node_id,
    plane::{Delta, Plane},
    service, slice,
};
use crate::watch::{Folder, Kind, Source};
use mesh_xds::{
    ads::ResourceType,
    pb::envoy::{
        config::route::v3::RouteConfiguration, service::discovery::v3::DeltaDiscoveryResponse,
    },
};
use prost::Message as _;
use std::{collections::HashMap, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const WEB: &str = "outbound|80||web.test.svc.cluster.local";

fn web(addresses: &[&str]) -> String {
    service("web") + &slice("web", addresses)
}

fn names(response: &DeltaDiscoveryResponse) -> Vec<&str> {
    response.resources.iter().map(|r| r.name.as_str()).collect()
}

fn versions(response: &DeltaDiscoveryResponse) -> HashMap<String, String> {
    response
        .resources
        .iter()
        .map(|r| (r.name.clone(), r.version.clone()))
        .collect()
}

/// A client that has its clusters and the endpoints of `web`.
async fn subscribed(plane: &Plane, pod: &str) -> Delta {
    let mut client = plane.delta(pod).await;
    client.subscribe(ResourceType::Cluster, &["*"]).await;
    assert!(names(&client.next().await).contains(&WEB));
    client.subscribe(ResourceType::Endpoint, &[WEB]).await;
    assert_eq!(names(&client.next().await), [WEB]);
    client
}

#[tokio::test]
async fn a_change_of_endpoints_pushes_endpoints_only() {
    let plane = Plane::serving(&web(&["10.0.0.1"])).await;
    let mut client = subscribed(&plane, "a").await;
    plane.apply(&slice("web", &["10.0.0.1", "10.0.0.2"])).await;
    let push = client.next().await;
    assert_eq!(push.type_url, ResourceType::Endpoint.type_url());
    assert_eq!(names(&push), [WEB]);
    client.assert_quiet().await;
}

#[tokio::test]
async fn a_new_service_comes_cluster_first_and_one_that_is_gone_leaves_last() {
    let plane = Plane::serving(&web(&["10.0.0.1"])).await;
    let mut client = subscribed(&plane, "a").await;
    client.subscribe(ResourceType::Listener, &["*"]).await;
    client.next().await;
    client.subscribe(ResourceType::Route, &["80"]).await;
    client.next().await;
    plane.apply(&service("db")).await;
    let kinds: Vec<_> = [client.next().await, client.next().await]
        .map(|r| r.type_url)
        .into();
    assert_eq!(
        kinds,
        [
            ResourceType::Cluster.type_url(),
            ResourceType::Route.type_url()
        ]
    );
    plane.source.send(vec![gone(Kind::Service, "db")]).await;
    let (routes, clusters) = (client.next().await, client.next().await);
    assert_eq!(routes.type_url, ResourceType::Route.type_url());
    assert_eq!(
        clusters.removed_resources,
        ["outbound|80||db.test.svc.cluster.local"]
    );
    client.assert_quiet().await;
}

/// A client that has its names, and nothing else.
async fn named(plane: &Plane) -> Delta {
    let mut client = plane.delta("a").await;
    client.subscribe(ResourceType::NameTable, &["*"]).await;
    assert_eq!(
        names(&client.next().await),
        [""],
        "one table, without a name"
    );
    client
}

#[tokio::test]
async fn names_are_pushed_when_they_change_and_only_then() {
    let headless = service("db").replace("10.1.0.1", "None");
    let plane = Plane::serving(&(web(&["10.0.0.1"]) + &headless)).await;
    let mut client = named(&plane).await;
    plane.apply(&slice("web", &["10.0.0.1", "10.0.0.2"])).await;
    client.assert_quiet().await;
    plane
        .apply(&service("web").replace("port: 80", "port: 81"))
        .await;
    client.assert_quiet().await;
    for change in [service("new"), slice("db", &["10.0.0.5"])] {
        plane.apply(&change).await;
        let push = client.next().await;
        assert_eq!(push.type_url, ResourceType::NameTable.type_url());
        assert_eq!(push.resources.len(), 1);
    }
    plane.source.send(vec![gone(Kind::Service, "new")]).await;
    assert_eq!(client.next().await.resources.len(), 1);
    client.assert_quiet().await;
}

#[tokio::test]
async fn a_client_that_comes_back_is_sent_nothing_that_it_has() {
    let manifests = web(&["10.0.0.1"]);
    let before = Plane::serving(&manifests).await;
    let mut client = before.delta("a").await;
    client.subscribe(ResourceType::Cluster, &["*"]).await;
    let clusters = client.next().await;
    client.subscribe(ResourceType::Endpoint, &[WEB]).await;
    let endpoints = client.next().await;
    drop(before);

    let after = Plane::serving(&manifests).await;
    let mut client = after.delta("a").await;
    client
        .request(ResourceType::Cluster, |r| {
            r.resource_names_subscribe = vec!["*".into()];
            r.initial_resource_versions = versions(&clusters);
        })
        .await;
    let again = client.next().await;
    assert!(
        again.resources.is_empty() && again.removed_resources.is_empty(),
        "{again:?}"
    );
    client
        .request(ResourceType::Endpoint, |r| {
            r.resource_names_subscribe = vec![WEB.into()];
            r.initial_resource_versions = versions(&endpoints);
        })
        .await;
    assert!(client.next().await.resources.is_empty());
}

#[tokio::test]
async fn state_of_the_world_clients_are_served_too() {
    let plane = Plane::serving(&web(&["10.0.0.1"])).await;
    let mut client = plane.sotw("a").await;
    let clusters = client.next().await;
    assert_eq!(clusters.type_url, ResourceType::Cluster.type_url());
    client
        .request(ResourceType::Cluster, &[], Some(&clusters))
        .await;
    client
        .request(ResourceType::Endpoint, &[WEB, "outbound|1||nowhere"], None)
        .await;
    let endpoints = client.next().await;
    assert_eq!(
        endpoints.resources.len(),
        2,
        "an unknown set is answered, empty"
    );
    client
        .request(
            ResourceType::Endpoint,
            &[WEB, "outbound|1||nowhere"],
            Some(&endpoints),
        )
        .await;
    client.assert_quiet().await;
    plane.apply(&slice("web", &["10.0.0.9"])).await;
    let push = client.next().await;
    assert_eq!(
        (push.type_url.as_str(), push.resources.len()),
        (ResourceType::Endpoint.type_url(), 1)
    );
}

#[tokio::test]
async fn a_refusal_is_counted_and_not_answered() {
    let plane = Plane::serving(&web(&["10.0.0.1"])).await;
    let mut client = plane.delta("a").await;
    client.subscribe(ResourceType::Cluster, &["*"]).await;
    let response = client.unacknowledged().await;
    client.refuse(&response, "no such thing").await;
    client.assert_quiet().await;
    assert_eq!(
        plane
            .hub
            .metrics
            .xds_rejects
            .of(ResourceType::Cluster)
            .get(),
        1
    );
    let connected = plane.hub.connections.find("a.test").expect("connected");
    let rejection = connected.status().remove(0).rejection.expect("noted");
    assert_eq!(rejection.detail, "no such thing");
}

#[tokio::test]
async fn nothing_is_served_before_the_sources_are_synced() {
    let plane = Plane::unsynced().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", plane.address))
        .expect("address");
    let channel = channel.connect().await.expect("connected");
    let refused = Delta::open(channel, "sidecar~10.0.0.1~a.test~test".into())
        .await
        .map(|_| ());
    assert_eq!(
        refused.expect_err("refused").code(),
        tonic::Code::Unavailable
    );
}

#[tokio::test]
async fn a_stream_without_a_proper_node_is_ended() {
    let plane = Plane::serving(&web(&[])).await;
    let mut client = plane.delta("a").await;
    client
        .request(ResourceType::Cluster, |r| r.node = None)
        .await;
    assert_eq!(client.status().await.code(), tonic::Code::InvalidArgument);
    let mut client = plane.delta("a").await;
    client
        .request(ResourceType::Cluster, |r| {
            r.node = Some(crate::testing::plane::node("nonsense".into()))
        })
        .await;
    let status = client.status().await;
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(
        status.message().contains("node id `nonsense`"),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn tools_that_ask_for_debug_types_are_told_where_they_are() {
    let plane = Plane::serving(&web(&[])).await;
    let mut client = plane.delta("a").await;
    client
        .request(ResourceType::Cluster, |r| {
            r.type_url = "istio.io/debug/syncz".into()
        })
        .await;
    let status = client.status().await;
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    assert!(
        status.message().contains("/debug/syncz"),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn f05_a_client_that_takes_nothing_is_dropped_and_delays_nobody() {
    let plane = Plane::with_send_timeout(Duration::from_millis(300)).await;
    let services: String = (0..400).map(|n| service(&format!("s{n}"))).collect();
    plane.first(&(services + &web(&["10.0.0.1"]))).await;
    // It asks again and again, and reads nothing: windows and buffers fill.
    let mut stalled = plane.delta("stalled").await;
    stalled.subscribe(ResourceType::Cluster, &["*"]).await;
    let mut healthy = subscribed(&plane, "healthy").await;
    let mut round = 0;
    while plane.hub.metrics.xds_send_timeouts.get() == 0 {
        round += 1;
        assert!(round < 200, "never dropped");
        let names: Vec<String> = (0..400)
            .map(|n| format!("outbound|80||s{n}.test.svc.cluster.local"))
            .collect();
        let again = stalled.send.try_send(
            mesh_xds::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest {
                type_url: ResourceType::Cluster.type_url().into(),
                resource_names_subscribe: names,
                ..Default::default()
            },
        );
        drop(again);
        plane
            .apply(&slice("web", &[&format!("10.0.0.{}", 1 + round % 200)]))
            .await;
        assert_eq!(names_of_push(&mut healthy).await, [WEB]);
    }
    for _ in 0..100 {
        if plane.hub.connections.count() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the stalled client is still there");
}

async fn names_of_push(client: &mut Delta) -> Vec<String> {
    client
        .next()
        .await
        .resources
        .into_iter()
        .map(|r| r.name)
        .collect()
}

#[tokio::test]
async fn sec_55_garbage_on_the_port_harms_nobody() {
    let plane = Plane::serving(&web(&["10.0.0.1"])).await;
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..50 {
        let mut stream = tokio::net::TcpStream::connect(plane.address)
            .await
            .expect("connected");
        let mut bytes: Vec<u8> = (0..rng.usize(1..4096)).map(|_| rng.u8(..)).collect();
        if round % 2 == 0 {
            bytes.splice(0..0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".iter().copied());
        }
        // The server may close before all is written.
        let _ = stream.write_all(&bytes).await;
        let _ = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut [0; 64])).await;
    }
    subscribed(&plane, "a").await;
}

#[tokio::test]
async fn streams_end_when_the_process_stops() {
    let plane = Plane::serving(&web(&["10.0.0.1"])).await;
    let mut client = subscribed(&plane, "a").await;
    plane.hub.shutdown.request("test");
    let status = client.status().await;
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(
        status.message().contains("shutting down"),
        "{}",
        status.message()
    );
    let late = plane
        .hub
        .tasks
        .join(Duration::from_secs(5), std::future::pending())
        .await;
    assert!(late.is_empty(), "{late:?}");
    assert_eq!(plane.hub.connections.count(), 0);
}

#[tokio::test]
async fn a_changed_file_pushes_endpoints_and_a_broken_one_nothing() {
    let dir = tempfile::tempdir().expect("folder");
    let write =
        |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    write("web.yaml", &service("web"));
    write("endpoints.yaml", &slice("web", &["10.0.0.1"]));
    let folder = Folder::open(dir.path()).expect("readable");
    let problems = folder.problems();
    let plane = Plane::of_folder(folder).await;
    let mut client = subscribed(&plane, "a").await;
    write("endpoints.yaml", &slice("web", &["10.0.0.1", "10.0.0.2"]));
    let push = client.next().await;
    assert_eq!(
        (push.type_url.as_str(), names(&push)),
        (ResourceType::Endpoint.type_url(), vec![WEB])
    );
    write("endpoints.yaml", "kind: [");
    let mut problems = problems;
    let listed = problems
        .wait_for(|all| !all.is_empty())
        .await
        .expect("open")
        .clone();
    assert_eq!(listed[0].place, "endpoints.yaml");
    client.assert_quiet().await;
}

/// The names that a client of `namespace` may call `web.test` by, as it is served them.
async fn domains(plane: &Plane, namespace: &str) -> Vec<String> {
    let id = format!("sidecar~10.0.1.1~a.{namespace}~{namespace}.svc.cluster.local");
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", plane.address));
    let channel = endpoint.expect("address").connect().await;
    let client = Delta::open(channel.expect("connected"), id).await;
    let mut client = client.expect("opened");
    client.subscribe(ResourceType::Route, &["80"]).await;
    let response = client.next().await;
    let resource = response.resources[0].resource.as_ref().expect("a resource");
    let route = RouteConfiguration::decode(&*resource.value).expect("a route");
    let hosts = route.virtual_hosts.into_iter();
    hosts.flat_map(|host| host.domains).collect()
}

#[tokio::test]
async fn sec_57_a_name_that_means_another_thing_elsewhere_is_never_taken_from_the_cache() {
    for order in [["test", "other"], ["other", "test"]] {
        let plane = Plane::serving(&web(&["10.0.0.1"])).await;
        for namespace in order.iter().chain(&order) {
            let domains = domains(&plane, namespace).await;
            let short = domains.iter().any(|domain| domain == "web");
            assert_eq!(short, *namespace == "test", "{namespace}: {domains:?}");
        }
    }
}

#[tokio::test]
async fn sec_57_nobody_is_served_a_secret() {
    let plane = Plane::serving(&web(&["10.0.0.1"])).await;
    for name in ["kubernetes://credential", "default", "ROOTCA"] {
        for _ in 0..2 {
            let mut client = plane.delta("a").await;
            client.subscribe(ResourceType::Secret, &[name]).await;
            let quiet =
                tokio::time::timeout(Duration::from_millis(200), client.responses.message());
            if let Ok(answer) = quiet.await {
                let answer = answer.expect("no error").expect("an open stream");
                assert!(answer.resources.is_empty(), "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_old_ends_between_pushes_and_the_next_is_sent_nothing_anew() {
    let age = Duration::from_secs(2);
    let plane = Plane::aging(age).await;
    plane.first(&web(&["10.0.0.1"])).await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", plane.address));
    let channel = channel.expect("address").connect_lazy();
    let open = || Delta::open(channel.clone(), node_id("a", "10.0.1.1"));
    let address = || plane.hub.connections.all()[0].address;
    let mut client = open().await.expect("opened");
    let begin = tokio::time::Instant::now();
    client.subscribe(ResourceType::Cluster, &["*"]).await;
    let clusters = client.next().await;
    let first = address();
    // What changes when it is nearly as old as that is sent all the same.
    tokio::time::sleep_until(begin + age.mul_f64(0.85)).await;
    plane.apply(&service("other")).await;
    let other = client.next().await;
    assert_eq!(names(&other), ["outbound|80||other.test.svc.cluster.local"]);
    let end = tokio::time::timeout(age, client.responses.message()).await;
    assert!(matches!(end, Ok(Ok(None))), "no error: {end:?}");
    assert!(begin.elapsed() >= age.mul_f64(0.9), "{:?}", begin.elapsed());

    let mut client = open().await.expect("opened");
    let mut known = versions(&clusters);
    known.extend(versions(&other));
    client
        .request(ResourceType::Cluster, |r| {
            r.resource_names_subscribe = vec!["*".into()];
            r.initial_resource_versions = known;
        })
        .await;
    let again = client.next().await;
    assert!(
        again.resources.is_empty() && again.removed_resources.is_empty(),
        "{again:?}"
    );
    assert_ne!(address(), first, "a connection of its own");
}
