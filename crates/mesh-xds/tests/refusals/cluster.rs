//! Clusters.

use super::{NOT_EXECUTED, expect_refusals};
use anyhow::Result;
use mesh_model::cluster::Cluster;
use serde_json::json;

#[test]
fn a_cluster_is_understood_in_full_or_refused() -> Result<()> {
    let any = |name: &str| json!({"@type": format!("type.googleapis.com/{name}")});
    let rbac = any("envoy.extensions.filters.network.rbac.v3.RBAC");
    let proxy =
        any("envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport");
    let tls = "/transport_socket_matches/0/transport_socket/typed_config";
    let tls_at = "transport_socket_matches[0].transport_socket.typed_config";
    expect_refusals::<Cluster>(
        "outbound|80||nginx.test.svc.cluster.local",
        vec![
            (
                "/outlier_detection",
                json!({"interval": "0s"}),
                "outlier_detection.interval: must be above zero",
            ),
            (
                "/outlier_detection",
                json!({"max_ejection_percent": 101}),
                "outlier_detection.max_ejection_percent: 101 is over 100",
            ),
            (
                "/outlier_detection",
                json!({"base_ejection_time": "30s", "max_ejection_time": "20s"}),
                "outlier_detection.max_ejection_time: is shorter than base_ejection_time",
            ),
            (
                "/outlier_detection",
                json!({"detect_degraded_hosts": true}),
                &format!("outlier_detection.detect_degraded_hosts: {NOT_EXECUTED}"),
            ),
            (
                "/health_checks",
                json!([{}]),
                &format!("health_checks: {NOT_EXECUTED}"),
            ),
            (
                "/lb_subset_config",
                json!({}),
                &format!("lb_subset_config: {NOT_EXECUTED}"),
            ),
            (
                "/lb_policy",
                json!("LOAD_BALANCING_POLICY_CONFIG"),
                "lb_policy: this proxy does not execute LOAD_BALANCING_POLICY_CONFIG",
            ),
            (
                "/maglev_lb_config",
                json!({"table_size": 11}),
                &format!("lb_config: {NOT_EXECUTED}"),
            ),
            (
                "/lb_policy",
                json!("CLUSTER_PROVIDED"),
                "lb_policy: is CLUSTER_PROVIDED for ORIGINAL_DST, and for nothing else",
            ),
            (
                "/common_lb_config/healthy_panic_threshold",
                json!({"value": 33.3}),
                "common_lb_config.healthy_panic_threshold: is 33.3 %, \
                 finer than this proxy counts or out of range",
            ),
            (
                "/common_lb_config/zone_aware_lb_config",
                json!({}),
                &format!("common_lb_config.locality_config_specifier: {NOT_EXECUTED}"),
            ),
            (
                "/eds_cluster_config/eds_config",
                json!({"path": "/etc/eds"}),
                "eds_cluster_config.eds_config: comes from elsewhere than the stream of ADS",
            ),
            (
                "/filters",
                json!([{"name": "istio.metadata_exchange", "typed_config": rbac.clone()}]),
                "filters[0].typed_config: this proxy does not execute envoy.extensions.filters.network.rbac.v3.RBAC",
            ),
            (
                "/transport_socket",
                json!({"name": "envoy.transport_sockets.raw_buffer", "typed_config": proxy}),
                "transport_socket.typed_config: this proxy does not execute \
                 envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
            ),
            (
                "/typed_extension_protocol_options",
                json!({"x": rbac.clone()}),
                "typed_extension_protocol_options[\"x\"]: this proxy does not execute it",
            ),
            (
                "/upstream_bind_config",
                json!({"source_address": {"address": "127.0.0.6", "port_value": 80}}),
                "upstream_bind_config.source_address: must be an address of a host, with port 0",
            ),
            (
                "/metadata/filter_metadata/istio/alpn_override",
                json!("false"),
                &format!("metadata.filter_metadata[\"istio\"].alpn_override: {NOT_EXECUTED}"),
            ),
            (
                "/circuit_breakers/thresholds/0/retry_budget",
                json!({}),
                &format!("circuit_breakers.thresholds[0].retry_budget: {NOT_EXECUTED}"),
            ),
            (
                &format!("{tls}/auto_sni_san_validation"),
                json!(true),
                &format!("{tls_at}.auto_sni_san_validation: {NOT_EXECUTED}"),
            ),
            (
                &format!("{tls}/allow_renegotiation"),
                json!(true),
                &format!("{tls_at}.allow_renegotiation: {NOT_EXECUTED}"),
            ),
        ],
    )
}
