//! Route tables.

use super::{NOT_EXECUTED, expect_refusals};
use anyhow::Result;
use mesh_model::route::RouteConfiguration;
use serde_json::json;

#[test]
fn a_route_table_is_understood_in_full_or_refused() -> Result<()> {
    let route = "/virtual_hosts/0/routes/0";
    let at = "virtual_hosts[0].routes[0]";
    let slow_down = json!({"base_interval": "1s", "max_interval": "0.5s"});
    let answer = json!({"status": 200, "body": {"inline_string": "x".repeat(1_048_577)}});
    expect_refusals::<RouteConfiguration>(
        "80",
        vec![
            ("/vhds", json!({}), &format!("vhds: {NOT_EXECUTED}")),
            (
                "/virtual_hosts/1/domains/0",
                json!("A.Default"),
                "virtual_hosts: \"A.Default\" is a domain of both \
                 \"a.default.svc.cluster.local:80\" and \"nginx.test.svc.cluster.local:80\"",
            ),
            (
                "/virtual_hosts/0/domains",
                json!([]),
                "virtual_hosts[0].domains: must be set",
            ),
            (
                &format!("{route}/request_headers_to_remove"),
                json!(["Host"]),
                &format!(
                    "{at}.request_headers_to_remove[0]: \"host\" is no header that may be changed"
                ),
            ),
            (
                &format!("{route}/request_headers_to_add"),
                json!([{"header": {"key": ":path", "value": "x"}}]),
                &format!(
                    "{at}.request_headers_to_add[0].header.key: \":path\" is no header that may be \
                     changed"
                ),
            ),
            (
                &format!("{route}/route"),
                json!({"weighted_clusters": {"clusters": [{"name": "a"}]}}),
                &format!("{at}.route.weighted_clusters.clusters: have no weight"),
            ),
            (
                &format!("{route}/match/headers"),
                json!([{"name": "a b"}]),
                &format!("{at}.match.headers[0].name: \"a b\" is no name of a header"),
            ),
            (
                &format!("{route}/match/headers"),
                json!([{"name": "x", "string_match": {"safe_regex": {"regex": "("}}}]),
                &format!(
                    "{at}.match.headers[0].string_match.safe_regex.regex: \"(\" is no regular \
                     expression of ASCII text"
                ),
            ),
            (
                &format!("{route}/match/headers"),
                json!([{"name": "x", "string_match": {"custom": {"name": "x"}}}]),
                &format!(
                    "{at}.match.headers[0].string_match.custom: this proxy does not execute it"
                ),
            ),
            (
                &format!("{route}/match/query_parameters"),
                json!([{"name": "x", "present_match": false}]),
                &format!(
                    "{at}.match.query_parameters[0].present_match: this proxy does not execute it"
                ),
            ),
            (
                &format!("{route}/match/runtime_fraction"),
                json!({"runtime_key": "x"}),
                &format!("{at}.match.runtime_fraction.default_value: must be set"),
            ),
            (
                &format!("{route}/match/dynamic_metadata"),
                json!([{"filter": "x"}]),
                &format!("{at}.match.dynamic_metadata: {NOT_EXECUTED}"),
            ),
            (
                &format!("{route}/match"),
                json!({"path_separated_prefix": "/a/"}),
                &format!("{at}.match.path_separated_prefix: \"/a/\" is no path before a slash"),
            ),
            (
                &format!("{route}/route/priority"),
                json!("HIGH"),
                &format!("{at}.route.priority: {NOT_EXECUTED}"),
            ),
            (
                &format!("{route}/route/hash_policy"),
                json!([{"filter_state": {"key": "x"}}]),
                &format!("{at}.route.hash_policy[0].filter_state: this proxy keeps no such state"),
            ),
            (
                &format!("{route}/route/hash_policy"),
                json!([{"header": {"header_name": "x", "regex_rewrite": {}}}]),
                &format!("{at}.route.hash_policy[0].header.regex_rewrite: {NOT_EXECUTED}"),
            ),
            (
                &format!("{route}/route/hash_policy"),
                json!([{"cookie": {"name": "a;b"}}]),
                &format!("{at}.route.hash_policy[0].cookie.name: \"a;b\" cannot stand in a cookie"),
            ),
            (
                &format!("{route}/route/prefix_rewrite"),
                json!("/a b"),
                &format!("{at}.route.prefix_rewrite: \"/a b\" is no path"),
            ),
            (
                &format!("{route}/route/regex_rewrite"),
                json!({"pattern": {"regex": "a"}, "substitution": "\\1"}),
                &format!(
                    "{at}.route.regex_rewrite: \"a\", \"\\\\1\": names group 1, which the pattern \
                     does not have"
                ),
            ),
            (
                &format!("{route}/route/host_rewrite_literal"),
                json!("a b"),
                &format!("{at}.route.host_rewrite_literal: \"a b\" is no host"),
            ),
            (
                &format!("{route}/route/auto_host_rewrite"),
                json!(true),
                &format!("{at}.route.auto_host_rewrite: this proxy does not execute it"),
            ),
            (
                &format!("{route}/route/request_mirror_policies"),
                json!([{"cluster_header": "x"}]),
                &format!("{at}.route.request_mirror_policies[0].cluster_header: {NOT_EXECUTED}"),
            ),
            (
                &format!("{route}/route/internal_redirect_policy"),
                json!({"redirect_response_codes": [200]}),
                &format!(
                    "{at}.route.internal_redirect_policy.redirect_response_codes[0]: 200 is no redirect"
                ),
            ),
            (
                &format!("{route}/route/retry_policy/retry_priority"),
                json!({"name": "x"}),
                &format!("{at}.route.retry_policy.retry_priority: {NOT_EXECUTED}"),
            ),
            (
                &format!("{route}/route/timeout"),
                json!("-1s"),
                &format!("{at}.route.timeout: is no duration between 0 and 292 years"),
            ),
            (
                &format!("{route}/route/retry_policy/retry_on"),
                json!("5xx,sometimes"),
                &format!(
                    "{at}.route.retry_policy.retry_on: \"sometimes\" is no condition that this proxy knows"
                ),
            ),
            (
                &format!("{route}/route/retry_policy/retry_back_off"),
                slow_down,
                &format!("{at}.route.retry_policy.retry_back_off.max_interval: is below the base"),
            ),
            (
                &format!("{route}/metadata"),
                json!({"filter_metadata": {"istio": {"config": 7}}}),
                &format!("{at}.metadata.filter_metadata[\"istio\"].config: is not a string"),
            ),
            (
                "/virtual_hosts/0/routes/0",
                json!({"match": {"prefix": "/"}, "direct_response": answer}),
                "max_direct_response_body_size_bytes: 1 direct responses are longer than 1048576 bytes",
            ),
            (
                "/virtual_hosts/0/routes/0",
                json!({"match": {"prefix": "/"}, "redirect": {"host_redirect": "a b"}}),
                &format!("{at}.redirect.host_redirect: \"a b\" is no host"),
            ),
        ],
    )
}
