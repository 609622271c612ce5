use super::*;
use crate::{
    scopes::SCOPES,
    serve::debug::About,
    testing::{api::Api, log::Log, problem, secure::Secure, service, slice},
    watch::{Cluster, Folder, ObjectRef, Problem, Source, Watchers},
};
use mesh_runtime::{
    log::{Levels, Logging},
    readiness::Readiness,
};
use mesh_xds::{ads::ResourceType, json};
use serde_json::Value;
use std::sync::OnceLock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
};

struct Server {
    secure: Secure,
    readiness: Readiness,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

async fn server() -> Server {
    server_with(watch::channel(Arc::from([problem()])).1).await
}

async fn server_with(problems: watch::Receiver<Arc<[Problem]>>) -> Server {
    server_of(&(service("web") + &slice("web", &["10.0.0.1"])), problems).await
}

async fn server_of(manifests: &str, problems: watch::Receiver<Arc<[Problem]>>) -> Server {
    let secure = Secure::serving(manifests).await;
    let readiness = Readiness::new();
    let pages = Arc::new(Pages {
        hub: secure.plane.hub.clone(),
        problems,
        readiness: readiness.clone(),
        authenticator: OnceLock::from(secure.authenticator.clone()),
        logging: Arc::new(Logging::detached(Levels::new(&SCOPES))),
        about: About {
            name: "discovery-0".into(),
            namespace: "istio-system".into(),
            cluster_id: "Kubernetes".into(),
            version: "1.2.3",
        },
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("address");
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(listener, pages, secure.plane.hub.shutdown.clone()));
    Server {
        secure,
        readiness,
        address,
        _tasks: tasks,
    }
}

impl Server {
    async fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        let status = answer
            .get(9..12)
            .and_then(|s| s.parse().ok())
            .unwrap_or_default();
        let body = answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned());
        (status, body.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ))
        .await
    }

    async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// As somebody who is not on this machine.
    async fn with_token(&self, path: &str, token: Option<&str>) -> u16 {
        let token = token
            .map(|t| format!("Authorization: Bearer {t}\r\n"))
            .unwrap_or_default();
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: istiod.istio-system:15014\r\n{token}Connection: close\r\n\r\n")).await.0
    }
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let server = server().await;
    let condition = server
        .readiness
        .condition("certificate authority", "no key");
    assert_eq!(
        server.get("/ready").await,
        (503, "certificate authority: no key\n".into())
    );
    condition.met();
    assert_eq!(server.get("/ready").await, (200, "ready\n".into()));
}

#[tokio::test]
async fn syncz_tells_how_far_each_proxy_is() {
    let server = server().await;
    let mut client = server.secure.plane.delta("a").await;
    client.subscribe(ResourceType::Cluster, &["*"]).await;
    client.next().await;
    client.subscribe(ResourceType::Listener, &["*"]).await;
    let listeners = client.unacknowledged().await;
    client.refuse(&listeners, "no such filter").await;
    client.assert_quiet().await;
    let all = server.json("/debug/syncz").await;
    let proxy = &all[0];
    assert_eq!(proxy["proxy"], "a.test");
    assert_eq!(
        (&proxy["proxy_type"], &proxy["cluster_id"], &proxy["istiod"]),
        (
            &"sidecar".into(),
            &"Kubernetes".into(),
            &"discovery-0".into()
        )
    );
    assert_eq!(proxy["cluster_sent"], proxy["cluster_acked"]);
    assert_ne!(proxy["listener_sent"], proxy["listener_acked"]);
    assert_eq!(proxy["types"]["CDS"]["state"], "SYNCED");
    assert_eq!(proxy["types"]["LDS"]["state"], "ERROR");
    assert_eq!(proxy["types"]["LDS"]["error"], "no such filter");
    assert!(proxy["types"].get("RDS").is_none() && proxy.get("route_sent").is_none());
    let ads = server.json("/debug/adsz").await;
    assert_eq!(ads["totalClients"], 1);
    assert_eq!(
        ads["clients"][0]["watches"][ResourceType::Cluster.type_url()],
        serde_json::json!(["*"])
    );
    let (_, metrics) = server.get("/metrics").await;
    for line in [
        "pilot_xds{version=\"1.2.3\"} 1",
        "pilot_total_xds_rejects{type=\"lds\"} 1",
        "pilot_config_errors 1",
        "pilot_services 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} in\n{metrics}");
    }
}

#[tokio::test]
async fn config_dump_is_what_a_proxy_is_served() {
    let server = server().await;
    let mut client = server.secure.plane.delta("a").await;
    let web = "outbound|80||web.test.svc.cluster.local";
    client.subscribe(ResourceType::Cluster, &["*"]).await;
    client.next().await;
    client.subscribe(ResourceType::Endpoint, &[web]).await;
    client.next().await;
    client.subscribe(ResourceType::Route, &["80"]).await;
    let sent = client.next().await;
    let dump = server.json("/debug/config_dump?proxyID=a.test").await;
    let dump = json::resources(&json::Pool::load(), &dump).expect("a config dump");
    assert!(dump.ignored.is_empty(), "{:?}", dump.ignored);
    let has = |kind: ResourceType, name: &str| {
        dump.resources
            .iter()
            .find(|r| r.type_url == kind.type_url() && r.name == name)
    };
    assert!(has(ResourceType::Cluster, web).is_some());
    assert!(has(ResourceType::Endpoint, web).is_some());
    assert!(has(ResourceType::Listener, "virtualInbound").is_some());
    let route = has(ResourceType::Route, "80").expect("the route");
    assert_eq!(route.version, sent.resources[0].version);
    assert_eq!(server.get("/debug/config_dump?proxyID=b.test").await.0, 404);
    assert_eq!(server.get("/debug/config_dump").await.0, 400);
    assert!(
        server.json("/debug/edsz?proxyID=a.test").await["configs"][0]["dynamic_endpoint_configs"]
            .is_array()
    );
    let names = server.json("/debug/ndsz?proxyID=a.test").await;
    let web = &names["table"]["web.test.svc.cluster.local"];
    assert_eq!(web["ips"], serde_json::json!(["10.1.0.1"]));
    assert_eq!(web["registry"], "Kubernetes");
}

#[tokio::test]
async fn the_world_is_shown() {
    let server = server().await;
    assert_eq!(
        server.json("/debug/registryz").await[0]["hostname"],
        "web.test.svc.cluster.local"
    );
    assert_eq!(
        server.json("/debug/endpointz").await["web.test.svc.cluster.local"][0]["address"],
        "10.0.0.1"
    );
    let configz = server.json("/debug/configz").await;
    assert_eq!(configz["meshConfig"]["trustDomain"], "cluster.local");
    assert_eq!(configz["problems"][0]["file"], problem().place);
    assert_eq!(
        server.json("/debug/mesh").await["trustDomain"],
        "cluster.local"
    );
    let (status, index) = server.get("/debug").await;
    assert!(status == 200 && index.contains("/debug/syncz"), "{index}");
}

#[tokio::test]
async fn sec_56_visitors_from_elsewhere_see_their_own() {
    let server = server().await;
    let mut client = server.secure.plane.delta("a").await;
    client.subscribe(ResourceType::Cluster, &["*"]).await;
    client.next().await;
    let token = |namespace: &str| server.secure.token(namespace, "web");
    let (own, other, system) = (token("test"), token("other"), token("istio-system"));
    let dump = "/debug/config_dump?proxyID=a.test";
    assert_eq!(server.with_token(dump, None).await, 401);
    assert_eq!(server.with_token(dump, Some("garbage")).await, 401);
    assert_eq!(server.with_token(dump, Some(&other)).await, 403);
    assert_eq!(
        server
            .with_token("/debug/config_dump?proxyID=unknown.test", Some(&other))
            .await,
        403
    );
    assert_eq!(server.with_token(dump, Some(&own)).await, 200);
    assert_eq!(server.with_token("/debug/syncz", Some(&own)).await, 403);
    assert_eq!(server.with_token("/debug/syncz", Some(&system)).await, 200);
    assert_eq!(server.with_token("/metrics", None).await, 200);
}

#[tokio::test]
async fn sec_42_nothing_can_be_changed_and_garbage_is_refused() {
    let server = server().await;
    let (status, _) = server.raw("POST /debug/syncz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status, 405);
    let (status, _) = server.raw("\x16\x03\x01 garbage\r\n\r\n").await;
    assert_eq!(status, 400);
    let huge = "a".repeat(4 * MAX_HEAD);
    let (status, _) = server.raw(&format!("GET /{huge} HTTP/1.1\r\n\r\n")).await;
    assert!(status == 431 || status == 414, "{status}");
    assert_eq!(server.get("/ready").await.0, 200);
}

const UNUSABLE: &str = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: test}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: p, namespace: test}
spec: {mtls: {mode: SOMETIMES}}
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: test}
spec: {clusterIP: 10.1.0.9, ports: [{name: http, port: 70000}]}
";

/// What of [`UNUSABLE`] has to be said: the object, and why.
const SAID: [[&str; 2]; 3] = [
    ["VirtualService test/v", "does not execute"],
    ["PeerAuthentication test/p", "spec.mtls.mode"],
    ["Service test/s", "spec.ports[0].port: 70000"],
];

#[tokio::test]
async fn what_cannot_be_used_of_a_cluster_is_named_in_log_metric_and_page() {
    let log = Log::capture();
    let api = Api::start().await;
    let definition = |plural: &str, group: &str, kind: &str| {
        format!(
            "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {plural}.{group}}}\nspec: {{group: {group}, names: {{plural: {plural}, kind: {kind}}}}}\n"
        )
    };
    api.apply(&definition(
        "virtualservices",
        "networking.istio.io",
        "VirtualService",
    ));
    api.apply(&definition(
        "peerauthentications",
        "security.istio.io",
        "PeerAuthentication",
    ));
    api.apply(UNUSABLE);
    let (client, watchers) = (api.client(), Watchers::default());
    let mut cluster = Cluster::new(
        &client,
        &watchers,
        &ObjectRef::new("istio-system", "istio"),
        &Readiness::new(),
    );
    let mut problems = cluster.problems();
    let all = tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while problems.borrow_and_update().len() < SAID.len() {
            tokio::select! {
                _ = problems.changed() => {}
                _ = cluster.next() => {}
            }
        }
    });
    all.await.expect("all are named in time");
    let server = server_with(problems).await;
    let (_, metrics) = server.get("/metrics").await;
    assert!(metrics.contains("pilot_config_errors 3\n"), "{metrics}");
    let configz = server.json("/debug/configz").await;
    for [object, why] in SAID {
        assert_eq!(log.lines_with(&["WARN", object, why]).len(), 1, "{object}");
        let named = format!("pilot_config_problems{{place=\"{object}\",");
        assert!(metrics.contains(&named), "{named} in\n{metrics}");
        let shown = configz["problems"].as_array().expect("a list").iter();
        let shown = shown.filter(|p| p["file"] == *object);
        let reasons: Vec<_> = shown.map(|p| p["reason"].to_string()).collect();
        assert!(
            reasons.len() == 1 && reasons[0].contains(why),
            "{reasons:?}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_used_of_a_folder_is_named_in_metric_and_page() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in ["v", "p", "s"].iter().zip(UNUSABLE.split("---\n").skip(1)) {
        std::fs::write(folder.path().join(format!("{name}.yaml")), text).expect("written");
    }
    let mut source = Folder::open(folder.path()).expect("a folder");
    source.next().await.expect("changes");
    let server = server_with(source.problems()).await;
    let (_, metrics) = server.get("/metrics").await;
    assert!(metrics.contains("pilot_config_errors 3\n"), "{metrics}");
    let configz = server.json("/debug/configz").await.to_string();
    for (file, [_, why]) in ["v.yaml", "p.yaml", "s.yaml"].iter().zip(SAID) {
        assert!(
            metrics.contains(&format!("{{place=\"{file}\",")),
            "{metrics}"
        );
        assert!(configz.contains(file) && configz.contains(why), "{configz}");
    }
}

#[tokio::test]
async fn what_is_claimed_twice_is_named_in_log_metric_and_pages() {
    let log = Log::capture();
    let bytes = |name: &str| service(name).replace("name: http", "name: tcp");
    let both = bytes("a") + &bytes("b");
    let server = server_of(&both, watch::channel(Arc::default()).1).await;
    let (_, metrics) = server.get("/metrics").await;
    let metric = "pilot_conflict_outbound_listener_tcp_over_current_tcp";
    for line in [
        format!("{metric} 1\n"),
        "pilot_config_problems{place=\"Service test/b\",effect=\"overruled\"} 1\n".into(),
        "pilot_conflict_inbound_listener 0\n".into(),
        "pilot_eds_no_instances 2\n".into(),
        "endpoint_no_pod 0\n".into(),
    ] {
        assert!(metrics.contains(&line), "{line} in\n{metrics}");
    }
    let configz = server.json("/debug/configz").await;
    assert_eq!(configz["problems"][0]["file"], "Service test/b");
    let status = server.json("/debug/push_status").await;
    let message = status[metric]["Service test/b"]["message"].to_string();
    assert!(
        message.contains("Service test/a, which is older"),
        "{status}"
    );
    let empty = &status["pilot_eds_no_instances"];
    assert!(
        empty["outbound|80||a.test.svc.cluster.local"].is_object(),
        "{status}"
    );

    let named = || log.lines_with(&["WARN", "Service test/b", "older"]).len();
    assert_eq!(named(), 1);
    // Another change says nothing anew; one that mends it does.
    let mut publications = server.secure.plane.hub.publications.clone();
    for (more, left) in [(service("c"), 1), (service("b"), 0)] {
        publications.mark_unchanged();
        server.secure.plane.apply(&more).await;
        publications.changed().await.expect("running");
        let configz = server.json("/debug/configz").await;
        assert_eq!(configz["problems"].as_array().map(Vec::len), Some(left));
    }
    assert_eq!(named(), 1);
    assert_eq!(
        log.lines_with(&["INFO", "mended", "Service test/b"]).len(),
        1
    );
}

#[tokio::test]
async fn profiles_are_not_here_and_the_page_says_why() {
    let server = server().await;
    for path in ["/debug/pprof", "/debug/pprof/heap?debug=1"] {
        let (status, reason) = server.get(path).await;
        assert!(
            status == 501 && reason.contains("perf record"),
            "{status} {reason}"
        );
    }
    let (_, list) = server.get("/debug/list").await;
    assert!(list.contains("/debug/pprof"), "{list}");
}

#[tokio::test]
async fn levels_of_the_log_are_set_from_this_machine_only() {
    let server = server().await;
    let put = |path: &str, host: &str, level: &str| {
        let body = format!("{{\"output_level\": \"{level}\"}}");
        format!(
            "PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let all = server.json("/scopej/").await;
    let names = all.as_array().expect("a list").iter();
    let names: Vec<_> = names.map(|scope| scope["name"].as_str()).collect();
    assert!(names.contains(&Some("ads")) && names.len() == SCOPES.len());
    assert_eq!(all[0]["output_level"], "info");

    for (path, host, level, want) in [
        ("/scopej/ads", "localhost", "debug", 200),
        ("/scopej/ads", "localhost", "loud", 400),
        ("/scopej/nothing", "localhost", "debug", 404),
        // A page elsewhere that has made a browser here send it, and who is not here.
        ("/scopej/ads", "evil.example", "none", 401),
    ] {
        let (status, reason) = server.raw(&put(path, host, level)).await;
        assert_eq!(status, want, "{path} {level}: {reason}");
    }
    let ads = server.json("/scopej/ads").await;
    assert_eq!(ads["output_level"], "debug");
    let kube = server.json("/scopej/kube").await;
    assert_eq!(kube["output_level"], "info");
    assert_eq!(server.get("/scopej/nothing").await.0, 404);
}
