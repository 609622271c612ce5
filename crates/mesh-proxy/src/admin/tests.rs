//! The sockets as their users see them, over loopback.

use super::{Facts, Surface, fake::Fake, readiness::CONFIGURATION, serve};
use http::StatusCode;
use mesh_model::name::Direction;
use mesh_xds::{
    ads::{ResourceType, TypeStats},
    json::Pool,
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

/// A socket that is served until it is dropped.
pub(super) struct Served {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Served {
    pub(super) fn new(surface: Surface, facts: &Arc<Facts>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let facts = Arc::clone(facts);
        let shutdown = async { drop(stopped.await) };
        let task = tokio::spawn(async move {
            serve(listener, surface, facts, shutdown)
                .await
                .expect("served");
        });
        Self {
            address,
            stop: Some(stop),
            task: Some(task),
        }
    }

    /// Ends it, and fails if it does not end.
    pub(super) async fn stop(mut self) {
        drop(self.stop.take());
        let task = self.task.take().expect("running");
        tokio::time::timeout(Duration::from_secs(5), task)
            .await
            .expect("ends in time")
            .expect("no panic");
    }

    pub(super) async fn get(&self, target: &str) -> (StatusCode, String) {
        self.send("GET", target, "localhost").await
    }

    pub(super) async fn post(&self, target: &str) -> (StatusCode, String) {
        self.send("POST", target, "localhost").await
    }

    pub(super) async fn send(
        &self,
        method: &str,
        target: &str,
        host: &str,
    ) -> (StatusCode, String) {
        // HTTP/1.0: the body ends with the connection.
        let request =
            format!("{method} {target} HTTP/1.0\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n");
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP response");
        let status = head
            .split(' ')
            .nth(1)
            .expect("a status")
            .parse()
            .expect("a number");
        (status, body.to_owned())
    }

    async fn json(&self, target: &str) -> Value {
        let (status, body) = self.get(target).await;
        assert_eq!(status, StatusCode::OK, "{target}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{target}: {error}: {body}"))
    }
}

#[tokio::test]
async fn pages_are_messages_of_envoy() {
    let facts = Fake::nginx().facts();
    let admin = Served::new(Surface::Admin, &facts);
    let pool = Pool::load();
    for (target, message) in [
        ("/clusters?format=json", "Clusters"),
        ("/config_dump?include_eds", "ConfigDump"),
        ("/listeners?format=json", "Listeners"),
        ("/server_info", "ServerInfo"),
        ("/certs", "Certificates"),
        ("/memory", "Memory"),
    ] {
        let json = admin.json(target).await;
        let read = pool.read_known(&format!("envoy.admin.v3.{message}"), &json);
        let (_, ignored) = read.unwrap_or_else(|error| panic!("{target}: {error}"));
        assert!(ignored.is_empty(), "{target}: {ignored:?}");
    }
    // Told even where it is the first of its enum, as scripts wait for it.
    let info = admin.json("/server_info").await;
    assert!(info["state"].is_string(), "{info}");
    let certificates = admin.json("/certs").await;
    let leaf = &certificates["certificates"][0]["cert_chain"][0];
    assert!(leaf["days_until_expiration"].is_string(), "{certificates}");
    admin.stop().await;
}

#[tokio::test]
async fn clusters_look_like_the_articles() {
    let name = "outbound|80||nginx.test.svc.cluster.local";
    let fake = Fake::nginx();
    fake.endpoint(name, "10.244.0.73:80".parse().expect("an address"));
    let clusters = fake.shared.clusters.active();
    let cluster = clusters
        .iter()
        .find(|c| &*c.info.name == name)
        .expect("in force");
    cluster.endpoints.all()[0]
        .host
        .stats
        .cx_total
        .fetch_add(5, Relaxed);
    let admin = Served::new(Surface::Admin, &fake.facts());
    let json = admin.json("/clusters?format=json").await;
    let mut clusters = json["cluster_statuses"].as_array().expect("a list").iter();
    let cluster = clusters.find(|c| c["name"] == name).expect("shown");
    for field in ["name", "observability_name", "eds_service_name"] {
        assert_eq!(cluster[field], name);
    }
    assert_eq!(cluster["added_via_api"], true);
    let high = &cluster["circuit_breakers"]["thresholds"][1];
    assert_eq!(
        (&high["priority"], &high["max_retries"]),
        (&"HIGH".into(), &3.into())
    );
    let host = &cluster["host_statuses"][0];
    assert_eq!(host["address"]["socket_address"]["port_value"], 80);
    assert_eq!(host["locality"], serde_json::json!({}));
    assert_eq!(host["health_status"]["eds_health_status"], "HEALTHY");
    let stats: Vec<_> = host["stats"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| s["name"].as_str())
        .collect();
    let order = [
        "cx_connect_fail",
        "cx_total",
        "rq_error",
        "rq_success",
        "rq_timeout",
        "rq_total",
        "cx_active",
        "rq_active",
    ];
    assert_eq!(stats, order.map(Some));
    assert_eq!(host["stats"][1]["value"], "5");
    let (_, text) = admin.get("/clusters").await;
    for line in [
        "::default_priority::max_retries::4294967295",
        "::high_priority::max_connections::1024",
        "::10.244.0.73:80::cx_total::5",
        "::10.244.0.73:80::health_flags::healthy",
    ] {
        assert!(
            text.lines().any(|l| l == format!("{name}{line}")),
            "{line} in {text}"
        );
    }
    admin.stop().await;
}

#[tokio::test]
async fn only_the_pod_asks_and_orders_need_post() {
    let fake = Fake::nginx();
    let facts = fake.facts();
    let admin = Served::new(Surface::Admin, &facts);
    let (status, why) = admin.send("GET", "/config_dump", "evil.example").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(why.contains("hint:") && !why.contains("configs"), "{why}");
    for order in [
        "/drain_listeners",
        "/healthcheck/fail",
        "/quitquitquit",
        "/logging?level=debug",
        "/reset_counters",
    ] {
        assert_eq!(
            admin.get(order).await.0,
            StatusCode::METHOD_NOT_ALLOWED,
            "{order}"
        );
    }
    let drained = || {
        let directions = [Direction::Inbound, Direction::Outbound];
        directions.map(|d| facts.shared.drain.token(Some(d)).is_cancelled())
    };
    assert!(!facts.shutdown.is_begun() && drained() == [false, false]);

    assert_eq!(
        admin.post("/drain_listeners?inboundonly&graceful").await.1,
        "OK\n"
    );
    assert_eq!(
        drained(),
        [true, false],
        "the application may still call others"
    );
    assert_eq!(admin.post("/drain_listeners").await.1, "OK\n");
    assert_eq!(drained(), [true, true]);
    assert_eq!(
        admin.post("/reset_counters").await.0,
        StatusCode::NOT_IMPLEMENTED
    );
    assert_eq!(admin.get("/nothing").await.0, StatusCode::NOT_FOUND);
    assert_eq!(admin.post("/quitquitquit").await.1, "OK\n");
    assert!(facts.shutdown.is_begun());
    admin.stop().await;
}

#[tokio::test]
async fn levels_of_the_log_change_together_or_not_at_all() {
    let facts = Fake::nginx().facts();
    let admin = Served::new(Surface::Admin, &facts);
    let (status, why) = admin.post("/logging?upstream=debug&nothing=info").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{why}");
    let (_, levels) = admin.post("/logging").await;
    assert!(
        levels.starts_with("active loggers:\n") && levels.contains("  upstream: warning\n"),
        "{levels}"
    );
    let (_, levels) = admin
        .post("/logging?paths=upstream:error,xdsproxy:trace")
        .await;
    assert!(
        levels.contains("  upstream: error\n  xdsproxy: trace\n"),
        "{levels}"
    );
    let (_, levels) = admin.post("/logging?level=warning").await;
    assert!(
        levels.contains("  upstream: warning\n  xdsproxy: trace\n"),
        "{levels}"
    );
    admin.stop().await;
}

#[tokio::test]
async fn stats_are_filtered() {
    use crate::telemetry::Scope;
    let facts = Fake::nginx().facts();
    let scope = || Scope::Cluster("xds-grpc".into());
    let total = facts.shared.telemetry.counter(scope(), "upstream_cx_total");
    facts
        .shared
        .telemetry
        .counter(scope(), "upstream_cx_connect_fail");
    facts.shared.telemetry.add(total, 3);
    let admin = Served::new(Surface::Admin, &facts);
    let line = "cluster.xds-grpc.upstream_cx_total: 3\n";
    assert_eq!(
        admin.get("/stats?usedonly&filter=upstream_cx").await.1,
        line
    );
    assert_eq!(admin.get("/stats?filter=cx_total$").await.1, line);
    let json = admin.json("/stats?format=json&filter=cx_connect").await;
    assert_eq!(json["stats"][0]["value"], 0);
    let (_, prometheus) = admin.get("/stats/prometheus?filter=cx_total").await;
    assert!(
        prometheus.ends_with("envoy_cluster_upstream_cx_total{cluster_name=\"xds-grpc\"} 3\n"),
        "{prometheus}"
    );
    assert!(
        admin
            .get("/stats/prometheus")
            .await
            .1
            .contains("istio_build{component=\"proxy\"")
    );
    assert_eq!(
        admin.get("/stats?filter=(").await.0,
        StatusCode::BAD_REQUEST
    );
    admin.stop().await;
}

#[tokio::test]
async fn readiness_says_why_not() {
    let fake = Fake::new();
    let configured = fake
        .readiness
        .condition(CONFIGURATION, "config not received");
    let workers = fake.readiness.condition("workers", "starting");
    let facts = fake.facts();
    let health = Served::new(Surface::Health, &facts);
    let admin = Served::new(Surface::Admin, &facts);
    let unready = |text: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{text}\n"));
    fake.identity
        .send_modify(|s| s.error = Some("connection refused".to_owned()));
    let text = "config not received\nworkers: starting\ncertificate: connection refused";
    assert_eq!(health.get("/healthz/ready").await, unready(text));
    assert_eq!(admin.get("/ready").await, unready("PRE_INITIALIZING"));

    workers.met();
    let stats = TypeStats {
        update_attempt: 1,
        update_success: 1,
        update_rejected: 0,
    };
    fake.store.answered(ResourceType::Cluster, "1", stats);
    configured.explain("config not received; connection refused");
    let text = "config not received; connection refused";
    assert_eq!(
        health.get("/healthz/ready").await,
        unready(text),
        "told once"
    );
    assert_eq!(admin.get("/ready").await, unready("INITIALIZING"));

    configured.met();
    assert_eq!(health.get("/healthz/ready").await.0, StatusCode::OK);
    assert_eq!(
        admin.get("/ready").await,
        (StatusCode::OK, "LIVE\n".to_owned())
    );

    admin.post("/healthcheck/fail").await;
    assert!(health.get("/healthz/ready").await.1.contains("DRAINING"));
    admin.post("/healthcheck/ok").await;
    assert_eq!(health.get("/healthz/ready").await.0, StatusCode::OK);
    facts.readiness.end("server is terminated");
    assert_eq!(
        health.get("/healthz/ready").await,
        unready("server is terminated")
    );
    assert_eq!(admin.get("/ready").await, unready("DRAINING"));
    health.stop().await;
    admin.stop().await;
}

#[tokio::test]
async fn what_has_no_effect_is_listed() {
    let admin = Served::new(Surface::Admin, &Fake::nginx().facts());
    let (_, text) = admin.get("/ignored").await;
    assert!(
        text.contains("LDS virtualInbound: stat_prefix: has no effect\n"),
        "{text}"
    );
    let json = admin.json("/ignored?format=json").await;
    assert_eq!(
        json["resources"][0]["ignored"][0],
        "stat_prefix: has no effect"
    );
    admin.stop().await;
}

#[tokio::test]
async fn each_socket_offers_its_own() {
    let fake = Fake::nginx();
    let facts = fake.facts();
    let [status, health, prometheus] =
        [Surface::Status, Surface::Health, Surface::Prometheus].map(|s| Served::new(s, &facts));
    for path in ["/metrics", "/stats/prometheus", "/healthz/ready"] {
        // Kubelets and scrapers name the pod's address.
        assert_eq!(
            status.send("GET", path, "10.244.0.73:15020").await.0,
            StatusCode::OK,
            "{path}"
        );
    }
    assert_eq!(prometheus.get("/stats/prometheus").await.0, StatusCode::OK);
    assert_eq!(
        status.get("/debug/ndsz").await.1.trim(),
        "{}",
        "no names have come"
    );
    for path in ["/config_dump", "/quitquitquit"] {
        assert_eq!(health.post(path).await.0, StatusCode::NOT_FOUND);
        assert_eq!(prometheus.post(path).await.0, StatusCode::NOT_FOUND);
    }
    assert_eq!(
        status.get("/quitquitquit").await.0,
        StatusCode::METHOD_NOT_ALLOWED
    );
    // A name that a page in a browser made resolve to loopback.
    for path in ["/drain", "/quitquitquit"] {
        let (code, _) = status.send("POST", path, "evil.example:15020").await;
        assert_eq!(code, StatusCode::FORBIDDEN, "{path}");
    }
    assert!(!facts.shared.drain.is_inbound_draining() && !facts.shutdown.is_begun());
    assert_eq!(
        status.post("/drain").await,
        (StatusCode::OK, "OK".to_owned())
    );
    assert!(facts.shared.drain.is_inbound_draining());
    assert!(facts.shared.drain.expects_nobody());
    assert!(!facts.shutdown.is_begun());
    assert_eq!(status.post("/quitquitquit").await.0, StatusCode::OK);
    assert!(facts.shutdown.is_begun());
    for served in [status, health, prometheus] {
        served.stop().await;
    }
}

/// Beside another data plane there are no connections of ours, and nobody is told that they drain.
#[tokio::test]
async fn what_has_no_connections_does_not_drain() {
    let fake = Fake {
        shared: Arc::default(),
        ..Fake::new()
    };
    let facts = fake.facts();
    let status = Served::new(Surface::Status, &facts);
    let (code, why) = status.post("/drain").await;
    assert_eq!(code, StatusCode::NOT_IMPLEMENTED);
    assert!(why.contains("hint: ask the data plane"), "{why}");
    assert_eq!(status.get("/healthz/ready").await.0, StatusCode::OK);
    assert_eq!(status.post("/quitquitquit").await.1, "OK");
    assert!(facts.shared.drain.expects_nobody() && facts.shutdown.is_begun());
    status.stop().await;
}
