use super::*;

fn statuses() -> Vec<ProxyStatus> {
    let json = serde_json::json!([
        { "proxy": "web.test", "cluster_id": "Kubernetes", "proxy_type": "sidecar", "istio_version": "1.0",
          "istiod": "discovery-0", "cluster_sent": "n1", "cluster_acked": "n1",
          "types": {
              "RDS": { "state": "NOT SENT", "rejections": 0 },
              "CDS": { "state": "SYNCED", "sentAt": "2024-05-12T05:50:00Z", "ackedAt": "2024-05-12T05:50:01Z" },
              "NDS": { "state": "STALE", "sentAt": "2024-05-12T05:55:03Z" },
              "LDS": { "state": "ERROR", "errorAt": "2024-05-12T05:54:13Z", "error": "no such filter" } } },
        // as a control plane without states says it
        { "proxy": "a.test", "cluster_id": "Kubernetes", "istio_version": "1.1", "cluster_sent": "x",
          "cluster_acked": "x", "listener_sent": "y", "listener_acked": "", "route_sent": "" },
    ]);
    serde_json::from_value(json).unwrap()
}

fn now() -> Timestamp {
    "2024-05-12T05:55:13Z".parse().unwrap()
}

#[test]
fn a_row_lists_the_types_of_a_proxy() {
    let expected = "\
NAME         CLUSTER        ISTIOD          VERSION     SUBSCRIBED TYPES
a.test       Kubernetes                     1.1         2 (CDS,LDS)
web.test     Kubernetes     discovery-0     1.0         4 (CDS,LDS,RDS,NDS)
";
    assert_eq!(table(statuses(), 0, now()), expected);
}

#[test]
fn a_column_tells_state_and_age() {
    let expected = "\
NAME         CLUSTER        CDS                LDS             RDS          NDS             ISTIOD          VERSION
a.test       Kubernetes     SYNCED             STALE           IGNORED      IGNORED                         1.1
web.test     Kubernetes     SYNCED (5m12s)     ERROR (60s)     NOT SENT     STALE (10s)     discovery-0     1.0
";
    assert_eq!(table(statuses(), 1, now()), expected);
}

#[test]
fn without_proxies_there_is_only_a_header() {
    assert_eq!(
        table(Vec::new(), 0, now()),
        "NAME     CLUSTER     ISTIOD     VERSION     SUBSCRIBED TYPES\n"
    );
}
