//! Filters, network and HTTP.

use super::{NOT_EXECUTED, errors, expect_refusals, served};
use anyhow::Result;
use mesh_model::listener::Listener;
use mesh_xds::json::Pool;
use serde_json::{Value as Json, json};

fn network_filter(name: &str) -> Json {
    let name = format!("type.googleapis.com/envoy.extensions.filters.network.{name}");
    json!({"name": "x", "typed_config": {"@type": name}})
}

fn http_filter(name: &str) -> Json {
    let name = format!("type.googleapis.com/envoy.extensions.filters.http.{name}");
    json!({"name": "x", "is_optional": true, "typed_config": {"@type": name}})
}

#[test]
fn filters_that_decide_are_refused() -> Result<()> {
    let network = "/filter_chains/6/filters/0";
    let http = "/filter_chains/6/filters/1/typed_config/http_filters/0";
    let not = |place: &str, filter: &str| {
        format!(
            "{place}.typed_config: this proxy does not execute envoy.extensions.filters.{filter}"
        )
    };
    let pool = Pool::load();
    let resource = served::<Listener>(&pool, "virtualInbound")?;
    for filter in ["ext_authz.v3.ExtAuthz", "local_ratelimit.v3.LocalRateLimit"] {
        let found = errors::<Listener>(&pool, &resource, network, network_filter(filter))?;
        let want = not("filter_chains[6].filters[0]", &format!("network.{filter}"));
        assert_eq!(found, [want]);
    }
    for filter in [
        "ext_authz.v3.ExtAuthz",
        "lua.v3.Lua",
        "wasm.v3.Wasm",
        "buffer.v3.Buffer",
    ] {
        let found = errors::<Listener>(&pool, &resource, http, http_filter(filter))?;
        let place = "filter_chains[6].filters[1].typed_config.http_filters[0]";
        assert_eq!(found, [not(place, &format!("http.{filter}"))]);
    }
    Ok(())
}

#[test]
fn security_in_a_struct_is_no_less_refused() -> Result<()> {
    expect_refusals::<Listener>(
        "virtualInbound",
        vec![(
            "/filter_chains/6/filters/1/typed_config/http_filters/0",
            json!({"name": "x", "typed_config": {
                "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
                "type_url": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                "value": {},
            }}),
            "filter_chains[6].filters[1].typed_config.http_filters[0].typed_config: \
             envoy.extensions.filters.http.rbac.v3.RBAC comes as a TypedStruct",
        )],
    )
}

#[test]
fn a_connection_manager_is_understood_in_full_or_refused() -> Result<()> {
    let pool = Pool::load();
    let resource = served::<Listener>(&pool, "virtualInbound")?;
    let manager = "/filter_chains/6/filters/1/typed_config";
    let at = "filter_chains[6].filters[1].typed_config";
    let abort = json!({"name": "x", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "abort": {"header_abort": {}}}});
    let filters = "must end with the router, and hold no other";
    for (place, value, want) in [
        (
            "xff_num_trusted_hops",
            json!(1),
            format!("xff_num_trusted_hops: {NOT_EXECUTED}"),
        ),
        (
            "skip_xff_append",
            json!(true),
            format!("skip_xff_append: {NOT_EXECUTED}"),
        ),
        (
            "local_reply_config",
            json!({}),
            format!("local_reply_config: {NOT_EXECUTED}"),
        ),
        (
            "max_request_headers_kb",
            json!(1),
            format!("max_request_headers_kb: {NOT_EXECUTED}"),
        ),
        ("via", json!("x"), format!("via: {NOT_EXECUTED}")),
        (
            "common_http_protocol_options",
            json!({"headers_with_underscores_action": "REJECT_REQUEST"}),
            format!("common_http_protocol_options.headers_with_underscores_action: {NOT_EXECUTED}"),
        ),
        (
            "http2_protocol_options",
            json!({"max_concurrent_streams": 1}),
            format!("http2_protocol_options.max_concurrent_streams: {NOT_EXECUTED}"),
        ),
        (
            "forward_client_cert_details",
            json!("ALWAYS_FORWARD_ONLY"),
            "forward_client_cert_details: would pass on what a client without a certificate claims"
                .into(),
        ),
        (
            "forward_client_cert_details",
            json!("SANITIZE"),
            "set_current_client_cert_details: says what to write into a header that is not written"
                .into(),
        ),
        (
            "codec_type",
            json!("HTTP1"),
            "codec_type: HTTP1 alone is not served".into(),
        ),
        (
            "upgrade_configs",
            json!([{"upgrade_type": "CONNECT"}]),
            "upgrade_configs[0].upgrade_type: tunnels by CONNECT are not made".into(),
        ),
        (
            "http_filters",
            json!([]),
            format!("http_filters: {filters}"),
        ),
        (
            "http_filters/0",
            http_filter("router.v3.Router"),
            format!("http_filters: {filters}"),
        ),
        (
            "http_filters/0",
            abort,
            "http_filters[0].typed_config.abort.header_abort: this proxy does not execute it"
                .into(),
        ),
        (
            "route_config/virtual_hosts/0/require_tls",
            json!("ALL"),
            format!("route_config.virtual_hosts[0].require_tls: {NOT_EXECUTED}"),
        ),
        (
            "route_config/virtual_hosts/0/routes/0/typed_per_filter_config",
            json!({"envoy.filters.http.lua": {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute"}}),
            "route_config.virtual_hosts[0].routes[0]\
             .typed_per_filter_config[\"envoy.filters.http.lua\"]: this proxy does not execute \
             envoy.extensions.filters.http.lua.v3.LuaPerRoute"
                .into(),
        ),
    ] {
        let found = errors::<Listener>(&pool, &resource, &format!("{manager}/{place}"), value)?;
        assert_eq!(found, [format!("{at}.{want}")], "{place}");
    }
    Ok(())
}
