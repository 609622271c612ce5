//! The messages of the page, one for each kind of resource.

use super::{held::Held, inline_route};
use crate::{
    admin::{Facts, bootstrap},
    tls,
    xds::store::{Received, Refusal},
};
use mesh_model::secret::{PrivateKey, Secret, SecretValue};
use mesh_xds::{
    ads::ResourceType,
    pb::{
        envoy::admin::v3::{
            BootstrapConfigDump, ClustersConfigDump, EcdsConfigDump, EndpointsConfigDump,
            ListenersConfigDump, RoutesConfigDump, SecretsConfigDump, UpdateFailureState,
            clusters_config_dump::{DynamicCluster, StaticCluster},
            endpoints_config_dump::DynamicEndpointConfig,
            listeners_config_dump::{DynamicListener, DynamicListenerState},
            routes_config_dump::{DynamicRouteConfig, StaticRouteConfig},
            secrets_config_dump::DynamicSecret,
        },
        google::protobuf::{Any, Timestamp},
    },
    resource::Resource,
};
use prost::{Message, Name};
use std::time::{SystemTime, UNIX_EPOCH};

/// The one field of the page that is no list of resources.
pub(super) const BOOTSTRAP: &str = "bootstrap";

/// What stands in place of a private key, as Envoy puts it.
const REDACTED: &[u8] = b"[redacted]";

/// One message of the page.
pub(super) struct Section {
    /// Its full name.
    pub(super) message: String,
    /// Its fields that are no lists, encoded.
    pub(super) single: Vec<u8>,
    /// Its lists.
    pub(super) lists: Vec<List>,
}

/// One list of a section.
pub(super) struct List {
    /// The name of the field.
    pub(super) field: &'static str,
    /// The full name of its elements' message.
    pub(super) message: String,
    /// Each gives an element, encoded.
    pub(super) elements: Vec<Element>,
}

type Element = Box<dyn Fn() -> Vec<u8> + Send>;

impl Section {
    fn of<M: Name>(lists: impl IntoIterator<Item = List>) -> Self {
        Self {
            message: M::full_name(),
            single: Vec::new(),
            lists: lists.into_iter().collect(),
        }
    }

    /// The list of that name, if it is here.
    pub(super) fn into_list(self, field: &str) -> Option<List> {
        self.lists.into_iter().find(|list| list.field == field)
    }
}

impl List {
    fn new<M: Message + Name + 'static>(
        field: &'static str,
        elements: impl Iterator<Item = impl Fn() -> M + Send + 'static>,
    ) -> Self {
        let encode = |make: _| Box::new(encoder(make)) as Element;
        Self {
            field,
            message: M::full_name(),
            elements: elements.map(encode).collect(),
        }
    }
}

fn encoder<M: Message>(make: impl Fn() -> M + Send) -> impl Fn() -> Vec<u8> + Send {
    move || make().encode_to_vec()
}

/// All messages, in Envoy's order.
pub(super) fn sections(facts: &Facts, include_eds: bool) -> Vec<Section> {
    let held = |kind| Held::all(facts, kind);
    let listeners_held = held(ResourceType::Listener);
    let routes = routes(&listeners_held, held(ResourceType::Route));
    let endpoints = include_eds.then(|| endpoints(held(ResourceType::Endpoint)));
    let before = [
        bootstrap(facts),
        clusters(facts, &held(ResourceType::Cluster)),
        Section::of::<EcdsConfigDump>([]),
    ];
    let after = [listeners(listeners_held), routes, secrets(facts)];
    before.into_iter().chain(endpoints).chain(after).collect()
}

fn bootstrap(facts: &Facts) -> Section {
    let dump = BootstrapConfigDump {
        bootstrap: Some(bootstrap::bootstrap(&facts.settings)),
        last_updated: Some(timestamp(facts.started)),
    };
    Section {
        single: dump.encode_to_vec(),
        ..Section::of::<BootstrapConfigDump>([])
    }
}

fn clusters(facts: &Facts, held: &[Held]) -> Section {
    let control_plane = bootstrap::control_plane(&facts.settings).encode_to_vec();
    let started = facts.started;
    let fixed = move || StaticCluster {
        cluster: Some(any(ResourceType::Cluster, &control_plane)),
        last_updated: Some(timestamp(started)),
    };
    let active = held.iter().filter_map(|held| {
        // A refusal stands beside what it would have replaced.
        let refused = held.refused.clone().filter(|_| held.warming.is_none());
        cluster(held.active.clone(), refused)
    });
    let warming = held.iter().filter_map(|held| {
        held.warming.as_ref()?;
        cluster(held.warming.clone(), held.refused.clone())
    });
    Section::of::<ClustersConfigDump>([
        List::new("static_clusters", [fixed].into_iter()),
        List::new("dynamic_active_clusters", active),
        List::new("dynamic_warming_clusters", warming),
    ])
}

fn cluster(
    entry: Option<Received>,
    refused: Option<Refusal>,
) -> Option<impl Fn() -> DynamicCluster + Send + 'static> {
    const KIND: ResourceType = ResourceType::Cluster;
    (entry.is_some() || refused.is_some()).then_some(move || DynamicCluster {
        version_info: version(entry.as_ref()),
        cluster: config(KIND, entry.as_ref()),
        last_updated: updated(entry.as_ref()),
        error_state: failure(KIND, refused.as_ref()),
        client_status: 0,
    })
}

fn endpoints(held: Vec<Held>) -> Section {
    const KIND: ResourceType = ResourceType::Endpoint;
    let dynamic = held.into_iter().map(|held| {
        move || DynamicEndpointConfig {
            version_info: version(current(&held)),
            endpoint_config: config(KIND, current(&held)),
            last_updated: updated(current(&held)),
            error_state: failure(KIND, held.refused.as_ref()),
            client_status: 0,
        }
    });
    Section::of::<EndpointsConfigDump>([List::new("dynamic_endpoint_configs", dynamic)])
}

fn listeners(held: Vec<Held>) -> Section {
    const KIND: ResourceType = ResourceType::Listener;
    let state = |entry: &Option<Received>| {
        entry.as_ref().map(|entry| DynamicListenerState {
            version_info: entry.version.clone(),
            listener: Some(any(KIND, &entry.bytes)),
            last_updated: Some(timestamp(entry.at)),
        })
    };
    let dynamic = held.into_iter().map(|held| {
        move || DynamicListener {
            name: held.name.clone(),
            active_state: state(&held.active),
            warming_state: state(&held.warming),
            draining_state: None,
            error_state: failure(KIND, held.refused.as_ref()),
            client_status: 0,
        }
    });
    Section::of::<ListenersConfigDump>([List::new("dynamic_listeners", dynamic)])
}

/// Those inside listeners are Envoy's static ones, one for each connection manager.
fn routes(listeners: &[Held], held: Vec<Held>) -> Section {
    const KIND: ResourceType = ResourceType::Route;
    let in_force = listeners.iter().filter_map(|held| held.active.as_ref());
    let inline = in_force.flat_map(|listener| {
        let tables = inline_route::inside(&listener.bytes).into_iter();
        tables.map(|table| (table, listener.at))
    });
    let fixed = inline.map(|(table, at)| {
        move || StaticRouteConfig {
            route_config: Some(any(KIND, &table)),
            last_updated: Some(timestamp(at)),
        }
    });
    let dynamic = held.into_iter().map(|held| {
        move || DynamicRouteConfig {
            version_info: version(current(&held)),
            route_config: config(KIND, current(&held)),
            last_updated: updated(current(&held)),
            error_state: failure(KIND, held.refused.as_ref()),
            client_status: 0,
        }
    });
    Section::of::<RoutesConfigDump>([
        List::new("static_route_configs", fixed),
        List::new("dynamic_route_configs", dynamic),
    ])
}

fn secrets(facts: &Facts) -> Section {
    let active = facts.shared.secrets.status().into_iter().map(|received| {
        let tls::secret::Received {
            secret,
            last_updated,
        } = received;
        // Here and not later, so that the key is not even held by the page.
        let (name, secret) = (secret.name.to_string(), redacted(secret).encode());
        move || DynamicSecret {
            name: name.clone(),
            last_updated: Some(timestamp(last_updated)),
            secret: Some(any(ResourceType::Secret, &secret)),
            ..Default::default()
        }
    });
    Section::of::<SecretsConfigDump>([List::new("dynamic_active_secrets", active)])
}

fn redacted(secret: Secret) -> Secret {
    let value = match secret.value {
        SecretValue::Certificate { chain, .. } => SecretValue::Certificate {
            chain,
            key: PrivateKey(REDACTED.to_vec()),
        },
        roots @ SecretValue::Validation { .. } => roots,
    };
    Secret { value, ..secret }
}

/// What stands for a name in a list that has one place for it: what is in force, else what will be.
fn current(held: &Held) -> Option<&Received> {
    held.active.as_ref().or(held.warming.as_ref())
}

fn version(entry: Option<&Received>) -> String {
    entry.map(|entry| entry.version.clone()).unwrap_or_default()
}

fn config(kind: ResourceType, entry: Option<&Received>) -> Option<Any> {
    entry.map(|entry| any(kind, &entry.bytes))
}

fn updated(entry: Option<&Received>) -> Option<Timestamp> {
    entry.map(|entry| timestamp(entry.at))
}

fn failure(kind: ResourceType, refused: Option<&Refusal>) -> Option<UpdateFailureState> {
    refused.map(|refused| UpdateFailureState {
        failed_configuration: Some(any(kind, &refused.received.bytes)),
        last_update_attempt: Some(timestamp(refused.received.at)),
        details: refused.reason.clone(),
        version_info: refused.received.version.clone(),
    })
}

fn any(kind: ResourceType, bytes: &[u8]) -> Any {
    Any {
        type_url: kind.type_url().to_owned(),
        value: bytes.to_vec(),
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        // Milliseconds, as Envoy has them.
        nanos: (since.subsec_millis() * 1_000_000) as i32,
    }
}
