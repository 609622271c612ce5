//! The one table of fields that may be set without being executed.
//!
//! A field stands here only if leaving it out changes neither who may talk to whom nor what a request gets: it is
//! about statistics, traces, buffer sizes, or about a mechanism that this proxy does not have. Nothing of TLS,
//! authentication or authorization may ever be added. What is hit here is listed, so that tools can show it.

/// By message: the fields, each with why it is safe to leave out.
const TABLE: &[(&str, &[(&str, &str)])] = &[
    (
        "envoy.config.bootstrap.v3.Admin",
        &[
            ("access_log", ADMIN_LOG),
            ("access_log_path", ADMIN_LOG),
            ("profile_path", "there is no profiler"),
        ],
    ),
    (
        "envoy.config.bootstrap.v3.Bootstrap",
        &[
            ("layered_runtime", "there are no runtime values"),
            (
                "overload_manager",
                "limits follow from the process's own: descriptors and memory",
            ),
            ("stats_config", STATS),
            ("stats_flush", STATS),
            ("stats_flush_interval", STATS),
            ("stats_sinks", STATS),
        ],
    ),
    (
        "envoy.config.cluster.v3.Cluster",
        &[
            ("alt_stat_name", STATS_NAME),
            (
                "cleanup_interval",
                "endpoints of original destinations are dropped when they are idle",
            ),
            ("per_connection_buffer_limit_bytes", BUFFERS),
        ],
    ),
    (
        "envoy.config.cluster.v3.Cluster.CommonLbConfig",
        &[("update_merge_window", "endpoint updates apply at once")],
    ),
    (
        "envoy.config.core.v3.Http2ProtocolOptions",
        &[
            ("initial_connection_window_size", BUFFERS),
            ("initial_stream_window_size", BUFFERS),
        ],
    ),
    (
        "envoy.config.core.v3.Metadata",
        &[
            ("filter_metadata", METADATA),
            ("typed_filter_metadata", METADATA),
        ],
    ),
    (
        "envoy.config.core.v3.RuntimeFractionalPercent",
        &[("runtime_key", "there are no runtime values")],
    ),
    (
        "envoy.config.core.v3.SubstitutionFormatString",
        &[(
            "json_format_options",
            "keys of JSON lines are always sorted",
        )],
    ),
    (
        "envoy.config.endpoint.v3.Endpoint",
        &[
            (
                "additional_addresses",
                "connections go to the first address",
            ),
            ("hostname", "the host header is not rewritten to it"),
        ],
    ),
    (
        "envoy.config.endpoint.v3.LocalityLbEndpoints",
        &[
            ("metadata", METADATA),
            ("proximity", "only used to sort for tools"),
        ],
    ),
    (
        "envoy.config.listener.v3.FilterChain",
        &[("metadata", METADATA)],
    ),
    (
        "envoy.config.listener.v3.Listener",
        &[
            (
                "connection_balance_config",
                "connections always go to the worker with the fewest",
            ),
            (
                "enable_reuse_port",
                "sockets are bound once for the life of the process",
            ),
            (
                "max_connections_to_accept_per_socket_event",
                "connections are accepted in small batches",
            ),
            ("metadata", METADATA),
            ("per_connection_buffer_limit_bytes", BUFFERS),
            ("stat_prefix", STATS_NAME),
            (
                "tcp_backlog_size",
                "the backlog is as long as the kernel allows",
            ),
        ],
    ),
    ("envoy.config.route.v3.Decorator", &[("propagate", TRACES)]),
    (
        "envoy.config.route.v3.Route",
        &[("stat_prefix", STATS_NAME), ("tracing", TRACES)],
    ),
    (
        "envoy.config.route.v3.RouteAction.RequestMirrorPolicy",
        &[("trace_sampled", TRACES)],
    ),
    (
        "envoy.config.route.v3.RouteConfiguration",
        &[
            ("metadata", METADATA),
            (
                "validate_clusters",
                "clusters and routes arrive in any order",
            ),
        ],
    ),
    (
        "envoy.config.route.v3.VirtualHost",
        &[("metadata", METADATA)],
    ),
    (
        "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
        &[
            ("enable_upstream_stats", STATS),
            ("per_method_stat_specifier", STATS),
        ],
    ),
    (
        "envoy.extensions.filters.http.router.v3.Router",
        &[("dynamic_stats", STATS), ("start_child_span", TRACES)],
    ),
    (
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        &[("initial_read_buffer_size", BUFFERS)],
    ),
    (
        HCM,
        &[
            (
                "delayed_close_timeout",
                "a closed connection is given a second for its last bytes",
            ),
            (
                "drain_timeout",
                "draining takes as long as the process is given",
            ),
            (
                "proxy_100_continue",
                "`Expect: 100-continue` is answered on the way",
            ),
        ],
    ),
    (
        HCM_TRACING,
        &[
            ("custom_tags", TRACES),
            ("max_path_tag_length", TRACES),
            ("provider", TRACES),
            ("spawn_upstream_span", TRACES),
            ("verbose", TRACES),
        ],
    ),
    (
        "envoy.tcp.metadataexchange.config.MetadataExchange",
        &[("additional_labels", PEER_LABELS)],
    ),
    (
        "io.istio.http.peer_metadata.Config",
        &[
            ("additional_labels", PEER_LABELS),
            (
                "shared_with_upstream",
                "no filter runs on upstream connections",
            ),
        ],
    ),
    (
        "io.istio.http.peer_metadata.Config.DiscoveryMethod",
        &[("baggage", PEER_LABELS)],
    ),
    (
        "istio metadata of a cluster",
        &[
            ("config", "only names the object that it was made from"),
            ("external", "no filter of ours asks for it"),
            (
                "subset",
                "only names the subset that the cluster's name has too",
            ),
        ],
    ),
    (
        "stats.PluginConfig",
        &[
            ("definitions", STATS),
            ("graceful_deletion_interval", STATS),
            ("metrics", STATS),
            ("reporter", STATS),
            ("rotation_interval", STATS),
            ("tcp_reporting_duration", STATS),
        ],
    ),
];

const HCM: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const HCM_TRACING: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing";

const ADMIN_LOG: &str = "requests to the administration interface are not logged";
const BUFFERS: &str = "buffers and windows are sized by the proxy itself";
const METADATA: &str = "metadata that no filter of ours reads";
const PEER_LABELS: &str = "which labels of a peer are known changes only metrics";
const STATS: &str = "changes only which statistics are kept";
const STATS_NAME: &str = "only names statistics";
const TRACES: &str = "no traces are sent yet";

/// Why the field may be left out; `None`: it may not.
pub(super) fn why(message: &str, field: &str) -> Option<&'static str> {
    let (_, fields) = TABLE.iter().find(|(name, _)| *name == message)?;
    fields
        .iter()
        .find(|(name, _)| *name == field)
        .map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Pool;

    /// Fields of structs that are no messages.
    const METADATA_OF: &str = "istio metadata of ";
    /// Where security lives: nothing of it may be left out.
    const SECURITY: [&str; 8] = [
        "envoy.config.rbac.",
        "envoy.extensions.filters.http.ext_authz.",
        "envoy.extensions.filters.http.jwt_authn.",
        "envoy.extensions.filters.http.rbac.",
        "envoy.extensions.filters.network.ext_authz.",
        "envoy.extensions.filters.network.rbac.",
        "envoy.extensions.transport_sockets.",
        "envoy.type.matcher.",
    ];

    #[test]
    fn every_entry_names_a_field_that_exists() {
        let pool = Pool::load();
        for (message, fields) in TABLE {
            if message.starts_with(METADATA_OF) {
                continue;
            }
            let found = pool.descriptors().get_message_by_name(message);
            let found = found.unwrap_or_else(|| panic!("there is no message {message}"));
            for (field, _) in *fields {
                let oneof = found.oneofs().any(|oneof| oneof.name() == *field);
                let known = oneof || found.get_field_by_name(field).is_some();
                assert!(known, "{message} has no field {field}");
            }
        }
    }

    #[test]
    fn entries_are_in_order_and_distinct() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        for (message, fields) in TABLE {
            assert!(fields.is_sorted_by(|a, b| a.0 < b.0), "{message}");
        }
    }

    #[test]
    fn nothing_of_security_is_ever_ignored() {
        for (message, _) in TABLE {
            let security = SECURITY.iter().any(|prefix| message.starts_with(prefix));
            assert!(!security, "{message}");
        }
    }
}
