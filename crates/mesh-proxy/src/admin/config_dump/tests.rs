use crate::{
    admin::{
        Surface,
        fake::{self, Fake},
        tests::Served,
    },
    xds::store::Refusal,
};
use http::StatusCode;
use mesh_model::secret::SecretValue;
use mesh_xds::{
    ads::ResourceType,
    json::{Pool, Stage, resources},
};
use serde_json::Value;

async fn dump(fake: &Fake, target: &str) -> Value {
    let admin = Served::new(Surface::Admin, &fake.facts());
    let (status, body) = admin.get(target).await;
    assert_eq!(status, StatusCode::OK, "{target}: {body}");
    admin.stop().await;
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{target}: {error}"))
}

#[tokio::test]
async fn what_was_received_is_what_is_shown() {
    let fake = Fake::nginx();
    let json = dump(&fake, "/config_dump?include_eds").await;
    let read = resources(&Pool::load(), &json).expect("a config dump");
    assert!(read.ignored.is_empty(), "{:?}", read.ignored);
    let held: Vec<_> = ResourceType::ALL
        .into_iter()
        .flat_map(|kind| {
            fake.store
                .entries(kind)
                .into_iter()
                .map(move |(name, entry)| (kind, name, entry))
        })
        .collect();
    assert!(held.len() > 10, "the capture holds resources");
    for (kind, name, entry) in held {
        let mut shown = read.resources.iter().filter(|r| r.stage == Stage::Active);
        let shown = shown.find(|r| r.type_url == kind.type_url() && r.name == name);
        let shown = shown.unwrap_or_else(|| panic!("{kind:?} {name} is missing"));
        let latest = entry.latest.expect("accepted");
        assert_eq!(
            (&shown.version, shown.bytes.len()),
            (&latest.version, latest.bytes.len()),
            "{name}"
        );
    }
    let kinds: Vec<_> = json["configs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| c["@type"].as_str().unwrap_or_default().rsplit('.').next())
        .collect();
    let order = [
        "BootstrapConfigDump",
        "ClustersConfigDump",
        "EcdsConfigDump",
        "EndpointsConfigDump",
        "ListenersConfigDump",
        "RoutesConfigDump",
        "SecretsConfigDump",
    ];
    assert_eq!(kinds, order.map(Some));
    let node = &json["configs"][0]["bootstrap"]["node"];
    assert_eq!(node["metadata"]["ISTIO_VERSION"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_route_inside_a_listener_stands_once_for_each_connection_manager() {
    let json = dump(
        &Fake::nginx(),
        "/config_dump?resource=static_route_configs&mask=route_config.name",
    )
    .await;
    let configs = json["configs"].as_array().expect("a list");
    let inbound = configs
        .iter()
        .filter(|c| c["route_config"]["name"] == "inbound|80||");
    assert_eq!(inbound.count(), 2, "{json:#}");
    assert!(configs.iter().all(|c| {
        c["last_updated"].is_null()
            && c["@type"]
                .as_str()
                .is_some_and(|t| t.ends_with(".StaticRouteConfig"))
    }));
}

#[tokio::test]
async fn keys_are_never_shown() {
    let fake = Fake::nginx();
    let secrets = fake.shared.secrets.status();
    let key = secrets
        .iter()
        .find_map(|received| match &received.secret.value {
            SecretValue::Certificate { key, .. } => String::from_utf8(key.0.clone()).ok(),
            SecretValue::Validation { .. } => None,
        });
    let key = key.expect("a key");
    let json = dump(&fake, "/config_dump?resource=dynamic_active_secrets").await;
    let secret = &json["configs"][1]["secret"]["tls_certificate"];
    assert_eq!(
        secret["private_key"]["inline_bytes"], "W3JlZGFjdGVkXQ==",
        "{json:#}"
    );
    assert!(
        secret["certificate_chain"]["inline_bytes"]
            .as_str()
            .is_some_and(|chain| chain.len() > 100)
    );
    let everything = dump(&fake, "/config_dump?include_eds").await.to_string();
    let body: String = key
        .lines()
        .filter(|line| !line.contains("PRIVATE KEY"))
        .collect();
    assert!(!everything.contains(&body[..30]), "the key itself");
    assert!(
        !everything.contains("UFJJVkFURSBLRVk"),
        "`PRIVATE KEY` in base64"
    );
    assert_eq!(json["configs"][0]["name"], "ROOTCA");
}

#[tokio::test]
async fn what_waits_and_what_was_refused_stand_beside_what_is_in_force() {
    let fake = Fake::without_secrets();
    let (kind, name) = (ResourceType::Listener, "virtualInbound");
    let bytes = fake.bytes(kind, name);
    fake.store
        .accept(kind, name, fake::received("2", bytes.clone(), 2), true);
    let reason = "filter_chains[0]: is odd".to_owned();
    fake.store.refuse(
        kind,
        name,
        Refusal {
            received: fake::received("3", bytes, 3),
            reason,
        },
    );
    let mask = "name,active_state.version_info,warming_state.version_info,error_state";
    let json = dump(
        &fake,
        &format!("/config_dump?resource=dynamic_listeners&mask={mask}"),
    )
    .await;
    let mut listeners = json["configs"].as_array().expect("a list").iter();
    let listener = listeners.find(|l| l["name"] == name).expect("shown");
    assert_eq!(
        listener["warming_state"],
        serde_json::json!({ "version_info": "2" })
    );
    assert!(
        listener["active_state"]["version_info"].is_string(),
        "{listener:#}"
    );
    let error = &listener["error_state"];
    assert_eq!(
        (&error["details"], &error["version_info"]),
        (&"filter_chains[0]: is odd".into(), &"3".into())
    );
    assert_eq!(error["last_update_attempt"], "1970-01-01T00:00:03Z");
    assert_eq!(error["failed_configuration"]["name"], name);
}

#[tokio::test]
async fn masks_take_away_whole_fields() {
    let json = dump(
        &Fake::nginx(),
        "/config_dump?mask=bootstrap.node.id,dynamic_active_clusters.cluster.name",
    )
    .await;
    let configs = &json["configs"];
    assert_eq!(
        configs[0]["bootstrap"],
        serde_json::json!({ "node": { "id": "sidecar~10.244.0.73~nginx-1.test~test.svc.cluster.local" } })
    );
    assert!(configs[1]["static_clusters"].is_null() && configs[0]["last_updated"].is_null());
    let cluster = configs[1]["dynamic_active_clusters"][0]["cluster"]
        .as_object()
        .expect("a cluster");
    assert_eq!(cluster.keys().collect::<Vec<_>>(), ["@type", "name"]);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let admin = Served::new(Surface::Admin, &Fake::nginx().facts());
    let (status, why) = admin.get("/config_dump?resource=nothing").await;
    assert_eq!(
        (status, why.as_str()),
        (StatusCode::NOT_FOUND, "nothing not found in config dump\n")
    );
    assert_eq!(
        admin.get("/config_dump?resource=bootstrap").await.0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        admin.get("/config_dump?name_regex=a").await.0,
        StatusCode::BAD_REQUEST
    );
    admin.stop().await;
}
