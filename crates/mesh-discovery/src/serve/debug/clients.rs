//! Pages about streams.

use super::{Pages, Refused, VisitorOf, json, time};
use crate::serve::connections::Connected;
use axum::{extract::State, response::Response};
use mesh_xds::ads::{Protocol, ResourceType, SyncState, TypeStatus};
use serde_json::{Map, Value, json as value};
use std::sync::Arc;

/// Keys of Istio's `SyncStatus`, by type.
const KEYS: [(ResourceType, &str); 5] = [
    (ResourceType::Cluster, "cluster"),
    (ResourceType::Listener, "listener"),
    (ResourceType::Route, "route"),
    (ResourceType::Endpoint, "endpoint"),
    (ResourceType::ExtensionConfig, "extensionconfig"),
];

/// How far each proxy is: Istio's list, and for each type what a table needs to say.
pub(super) async fn syncz(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
) -> Result<Response, Refused> {
    visitor.may_see_all()?;
    let all: Vec<Value> = pages
        .hub
        .connections
        .all()
        .iter()
        .map(|c| sync_status(&pages, c))
        .collect();
    json(&all)
}

/// Streams with their subscriptions.
pub(super) async fn adsz(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
) -> Result<Response, Refused> {
    visitor.may_see_all()?;
    clients(&pages, |connected| {
        let watches = ResourceType::ALL.into_iter().filter_map(|kind| {
            let (names, all) = (connected.names(kind), connected.server().wants_all(kind));
            let names = if all { vec!["*".to_owned()] } else { names };
            (!names.is_empty()).then(|| (kind.type_url().to_owned(), value!(names)))
        });
        let mut client = client(connected);
        client.insert(
            "metadata".into(),
            Value::Object(connected.client.metadata.clone()),
        );
        client.insert("watches".into(), Value::Object(watches.collect()));
        client
    })
}

/// Streams.
pub(super) async fn connections(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
) -> Result<Response, Refused> {
    visitor.may_see_all()?;
    clients(&pages, client)
}

fn clients(
    pages: &Pages,
    show: impl Fn(&Connected) -> Map<String, Value>,
) -> Result<Response, Refused> {
    let all: Vec<_> = pages
        .hub
        .connections
        .all()
        .iter()
        .map(|c| show(c))
        .collect();
    json(&value!({"totalClients": all.len(), "clients": all}))
}

fn client(connected: &Connected) -> Map<String, Value> {
    let address = connected.address.map(|a| a.to_string()).unwrap_or_default();
    let protocol = match connected.protocol {
        Protocol::Sotw => "SOTW",
        Protocol::Delta => "DELTA",
    };
    let fields = [
        ("connectionId", value!(connected.id)),
        ("node", value!(connected.client.proxy.id.to_string())),
        ("connectedAt", value!(time(connected.since))),
        ("address", value!(address)),
        ("protocol", value!(protocol)),
        ("identity", value!(connected.identity)),
    ];
    fields
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn sync_status(pages: &Pages, connected: &Connected) -> Value {
    let (client, about) = (&connected.client, &pages.about);
    let cluster = client.text("CLUSTER_ID");
    let mut status = Map::new();
    status.insert(
        "cluster_id".into(),
        value!(if cluster.is_empty() {
            &about.cluster_id
        } else {
            cluster
        }),
    );
    status.insert("proxy".into(), value!(client.proxy.id.pod_and_namespace()));
    status.insert("proxy_type".into(), value!(client.kind()));
    status.insert("istio_version".into(), value!(client.text("ISTIO_VERSION")));
    status.insert("istiod".into(), value!(about.name));
    let types = connected.status();
    for (kind, key) in KEYS {
        if let Some(t) = types
            .iter()
            .find(|t| t.kind == kind && !t.nonce_sent.is_empty())
        {
            status.insert(format!("{key}_sent"), value!(t.nonce_sent));
            status.insert(format!("{key}_acked"), value!(t.nonce_acked));
        }
    }
    let types = types.iter().filter(|t| t.state != SyncState::Ignored);
    let types: Map<_, _> = types
        .map(|t| (t.kind.short().to_owned(), type_status(t)))
        .collect();
    status.insert("types".into(), Value::Object(types));
    Value::Object(status)
}

fn type_status(status: &TypeStatus) -> Value {
    let state = match status.state {
        SyncState::Synced => "SYNCED",
        SyncState::Stale => "STALE",
        SyncState::NotSent => "NOT SENT",
        SyncState::Error => "ERROR",
        SyncState::Ignored => "IGNORED",
    };
    let mut fields = Map::new();
    fields.insert("state".into(), value!(state));
    fields.insert("resources".into(), value!(status.resources));
    fields.insert("version".into(), value!(status.version_sent));
    for (key, at) in [("sentAt", status.sent_at), ("ackedAt", status.acked_at)] {
        if let Some(at) = at {
            fields.insert(key.into(), value!(time(at)));
        }
    }
    if let Some(rejection) = &status.rejection {
        fields.insert("error".into(), value!(rejection.detail));
        fields.insert("errorAt".into(), value!(time(rejection.at)));
    }
    fields.insert("rejections".into(), value!(status.rejections));
    Value::Object(fields)
}
