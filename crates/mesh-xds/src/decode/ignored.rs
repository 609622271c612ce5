//! The one table of fields that may be set without being executed.
//!
//! A field stands here only if leaving it out changes neither who may talk to whom nor what a request gets: it is
//! about statistics, traces, buffer sizes, or about a mechanism that this proxy does not have. Nothing of TLS,
//! authentication or authorization may ever be added. What is hit here is listed, so that tools can show it.

/// Message, field, and why it is safe to leave out.
const TABLE: &[(&str, &str, &str)] = &[
    (
        "envoy.config.cluster.v3.Cluster",
        "alt_stat_name",
        STATS_NAME,
    ),
    (
        "envoy.config.cluster.v3.Cluster",
        "cleanup_interval",
        "endpoints of original destinations are dropped when they are idle",
    ),
    (
        "envoy.config.cluster.v3.Cluster",
        "per_connection_buffer_limit_bytes",
        BUFFERS,
    ),
    (
        "envoy.config.cluster.v3.Cluster.CommonLbConfig",
        "update_merge_window",
        "endpoint updates apply at once",
    ),
    (
        "envoy.config.core.v3.Http2ProtocolOptions",
        "initial_connection_window_size",
        BUFFERS,
    ),
    (
        "envoy.config.core.v3.Http2ProtocolOptions",
        "initial_stream_window_size",
        BUFFERS,
    ),
    ("envoy.config.core.v3.Metadata", "filter_metadata", METADATA),
    (
        "envoy.config.core.v3.Metadata",
        "typed_filter_metadata",
        METADATA,
    ),
    (
        "envoy.config.core.v3.SubstitutionFormatString",
        "json_format_options",
        "keys of JSON lines are always sorted",
    ),
    (
        "envoy.config.endpoint.v3.Endpoint",
        "additional_addresses",
        "connections go to the first address",
    ),
    (
        "envoy.config.endpoint.v3.Endpoint",
        "hostname",
        "the host header is not rewritten to it",
    ),
    (
        "envoy.config.endpoint.v3.LocalityLbEndpoints",
        "metadata",
        METADATA,
    ),
    (
        "envoy.config.endpoint.v3.LocalityLbEndpoints",
        "proximity",
        "only used to sort for tools",
    ),
    ("envoy.config.listener.v3.FilterChain", "metadata", METADATA),
    (
        "envoy.config.listener.v3.Listener",
        "connection_balance_config",
        "connections always go to the worker with the fewest",
    ),
    (
        "envoy.config.listener.v3.Listener",
        "enable_reuse_port",
        "sockets are bound once for the life of the process",
    ),
    (
        "envoy.config.listener.v3.Listener",
        "max_connections_to_accept_per_socket_event",
        "connections are accepted in small batches",
    ),
    ("envoy.config.listener.v3.Listener", "metadata", METADATA),
    (
        "envoy.config.listener.v3.Listener",
        "per_connection_buffer_limit_bytes",
        BUFFERS,
    ),
    (
        "envoy.config.listener.v3.Listener",
        "stat_prefix",
        STATS_NAME,
    ),
    (
        "envoy.config.listener.v3.Listener",
        "tcp_backlog_size",
        "the backlog is as long as the kernel allows",
    ),
    ("envoy.config.route.v3.Decorator", "propagate", TRACES),
    ("envoy.config.route.v3.Route", "stat_prefix", STATS_NAME),
    ("envoy.config.route.v3.Route", "tracing", TRACES),
    (
        "envoy.config.route.v3.RouteConfiguration",
        "metadata",
        METADATA,
    ),
    (
        "envoy.config.route.v3.RouteConfiguration",
        "validate_clusters",
        "clusters and routes arrive in any order",
    ),
    ("envoy.config.route.v3.VirtualHost", "metadata", METADATA),
    (
        "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
        "enable_upstream_stats",
        STATS,
    ),
    (
        "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
        "per_method_stat_specifier",
        STATS,
    ),
    (
        "envoy.extensions.filters.http.router.v3.Router",
        "dynamic_stats",
        STATS,
    ),
    (
        "envoy.extensions.filters.http.router.v3.Router",
        "start_child_span",
        TRACES,
    ),
    (
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        "initial_read_buffer_size",
        BUFFERS,
    ),
    (
        HCM,
        "delayed_close_timeout",
        "a closed connection is given a second for its last bytes",
    ),
    (
        HCM,
        "drain_timeout",
        "draining takes as long as the process is given",
    ),
    (
        HCM,
        "proxy_100_continue",
        "`Expect: 100-continue` is answered on the way",
    ),
    (HCM_TRACING, "custom_tags", TRACES),
    (HCM_TRACING, "max_path_tag_length", TRACES),
    (HCM_TRACING, "provider", TRACES),
    (HCM_TRACING, "spawn_upstream_span", TRACES),
    (HCM_TRACING, "verbose", TRACES),
    (
        "envoy.tcp.metadataexchange.config.MetadataExchange",
        "additional_labels",
        PEER_LABELS,
    ),
    (
        "io.istio.http.peer_metadata.Config",
        "additional_labels",
        PEER_LABELS,
    ),
    (
        "io.istio.http.peer_metadata.Config",
        "shared_with_upstream",
        "no filter runs on upstream connections",
    ),
    (
        "istio metadata of a cluster",
        "config",
        "only names the object that it was made from",
    ),
    (
        "istio metadata of a cluster",
        "external",
        "no filter of ours asks for it",
    ),
    (
        "istio metadata of a cluster",
        "subset",
        "only names the subset that the cluster's name has too",
    ),
    ("stats.PluginConfig", "definitions", STATS),
    ("stats.PluginConfig", "graceful_deletion_interval", STATS),
    ("stats.PluginConfig", "metrics", STATS),
    ("stats.PluginConfig", "reporter", STATS),
    ("stats.PluginConfig", "rotation_interval", STATS),
    ("stats.PluginConfig", "tcp_reporting_duration", STATS),
];

const HCM: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const HCM_TRACING: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing";

const BUFFERS: &str = "buffers and windows are sized by the proxy itself";
const METADATA: &str = "metadata that no filter of ours reads";
const PEER_LABELS: &str = "which labels of a peer are known changes only metrics";
const STATS: &str = "changes only which statistics are kept";
const STATS_NAME: &str = "only names statistics";
const TRACES: &str = "no traces are sent yet";

/// Why the field may be left out; `None`: it may not.
pub(super) fn why(message: &str, field: &str) -> Option<&'static str> {
    let entry = TABLE.iter().find(|(m, f, _)| *m == message && *f == field);
    entry.map(|(_, _, why)| *why)
}
