//! Kinds that may be missing: those of the mesh's own groups.
//!
//! What the mesh executes is watched whole and read by the same code as a manifest; of all other kinds only the names are
//! watched, so that they can be listed as not executed.

use super::{
    super::{
        Effect,
        patience::Watchers,
        reading::{Place, Reading, not_executed},
    },
    Heard, Topic, Watch,
    kinds::{config, place},
    report::Report,
    trim,
};
use futures_util::StreamExt;
use kube::{
    Api, Client, ResourceExt,
    core::{ApiResource, DynamicObject, PartialObjectMeta},
    runtime::watcher::watcher,
};
use mesh_api::{
    crd,
    manifest::{self, Document, Object},
};
use serde_json::Value;

/// What the watch of a kind is for.
pub(super) fn topic(kind: &ApiResource) -> Topic {
    format!("{}.{}", kind.plural, kind.group).into()
}

/// Whether the mesh executes a kind.
pub(super) fn is_executed(topic: &Topic) -> bool {
    let all = crd::all();
    all.iter()
        .any(|crd| crd.metadata.name.as_deref() == Some(topic))
}

/// Watches a kind.
pub(super) fn watch(
    (client, watchers): (&Client, &Watchers),
    topic: Topic,
    kind: &ApiResource,
    executed: bool,
) -> Watch {
    let client = client.clone();
    if executed {
        let (api, kind) = (Api::all_with(client, kind), kind.clone());
        let events = watchers.patiently(watcher(api, config()));
        let heard = events.map(move |event| {
            Heard::Of(
                topic.clone(),
                Report::of(event, |object| read(object, &kind)),
            )
        });
        return heard.boxed();
    }
    let api = Api::<PartialObjectMeta<DynamicObject>>::all_with(client, kind);
    let kind = kind.clone();
    let events = watchers.patiently(watcher(api, config()));
    let heard = events.map(move |event| {
        Heard::Of(
            topic.clone(),
            Report::of(event, |object| name(&object, &kind)),
        )
    });
    heard.boxed()
}

fn read(mut object: DynamicObject, kind: &ApiResource) -> Reading {
    let place = Place {
        name: place(&kind.kind, &object),
        line: None,
    };
    trim::metadata(&mut object.metadata);
    if let Some(fields) = object.data.as_object_mut() {
        fields.remove("status");
    }
    let mut value = serde_json::to_value(&object).unwrap_or_default();
    // Items of a list may leave these out.
    value["apiVersion"] = Value::from(kind.api_version.as_str());
    value["kind"] = Value::from(kind.kind.as_str());
    let document = Document {
        place: manifest::Place {
            document: 0,
            item: String::new(),
            line: 0,
        },
        value,
    };
    match Object::from_document(&document) {
        Ok(object) => {
            let unknown = object.unknown_fields(&document.value);
            Reading::of(object, unknown, &place)
        }
        Err(invalid) => Reading {
            object: None,
            problems: vec![place.problem(Effect::LastGoodStateKept, invalid.reason.to_string())],
        },
    }
}

fn name(object: &PartialObjectMeta<DynamicObject>, kind: &ApiResource) -> Reading {
    let place = Place {
        name: place(&kind.kind, object),
        line: None,
    };
    let reason = not_executed(&kind.kind, &object.name_any());
    Reading {
        object: None,
        problems: vec![place.problem(Effect::ObjectIgnored, reason)],
    }
}
