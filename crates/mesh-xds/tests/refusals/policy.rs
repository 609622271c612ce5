//! Policies: understood in full, or refused.

use super::{errors, served};
use anyhow::Result;
use mesh_model::{
    filter::NetworkFilter,
    http::HttpFilter,
    listener::Listener,
    policy::rbac::{Permission, Principal},
};
use mesh_xds::{
    json::Pool,
    resource::{Decoded, Resource},
};
use serde_json::{Value as Json, json};

const CAPTURED: &str = include_str!("../../testdata/captures/shop.policies.json");

const NETWORK: &str = "/filter_chains/6/filters/0";
const HTTP: &str = "/filter_chains/6/filters/1/typed_config/http_filters/0";

/// Where a filter of that type stands.
fn place(type_url: &str) -> (&'static str, &'static str) {
    match type_url.contains(".network.") {
        true => (NETWORK, "filter_chains[6].filters[0].typed_config"),
        false => (
            HTTP,
            "filter_chains[6].filters[1].typed_config.http_filters[0].typed_config",
        ),
    }
}

fn filter_errors(pool: &Pool, resource: &Json, config: Json) -> Result<Vec<String>> {
    let type_url = config["@type"].as_str().unwrap_or_default().to_owned();
    let (pointer, place) = place(&type_url);
    let filter = json!({"name": "x", "typed_config": config});
    let found = errors::<Listener>(pool, resource, pointer, filter)?;
    let inside = |error: &String| error.replace(&format!("{place}."), "").replace(place, "");
    Ok(found.iter().map(inside).collect())
}

#[test]
fn what_istio_makes_of_policies_is_understood() -> Result<()> {
    let pool = Pool::load();
    let resource = served::<Listener>(&pool, "virtualInbound")?;
    let captured: Vec<Json> = serde_json::from_str(CAPTURED)?;
    for config in captured {
        let kind = config["@type"].as_str().unwrap_or_default().to_owned();
        let found = filter_errors(&pool, &resource, config)?;
        assert_eq!(found, [""; 0], "{kind}");
    }
    Ok(())
}

#[test]
fn access_control_is_understood_in_full_or_refused() -> Result<()> {
    let pool = Pool::load();
    let resource = served::<Listener>(&pool, "virtualInbound")?;
    let any = json!({"permissions": [{"any": true}], "principals": [{"any": true}]});
    let not = "this proxy does not execute it";
    let set = "is set, and this proxy does not execute it";
    let mut rows = vec![
        ("matcher", json!({}), format!("matcher: {set}")),
        (
            "shadow_matcher",
            json!({}),
            format!("shadow_matcher: {set}"),
        ),
        (
            "rules",
            json!({"audit_logging_options": {"audit_condition": "ON_DENY"}}),
            format!("rules.audit_logging_options: {set}"),
        ),
        (
            "rules",
            json!({"policies": {"p": {"principals": [{"any": true}]}}}),
            "rules.policies[\"p\"].permissions: must be set".to_owned(),
        ),
        (
            "shadow_rules",
            json!({"policies": {"p": {"permissions": [{"any": true}]}}}),
            "shadow_rules.policies[\"p\"].principals: must be set".to_owned(),
        ),
    ];
    let mut conditional = any.clone();
    conditional["condition"] = json!({"const_expr": {"bool_value": true}});
    rows.push((
        "rules",
        json!({"policies": {"p": conditional}}),
        format!("rules.policies[\"p\"].condition: {set}"),
    ));
    for (permission, want) in [
        (json!({}), ": must be set".to_owned()),
        (json!({"any": false}), ".any: can only be true".into()),
        (json!({"and_rules": {}}), ".and_rules: has no member".into()),
        (json!({"not_rule": {}}), ".not_rule: must be set".into()),
        (json!({"matcher": {}}), format!(".matcher: {not}")),
        (json!({"url_path": {}}), ".url_path.path: must be set".into()),
        (
            json!({"destination_port": 65_536}),
            ".destination_port: 65536 is no port".into(),
        ),
        (
            json!({"destination_port_range": {"start": 2, "end": 2}}),
            ".destination_port_range: 2 to 2 is no range of ports".into(),
        ),
        (
            json!({"destination_ip": {"address_prefix": "1.2.3.4", "prefix_len": 33}}),
            ".destination_ip: 1.2.3.4/33 is no range of addresses".into(),
        ),
        (
            json!({"metadata": {"filter": "f", "path": [{"key": "k"}], "value": {"double_match": {"exact": 1}}}}),
            format!(".metadata.value.double_match: {not}"),
        ),
        (
            json!({"sourced_metadata": {"metadata_source": "ROUTE", "metadata_matcher":
                {"filter": "f", "path": [{"key": "k"}], "value": {"present_match": true}}}}),
            ".sourced_metadata.metadata_source: this proxy keeps no metadata of routes".into(),
        ),
        (
            json!({"uri_template": {"name": "x", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                "path_template": "/**/*"}}}),
            ".uri_template.typed_config.path_template: \"/**/*\" has something left open behind `**`".into(),
        ),
    ] {
        let mut policy = any.clone();
        policy["permissions"] = json!([permission]);
        let at = "rules.policies[\"p\"].permissions[0]";
        rows.push(("rules", json!({"policies": {"p": policy}}), format!("{at}{want}")));
    }
    for (principal, want) in [
        (json!({}), ": must be set".to_owned()),
        (json!({"custom": {}}), format!(".custom: {not}")),
        (json!({"or_ids": {}}), ".or_ids: has no member".into()),
        (
            json!({"filter_state": {"key": "k", "string_match": {"exact": "x"}}}),
            ".filter_state.key: no filter of this proxy keeps \"k\"".into(),
        ),
        (
            json!({"authenticated": {"principal_name": {}}}),
            ".authenticated.principal_name: must be set".into(),
        ),
    ] {
        let mut policy = any.clone();
        policy["principals"] = json!([principal]);
        let at = "rules.policies[\"p\"].principals[0]";
        rows.push((
            "rules",
            json!({"policies": {"p": policy}}),
            format!("{at}{want}"),
        ));
    }
    for (field, value, want) in rows {
        for layer in ["http", "network"] {
            let type_url =
                format!("type.googleapis.com/envoy.extensions.filters.{layer}.rbac.v3.RBAC");
            let mut config = json!({"@type": type_url});
            if layer == "network" {
                config["stat_prefix"] = json!("tcp.");
            }
            config[field] = value.clone();
            let found = filter_errors(&pool, &resource, config)?;
            assert_eq!(found, std::slice::from_ref(&want), "{layer} {field}");
        }
    }
    let type_url = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC";
    for (config, want) in [
        (json!({}), "stat_prefix: must be set".to_owned()),
        (
            json!({"stat_prefix": "x", "enforcement_type": "CONTINUOUS"}),
            "enforcement_type: a connection is judged once, at its beginning".to_owned(),
        ),
        (
            json!({"stat_prefix": "x", "delay_deny": "1s"}),
            format!("delay_deny: {set}"),
        ),
    ] {
        let mut config = config;
        config["@type"] = json!(type_url);
        assert_eq!(filter_errors(&pool, &resource, config)?, [want]);
    }
    Ok(())
}

#[test]
fn deprecated_words_mean_what_they_meant() -> Result<()> {
    let pool = Pool::load();
    let mut resource = served::<Listener>(&pool, "virtualInbound")?;
    let net = json!({"address_prefix": "10.0.0.0", "prefix_len": 8});
    let claim = json!({"filter": "f", "path": [{"key": "k"}], "value": {"present_match": true}});
    let sourced = json!({"metadata_matcher": claim.clone()});
    let type_url = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC";
    let policy = |permission: Json, principal: Json| json!({"permissions": [permission], "principals": [principal]});
    let config = json!({"@type": type_url, "stat_prefix": "tcp.", "rules": {"policies": {
        "old": policy(json!({"metadata": claim}), json!({"source_ip": net})),
        "new": policy(json!({"sourced_metadata": sourced}), json!({"direct_remote_ip": net})),
    }}});
    resource.as_object_mut().map(|r| r.remove("@type"));
    let filters = resource
        .pointer_mut("/filter_chains/6/filters")
        .and_then(Json::as_array_mut);
    if let Some(filters) = filters {
        filters.insert(0, json!({"name": "x", "typed_config": config}));
    }
    let bytes = pool.read("envoy.config.listener.v3.Listener", &resource)?;
    let Decoded { value, .. } = Listener::decode(&bytes)?;
    let Some(NetworkFilter::Rbac(rbac)) = value.filter_chains[6].filters.first() else {
        anyhow::bail!("access control comes first");
    };
    let policies = rbac
        .rules
        .as_ref()
        .map(|rules| &*rules.policies)
        .unwrap_or_default();
    let [new, old] = policies else {
        anyhow::bail!("two policies, by their names");
    };
    assert_eq!((&*new.name, &*old.name), ("new", "old"));
    assert_eq!(
        (&new.permissions, &new.principals),
        (&old.permissions, &old.principals)
    );
    assert!(matches!(&*new.permissions, [Permission::Metadata(_)]));
    assert!(matches!(&*new.principals, [Principal::PeerIp(_)]));
    let NetworkFilter::HttpConnectionManager(manager) = &value.filter_chains[6].filters[2] else {
        anyhow::bail!("then metadata and HTTP");
    };
    assert!(
        manager
            .filters
            .iter()
            .all(|f| !matches!(f.filter, HttpFilter::Rbac(_)))
    );
    Ok(())
}

#[test]
fn tokens_are_understood_in_full_or_refused() -> Result<()> {
    let pool = Pool::load();
    let resource = served::<Listener>(&pool, "virtualInbound")?;
    let type_url =
        "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
    let set = "is set, and this proxy does not execute it";
    let keys = json!({"inline_string": "{}"});
    let provider = |more: Json| {
        let mut provider = json!({"issuer": "i", "local_jwks": keys});
        for (name, value) in more.as_object().into_iter().flatten() {
            provider[name] = value.clone();
        }
        json!({"providers": {"p": provider}})
    };
    let rule = |requires: Json| {
        let mut config = provider(json!({}));
        config["rules"] = json!([{"match": {"prefix": "/"}, "requires": requires}]);
        config
    };
    let remote = |uri: Json| json!({"providers": {"p": {"remote_jwks": {"http_uri": uri}}}});
    let at = "providers[\"p\"]";
    for (config, want) in [
        (
            json!({"providers": {"p": {}}}),
            format!("{at}.jwks_source_specifier: must be set"),
        ),
        (
            json!({"providers": {"p": {"local_jwks": {"filename": "/etc/passwd"}}}}),
            format!("{at}.local_jwks: must be given inline"),
        ),
        (
            provider(json!({"clear_route_cache": true})),
            format!("{at}.clear_route_cache: {set}"),
        ),
        (
            provider(json!({"failed_status_in_metadata": "x"})),
            format!("{at}.failed_status_in_metadata: {set}"),
        ),
        (
            provider(json!({"from_headers": [{"name": "a b"}]})),
            format!("{at}.from_headers[0].name: \"a b\" is no name of a header"),
        ),
        (
            provider(json!({"claim_to_headers": [{"header_name": "x"}]})),
            format!("{at}.claim_to_headers[0].claim_name: must be set"),
        ),
        (
            remote(json!({"uri": "/keys", "cluster": "c", "timeout": "1s"})),
            format!(
                "{at}.remote_jwks.http_uri.uri: \"/keys\" is no address with a scheme and a host"
            ),
        ),
        (
            remote(json!({"uri": "http://a/keys", "cluster": "c"})),
            format!("{at}.remote_jwks.http_uri.timeout: must be set"),
        ),
        (
            remote(json!({"uri": "http://a/keys", "timeout": "1s"})),
            format!("{at}.remote_jwks.http_uri.cluster: must be set"),
        ),
        (rule(json!({})), "rules[0].requires: must be set".to_owned()),
        (
            rule(json!({"provider_name": "q"})),
            "rules[0].requires.provider_name: there is no provider \"q\"".to_owned(),
        ),
        (
            rule(json!({"requires_any": {"requirements": [{"provider_name": "p"}]}})),
            "rules[0].requires.requires_any.requirements: has less than two members".to_owned(),
        ),
        (
            rule(json!({"extract_only_without_validation": {}})),
            "rules[0].requires.extract_only_without_validation: \
             this proxy believes no token that it has not verified"
                .to_owned(),
        ),
        (
            json!({"rules": [{"match": {"prefix": "/"}, "requirement_name": "r"}]}),
            "rules[0].requirement_name: there is no requirement \"r\"".to_owned(),
        ),
        (
            json!({"filter_state_rules": {"name": "x"}}),
            format!("filter_state_rules: {set}"),
        ),
    ] {
        let mut config = config;
        config["@type"] = json!(type_url);
        let found = filter_errors(&pool, &resource, config.clone())?;
        assert_eq!(found, [want], "{config}");
    }
    Ok(())
}
