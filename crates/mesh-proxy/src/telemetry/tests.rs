//! Records in, metrics and stats out.

use super::*;
use crate::{
    connection::Connection, connection::DownstreamPeer, flag::ResponseFlags,
    policy::metadata::NOTHING,
};
use http::{HeaderMap, Method, StatusCode, Version};
use mesh_model::{cluster::ServiceRef, filter::Stats, name::Direction};
use std::time::SystemTime;

/// Telemetry of a workload `nginx` in `test`.
pub(super) fn telemetry() -> Telemetry {
    let [name, namespace, cluster] = ["nginx", "test", "Kubernetes"].map(Arc::from);
    let workload = Workload {
        canonical_name: Arc::clone(&name),
        canonical_revision: "latest".into(),
        name,
        namespace,
        cluster,
        ..Workload::default()
    };
    Telemetry::of(label::Local {
        workload: Arc::new(workload),
        principal: "spiffe://cluster.local/ns/test/sa/default".into(),
    })
}

pub(super) fn connection(direction: Direction) -> Connection {
    Connection {
        id: 7,
        listener: "virtualInbound".into(),
        direction: Some(direction),
        peer: "10.244.0.9:51234".parse().expect("address"),
        destination: "10.244.0.73:80".parse().expect("address"),
        server_name: None,
        tls: None,
    }
}

pub(super) fn request<'a>(
    connection: &'a Connection,
    upstream: &'a UpstreamRecord,
    headers: &'a HeaderMap,
) -> RequestRecord<'a> {
    RequestRecord {
        connection,
        start: SystemTime::UNIX_EPOCH + Duration::from_millis(1_715_493_209_123),
        duration: Duration::from_millis(3),
        method: &Method::GET,
        path: "/a?b=c",
        version: Version::HTTP_11,
        authority: "nginx.test",
        request_headers: headers,
        response_headers: None,
        status: Some(StatusCode::OK),
        grpc_status: None,
        is_grpc: false,
        flags: ResponseFlags::NONE,
        details: "via_upstream".into(),
        bytes_received: 0,
        bytes_sent: 615,
        messages: None,
        route: Some("default"),
        metadata: &NOTHING,
        upstream,
        peer: None,
    }
}

pub(super) fn tcp<'a>(connection: &'a Connection, upstream: &'a UpstreamRecord) -> TcpRecord<'a> {
    TcpRecord {
        connection,
        start: SystemTime::UNIX_EPOCH,
        duration: Duration::from_millis(20),
        flags: ResponseFlags::NONE,
        details: None,
        termination_details: None,
        bytes_received: 10,
        bytes_sent: 20,
        upstream,
        peer: None,
    }
}

fn metrics(telemetry: &Telemetry) -> Observers {
    let stats = Some(Stats::default());
    telemetry.observers(stats, &[]).expect("no formats")
}

fn exposition(telemetry: &Telemetry) -> String {
    telemetry.exposition().collect()
}

#[test]
fn a_server_reports_who_called_it() {
    let telemetry = telemetry();
    let shard = telemetry.shard();
    let observers = metrics(&telemetry);
    let connection = Connection {
        tls: Some(DownstreamPeer {
            uri_san: Some("spiffe://cluster.local/ns/a/sa/client".into()),
            local_uri_san: Some("spiffe://cluster.local/ns/test/sa/default".into()),
            certificate: Some(Arc::from([1])),
            alpn: None,
        }),
        ..connection(Direction::Inbound)
    };
    let upstream = UpstreamRecord {
        cluster: Some("inbound|80||".into()),
        service: Some(Arc::new(ServiceRef {
            host: "nginx.test.svc.cluster.local".into(),
            name: "nginx".into(),
            namespace: "test".into(),
        })),
        ..UpstreamRecord::default()
    };
    let client = Workload::from_metadata("client-1;a;client;v1;Kubernetes");
    let headers = HeaderMap::new();
    let record = RequestRecord {
        peer: Some(&client),
        ..request(&connection, &upstream, &headers)
    };
    shard.request(&record, &observers);
    shard.request(&record, &observers);
    let text = exposition(&telemetry);
    let want = concat!(
        r#"istio_requests_total{reporter="destination",source_workload="client-1",source_canonical_service="client","#,
        r#"source_canonical_revision="v1",source_workload_namespace="a","#,
        r#"source_principal="spiffe://cluster.local/ns/a/sa/client",source_app="unknown",source_version="unknown","#,
        r#"source_cluster="Kubernetes",destination_workload="nginx",destination_workload_namespace="test","#,
        r#"destination_principal="spiffe://cluster.local/ns/test/sa/default",destination_app="unknown","#,
        r#"destination_version="unknown",destination_service="nginx.test.svc.cluster.local","#,
        r#"destination_canonical_service="nginx",destination_canonical_revision="latest","#,
        r#"destination_service_name="nginx",destination_service_namespace="test",destination_cluster="Kubernetes","#,
        r#"request_protocol="http",response_code="200",grpc_response_status="",response_flags="-","#,
        r#"connection_security_policy="mutual_tls"} 2"#,
    );
    assert!(text.lines().any(|line| line == want), "{text}");
    assert!(text.contains("connection_security_policy=\"mutual_tls\",le=\"5\"} 2"));
    assert!(text.contains("istio_response_bytes_sum{"));
}

#[test]
fn a_client_reports_where_it_went_and_an_unknown_host_stands_in_for_the_service() {
    let telemetry = telemetry();
    let shard = telemetry.shard();
    let (connection, headers) = (connection(Direction::Outbound), HeaderMap::new());
    let upstream = UpstreamRecord {
        cluster: Some("PassthroughCluster".into()),
        ..UpstreamRecord::default()
    };
    let record = request(&connection, &upstream, &headers);
    shard.request(&record, &metrics(&telemetry));
    let strict = Stats {
        disable_host_header_fallback: true,
    };
    let strict = telemetry.observers(Some(strict), &[]).expect("no formats");
    shard.request(&record, &strict);
    let text = exposition(&telemetry);
    for want in [
        r#"reporter="source",source_workload="nginx""#,
        r#"destination_service="nginx.test",destination_canonical_service="unknown""#,
        r#"destination_service="unknown",destination_canonical_service="unknown""#,
        r#"destination_service_name="PassthroughCluster""#,
        r#"connection_security_policy="unknown""#,
    ] {
        assert!(text.contains(want), "{want} is missing in {text}");
    }
}

#[test]
fn an_unreported_listener_counts_nothing() {
    let telemetry = telemetry();
    let shard = telemetry.shard();
    let (connection, headers) = (connection(Direction::Inbound), HeaderMap::new());
    let upstream = UpstreamRecord::default();
    shard.request(
        &request(&connection, &upstream, &headers),
        &Observers::default(),
    );
    assert!(!exposition(&telemetry).contains("istio_requests_total"));
}

#[test]
fn bytes_of_a_connection_are_reported_while_it_lives() {
    let telemetry = telemetry();
    let shard = telemetry.shard();
    let observers = metrics(&telemetry);
    let (connection, upstream) = (connection(Direction::Inbound), UpstreamRecord::default());
    let record = tcp(&connection, &upstream);
    let value = |name: &str| {
        let text = exposition(&telemetry);
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    let mut meter = shard.tcp_opened(&record, &observers);
    meter.progress(4, 6);
    assert_eq!(value("istio_tcp_sent_bytes_total{"), Some(6));
    shard.tcp_closed(&record, &observers, Some(meter));
    assert_eq!(value("istio_tcp_sent_bytes_total{"), Some(20));
    assert_eq!(value("istio_tcp_received_bytes_total{"), Some(10));
    assert_eq!(value("istio_tcp_connections_opened_total{"), Some(1));
    assert_eq!(value("istio_tcp_connections_closed_total{"), Some(1));
}

#[test]
fn random_hosts_and_user_input_do_not_make_series_without_end() {
    let telemetry = telemetry();
    let shard = telemetry.shard();
    let observers = metrics(&telemetry);
    let (connection, headers) = (connection(Direction::Outbound), HeaderMap::new());
    let upstream = UpstreamRecord::default();
    for i in 0..MOST_REQUEST_SERIES + 500 {
        let host = format!("host-{i}\"\n");
        let record = RequestRecord {
            authority: &host,
            ..request(&connection, &upstream, &headers)
        };
        shard.request(&record, &observers);
    }
    let text = exposition(&telemetry);
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("istio_requests_total{"))
        .collect();
    assert_eq!(lines.len(), MOST_REQUEST_SERIES + 1);
    let overflow = lines.iter().find(|line| line.contains("overflow"));
    assert!(
        overflow.is_some_and(|line| line.ends_with(" 500")),
        "{overflow:?}"
    );
    assert!(text.contains(r#"destination_service="host-0\"\n""#));
}

#[test]
fn envoys_numbers_have_envoys_names() {
    let telemetry = telemetry();
    let shard = telemetry.shard();
    let active = telemetry.gauge(Scope::Cluster("xds-grpc".into()), "upstream_cx_active");
    shard.raise(active);
    telemetry.read_from(|stats| stats.push(Stat::gauge(Scope::Process("server"), "live", 1)));
    let names: Vec<_> = telemetry.stats().iter().map(Stat::full_name).collect();
    assert!(
        names.contains(&"cluster.xds-grpc.upstream_cx_active".to_owned()),
        "{names:?}"
    );
    let text = exposition(&telemetry);
    assert!(text.contains("# TYPE envoy_cluster_upstream_cx_active gauge\nenvoy_cluster_upstream_cx_active{cluster_name=\"xds-grpc\"} 1\n"));
    assert!(text.contains("envoy_server_live{} 1\n"), "{text}");
}

#[test]
fn messages_of_grpc_calls_are_counted() {
    let telemetry = telemetry();
    let shard = telemetry.shard();
    let (connection, headers) = (connection(Direction::Inbound), HeaderMap::new());
    let upstream = UpstreamRecord::default();
    let observers = metrics(&telemetry);
    let call = RequestRecord {
        is_grpc: true,
        grpc_status: Some(0),
        messages: Some((3, 4)),
        ..request(&connection, &upstream, &headers)
    };
    shard.request(&call, &observers);
    shard.request(&request(&connection, &upstream, &headers), &observers);
    let text = exposition(&telemetry);
    for (name, want) in [
        ("istio_request_messages_total", "3"),
        ("istio_response_messages_total", "4"),
    ] {
        let values: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")))
            .filter_map(|line| line.rsplit(' ').next())
            .collect();
        assert_eq!(values, [want], "{name}");
    }
}

#[test]
fn a_listener_knows_which_response_headers_its_logs_show() {
    use mesh_model::access_log::{AccessLog, AccessLogFormat};
    let log = |format| AccessLog::file("/dev/null", format);
    let text = "%RESP(X-B)% %REQ(X-NOT)% %RESP(X-A?X-B)%\n".to_owned();
    let json = [("c", "%RESP(X-C)%"), ("d", "in %RESP(X-D)% text")];
    let json = json.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
    let logs = [
        log(AccessLogFormat::Text(text)),
        log(AccessLogFormat::Json(json)),
    ];
    let observers = telemetry().observers(None, &logs).expect("good formats");
    assert_eq!(observers.response_headers(), ["x-a", "x-b", "x-c", "x-d"]);
}
