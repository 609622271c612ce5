use super::*;
use crate::json::Style;

const NGINX: &str = include_str!("../../../testdata/captures/article/nginx.config_dump.json");
const TEST: &str = include_str!("../../../testdata/captures/article/test.config_dump.json");

fn parse(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

/// The objects in `json` that are expanded resources, in the order of the document.
fn expanded<'a>(json: &'a Json, found: &mut Vec<&'a Json>) {
    let kind = json.get("@type").and_then(Json::as_str).map(type_name);
    match (kind, json) {
        (
            Some(
                "envoy.config.listener.v3.Listener"
                | "envoy.config.cluster.v3.Cluster"
                | "envoy.config.route.v3.RouteConfiguration",
            ),
            _,
        ) => found.push(json),
        (_, Json::Object(object)) => object.values().for_each(|v| expanded(v, found)),
        (_, Json::Array(items)) => items.iter().for_each(|v| expanded(v, found)),
        _ => {}
    }
}

#[test]
fn every_captured_resource_survives_the_way_to_bytes_and_back() {
    let pool = Pool::load();
    for (pod, text, count) in [("nginx", NGINX, 14), ("test", TEST, 13)] {
        let json = parse(text);
        let dump = resources(&pool, &json).unwrap();
        assert!(dump.ignored.is_empty(), "{pod}: {:?}", dump.ignored);
        let mut originals = Vec::new();
        expanded(&json, &mut originals);
        assert_eq!(
            (dump.resources.len(), originals.len()),
            (count, count),
            "{pod}"
        );
        for (resource, original) in dump.resources.iter().zip(originals) {
            assert_eq!(resource.stage, Stage::Active);
            assert_eq!(Some(resource.name.as_str()), original["name"].as_str());
            let printed = pool
                .print_any(&resource.type_url, &resource.bytes, Style::Istio)
                .unwrap();
            // As text: that the fields stand in istiod's order counts too.
            assert_eq!(
                printed.to_string(),
                original.to_string(),
                "{pod}: {}",
                resource.name
            );
        }
    }
}

#[test]
fn a_whole_captured_document_survives_in_both_styles() {
    let pool = Pool::load();
    let name = admin::ConfigDump::full_name();
    for text in [NGINX, TEST] {
        let json = parse(text);
        let bytes = pool.read(&name, &json).unwrap();
        let istio = pool.print(&name, &bytes, Style::Istio).unwrap();
        assert_eq!(istio.to_string(), json.to_string());
        let envoy = pool.print(&name, &bytes, Style::Envoy).unwrap();
        assert_ne!(envoy, json, "Envoy's names differ");
        let again = pool.read(&name, &envoy).unwrap();
        assert_eq!(pool.print(&name, &again, Style::Istio).unwrap(), json);
    }
}

#[test]
fn versions_names_and_stages_come_from_the_sections() {
    let json = serde_json::json!({ "configs": [
        { "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", "bootstrap": {} },
        { "@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
          "static_listeners": [{ "listener": listener("admin") }],
          "dynamic_listeners": [{ "name": "a",
              "active_state": { "version_info": "1", "listener": listener("a") },
              "warming_state": { "version_info": "2", "listener": listener("a") },
              "draining_state": { "version_info": "0", "listener": listener("a") } }] },
        { "@type": "type.googleapis.com/envoy.admin.v3.EndpointsConfigDump",
          "dynamic_endpoint_configs": [{ "version_info": "3", "endpoint_config": {
              "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
              "cluster_name": "c" } }] },
        { "@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump",
          "dynamic_active_secrets": [{ "version_info": "4", "secret": {
              "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
              "name": "default" } }] },
    ] });
    let dump = resources(&Pool::load(), &json).unwrap();
    let seen: Vec<_> = dump
        .resources
        .iter()
        .map(|r| (r.name.as_str(), r.version.as_str(), r.stage))
        .collect();
    assert_eq!(
        seen,
        [
            ("admin", "", Stage::Static),
            ("a", "1", Stage::Active),
            ("a", "2", Stage::Warming),
            ("a", "0", Stage::Draining),
            ("c", "3", Stage::Active),
            ("default", "4", Stage::Active),
        ]
    );
}

fn listener(name: &str) -> Json {
    serde_json::json!({ "@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": name })
}

#[test]
fn a_newer_proxys_dump_is_read_as_far_as_it_is_known() {
    let mut json = parse(NGINX);
    let listener = &mut json["configs"][2]["dynamicListeners"][0]["activeState"]["listener"];
    listener["fromTheFuture"] = Json::from(1);
    listener["filterChains"][0]["filters"][0]["typedConfig"]["@type"] =
        Json::from("type.googleapis.com/acme.v1.NotKnown");
    let dump = resources(&Pool::load(), &json).unwrap();
    assert_eq!(dump.resources.len(), 14);
    let mut ignored: Vec<_> = dump.ignored.iter().map(ToString::to_string).collect();
    ignored.sort();
    let at = "configs[2].dynamicListeners[0].activeState.listener";
    assert_eq!(
        ignored,
        [
            format!(
                "{at}.filterChains[0].filters[0].typedConfig: no message type named `acme.v1.NotKnown` is known"
            ),
            format!("{at}.fromTheFuture: no such field in envoy.config.listener.v3.Listener"),
        ]
    );
}

#[test]
fn what_is_no_config_dump_is_refused() {
    let error = resources(&Pool::load(), &serde_json::json!([1])).unwrap_err();
    assert!(matches!(error, DumpError::Json(_)), "{error:?}");
}
