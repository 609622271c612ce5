//! Against what a real istiod served to the same pods: every difference is listed, and has its reason.

use super::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A proxy of that istiod, which had no telemetry configured.
const ISTIO: Capabilities = Capabilities {
    stats: false,
    ..EVERYTHING
};

/// Beginnings of differences, `-` theirs and `+` ours, with their reasons.
const WANTED: [(&str, &str); 18] = [
    ("- Cluster[].altStatName = ", "newer than the article"),
    (
        "- Cluster[].commonLbConfig.healthyPanicThreshold = {}",
        "newer than the article",
    ),
    (
        "+ Cluster[].commonLbConfig.localityWeightedLbConfig = {}",
        "the article's",
    ),
    (
        "+ Cluster[].circuitBreakers.thresholds[].trackRemaining = true",
        "the article's",
    ),
    ("- Cluster[].commonLbConfig = {}", "says nothing"),
    (
        "- Cluster[].cleanupInterval = \"9223372035s\"",
        "nothing that this mesh's proxy has to clean up",
    ),
    (
        "- Cluster[].filters = [{\"name\":\"istio.metadata_exchange\"",
        "idle on PassthroughCluster: no TLS, no ALPN",
    ),
    (
        "+ Listener[].filterChains[].filterChainMatch.prefixRanges = [{\"addressPrefix\":\"0.0.0.0\",\"prefixLen\":0}]",
        "the article's",
    ),
    (
        "- Listener[].defaultFilterChain.filterChainMatch = {}",
        "says nothing",
    ),
    (
        "- Listener[].maxConnectionsToAcceptPerSocketEvent = 1",
        "how a proxy accepts is its own business",
    ),
    (
        "- Listener[].listenerFilters[].typedConfig.initialReadBufferSize = 512",
        "as is how it reads",
    ),
    (
        "+ Listener[].listenerFiltersTimeout = \"15s\"",
        "Envoy's default, said aloud",
    ),
    (
        "+ Listener[].filterChains[].filters[].typedConfig.httpProtocolOptions = {\"acceptHttp10\":true,\"headerKeyFormat\"",
        "HTTP/1.0 and the case of headers just work",
    ),
    (
        "- Listener[].filterChains[].filters[].typedConfig.proxy100Continue = true",
        "the model does not say",
    ),
    (
        "- Listener[].filterChains[].filters[].typedConfig.requestIdExtension = {\"typedConfig\":{\"@type\":\
         \"type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig\",\
         \"useRequestIdForTraceSampling\":true}}",
        "Envoy's default",
    ),
    (
        "- Listener[].filterChains[].filters[].typedConfig.tracing.customTags = [{\"tag\":\"istio.",
        "no tracer would send them",
    ),
    (
        "- Listener[].filterChains[].filters[].typedConfig.routeConfig.virtualHosts[].routes[].route.retryPolicy = \
         {\"retryOn\":\"reset-before-request\",\"numRetries\":2}",
        "newer than the article",
    ),
    (
        "+ RouteConfiguration[].virtualHosts[].routes[].route.retryPolicy.retriableStatusCodes = [503]",
        "the article's",
    ),
];

#[test]
fn every_difference_from_a_real_istiod_has_its_reason() {
    let mut lines = BTreeSet::new();
    for (pod, id) in [("test", TEST), ("nginx", NGINX)] {
        let (theirs, ours) = (captured(pod), ours(id));
        let keys: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
        for key in keys {
            let kind = key.split('/').next().unwrap_or_default();
            differences(
                &format!("{kind}[]"),
                theirs.get(key),
                ours.get(key),
                &mut lines,
            );
        }
    }
    let unexplained: Vec<_> = lines
        .iter()
        .filter(|line| !WANTED.iter().any(|(begin, _)| line.starts_with(begin)))
        .collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    let idle: Vec<_> = WANTED
        .iter()
        .filter(|(begin, _)| !lines.iter().any(|line| line.starts_with(begin)))
        .collect();
    assert!(idle.is_empty(), "no longer differences: {idle:#?}");
}

/// What an istiod served, by kind and name, with the article's name for its inbound passthrough cluster.
fn captured(pod: &str) -> BTreeMap<String, Json> {
    let path = format!("../mesh-xds/testdata/captures/article/{pod}.config_dump.json");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = fs::read_to_string(path).expect("a capture");
    let text = text.replace(
        "\"InboundPassthroughCluster",
        "\"InboundPassthroughClusterIpv4",
    );
    let dump: Json = serde_json::from_str(&text).expect("JSON");
    let sections = [
        ("dynamicActiveClusters", "/cluster"),
        ("dynamicListeners", "/activeState/listener"),
        ("dynamicRouteConfigs", "/routeConfig"),
    ];
    let configs = dump["configs"].as_array().expect("a dump");
    let of_section = |(section, pointer)| {
        let entries = configs
            .iter()
            .filter_map(move |c| c.get(section)?.as_array())
            .flatten();
        entries.filter_map(move |entry| entry.pointer(pointer))
    };
    sections
        .into_iter()
        .flat_map(of_section)
        .map(keyed)
        .collect()
}

/// A resource without its type, by kind and name.
fn keyed(resource: &Json) -> (String, Json) {
    let mut resource = resource.clone();
    let fields = resource.as_object_mut().expect("a resource");
    let kind = fields.remove("@type").expect("a type");
    let kind = kind
        .as_str()
        .and_then(|url| url.rsplit('.').next())
        .expect("a type's name");
    (
        format!("{kind}/{}", resource["name"].as_str().expect("a name")),
        resource,
    )
}

fn ours(id: &str) -> BTreeMap<String, Json> {
    // The address that the service had there, and no access log.
    let text = ARTICLE.replace("10.102.168.134", "10.96.57.159");
    let text = text.replace("accessLogFile: /dev/stdout", "");
    let (world, proxy) = (world(&text), proxy(id, ISTIO));
    let (clusters, listeners) = (clusters(&world, &proxy), listeners(&world, &proxy));
    let routes = route_names(&world, &proxy);
    let routes = routes.iter().filter_map(|name| route(&world, &proxy, name));
    let clusters = clusters
        .iter()
        .map(|c| (format!("Cluster/{}", c.name), json(c)));
    let listeners = listeners
        .iter()
        .map(|l| (format!("Listener/{}", l.name), json(l)));
    let routes = routes.map(|r| (format!("RouteConfiguration/{}", r.name), json(&r)));
    clusters.chain(listeners).chain(routes).collect()
}

/// Differences as lines, `-` theirs, `+` ours.
fn differences(at: &str, theirs: Option<&Json>, ours: Option<&Json>, lines: &mut BTreeSet<String>) {
    match (theirs, ours) {
        (a, b) if a == b => {}
        (Some(Json::Object(a)), Some(Json::Object(b))) => {
            let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                differences(&format!("{at}.{key}"), a.get(key), b.get(key), lines);
            }
        }
        (Some(Json::Array(a)), Some(Json::Array(b))) => {
            for index in 0..a.len().max(b.len()) {
                differences(&format!("{at}[]"), a.get(index), b.get(index), lines);
            }
        }
        (a, b) => {
            lines.extend(a.map(|a| format!("- {at} = {a}")));
            lines.extend(b.map(|b| format!("+ {at} = {b}")));
        }
    }
}
