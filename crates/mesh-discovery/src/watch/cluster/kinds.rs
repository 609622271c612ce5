//! The kinds that are always there, and how each is read.
//!
//! Objects become the same [`Object`] that a manifest becomes, and are read by the same code from there on.

use super::{
    super::{
        ObjectRef, WATCH_SECONDS,
        patience::Watchers,
        reading::{Place, Reading},
    },
    Heard, Watch,
    report::Report,
    trim,
};
use futures_util::StreamExt;
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::watcher::{self, watcher},
};
use mesh_api::{
    k8s::api::{
        core::v1::{ConfigMap, Namespace, Node, Pod, Service},
        discovery::v1::EndpointSlice,
    },
    manifest::Object,
};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// All kinds that are always there.
pub(super) fn watches(
    client: &Client,
    watchers: &Watchers,
    settings: &ObjectRef,
) -> Vec<(&'static str, Watch)> {
    let running = config().fields("status.phase!=Failed,status.phase!=Succeeded");
    let config_maps = Api::namespaced(client.clone(), &settings.namespace);
    let settings = config().fields(&format!("metadata.name={}", settings.name));
    vec![
        watch(
            "services",
            Api::all(client.clone()),
            (config(), watchers),
            |mut o: Service| {
                trim::service(&mut o);
                Object::Service(Box::new(o))
            },
        ),
        watch(
            "endpointslices",
            Api::all(client.clone()),
            (config(), watchers),
            |mut o: EndpointSlice| {
                trim::endpoint_slice(&mut o);
                Object::EndpointSlice(Box::new(o))
            },
        ),
        watch(
            "pods",
            Api::all(client.clone()),
            (running, watchers),
            |mut o: Pod| {
                trim::pod(&mut o);
                Object::Pod(Box::new(o))
            },
        ),
        watch(
            "nodes",
            Api::all(client.clone()),
            (config(), watchers),
            |mut o: Node| {
                trim::node(&mut o);
                Object::Node(Box::new(o))
            },
        ),
        watch(
            "namespaces",
            Api::all(client.clone()),
            (config(), watchers),
            |mut o: Namespace| {
                trim::namespace(&mut o);
                Object::Namespace(Box::new(o))
            },
        ),
        watch(
            "configmaps",
            config_maps,
            (settings, watchers),
            |mut o: ConfigMap| {
                trim::metadata(&mut o.metadata);
                Object::ConfigMap(Box::new(o))
            },
        ),
    ]
}

pub(super) fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

fn watch<K>(
    topic: &'static str,
    api: Api<K>,
    (config, watchers): (watcher::Config, &Watchers),
    object: fn(K) -> Object,
) -> (&'static str, Watch)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let read = move |k: K| {
        let place = Place {
            name: place(&K::kind(&()), &k),
            line: None,
        };
        Reading::of(object(k), Vec::new(), &place)
    };
    let events = watchers.patiently(watcher(api, config));
    let reports = events.map(move |event| Heard::Of(topic.into(), Report::of(event, read)));
    (topic, reports.boxed())
}

/// Where an object of `kind` stands, for people.
pub(super) fn place(kind: &str, object: &impl ResourceExt) -> String {
    match object.namespace() {
        Some(namespace) => format!("{kind} {namespace}/{}", object.name_any()),
        None => format!("{kind} {}", object.name_any()),
    }
}
