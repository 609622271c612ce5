//! Listeners and their chains.

use super::{NOT_EXECUTED, expect_refusals};
use anyhow::Result;
use mesh_model::listener::Listener;
use serde_json::json;

#[test]
fn a_listener_is_understood_in_full_or_refused() -> Result<()> {
    let pipe = json!({"pipe": {"path": "/run/x"}});
    let filter = |name: &str| {
        let name = format!("type.googleapis.com/envoy.extensions.filters.listener.{name}");
        json!({"name": "x", "typed_config": {"@type": name}})
    };
    let ends = "must end with a connection manager or a TCP proxy, and hold no other";
    expect_refusals::<Listener>(
        "virtualInbound",
        vec![
            (
                "/transparent",
                json!(true),
                &format!("transparent: {NOT_EXECUTED}"),
            ),
            (
                "/socket_options",
                json!([{}]),
                &format!("socket_options: {NOT_EXECUTED}"),
            ),
            ("/name", json!(""), "name: must be set"),
            (
                "/address",
                pipe,
                "address.pipe: Unix sockets are not served",
            ),
            ("/filter_chains", json!([]), "filter_chains: must be set"),
            (
                "/listener_filters/0",
                filter("proxy_protocol.v3.ProxyProtocol"),
                "listener_filters[0].typed_config: this proxy does not execute \
                 envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
            ),
            (
                "/listener_filters/1/filter_disabled",
                json!({"destination_port_range": {"start": 9, "end": 9}}),
                "listener_filters[1].filter_disabled.destination_port_range: 9 to 9 is no range of ports",
            ),
            (
                "/filter_chains/6/use_proxy_proto",
                json!(true),
                &format!("filter_chains[6].use_proxy_proto: {NOT_EXECUTED}"),
            ),
            (
                "/filter_chains/6/filters",
                json!([]),
                &format!("filter_chains[6].filters: {ends}"),
            ),
            (
                "/filter_chains/6/filter_chain_match/source_type",
                json!("EXTERNAL"),
                &format!("filter_chains[6].filter_chain_match.source_type: {NOT_EXECUTED}"),
            ),
            (
                "/filter_chains/6/filter_chain_match/transport_protocol",
                json!("quic"),
                "filter_chains[6].filter_chain_match.transport_protocol: \"quic\" is never found",
            ),
            (
                "/filter_chains/6/filter_chain_match/prefix_ranges",
                json!([{"address_prefix": "10.0.0.0", "prefix_len": 33}]),
                "filter_chains[6].filter_chain_match.prefix_ranges[0]: 10.0.0.0/33 is no range of addresses",
            ),
            (
                "/filter_chains/6/filter_chain_match/server_names",
                json!(["a*.test"]),
                "filter_chains[6].filter_chain_match.server_names[0]: \
                 \"a*.test\" is neither a name nor `*.` before one",
            ),
        ],
    )
}
