//! Turns a received response into an [`Update`], or says what is wrong with it.

use std::collections::HashSet;

use prost::Message;

use super::{Interest, Resource, Update};
use crate::ads::{Protocol, Received, ReceivedResource, ResourceType};

/// The part that Envoy's named resources have in common.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

/// Reads a response against what is wanted and held.
pub(super) fn read(
    kind: ResourceType,
    protocol: Protocol,
    interest: &Interest,
    received: Received,
) -> Result<Update, String> {
    let mut update = Update {
        kind,
        version: received.version,
        added: Vec::new(),
        removed: Vec::new(),
        ignored: Vec::new(),
    };
    let mut seen = HashSet::new();
    for resource in received.resources {
        let Some(resource) = read_resource(kind, interest, resource)? else {
            continue;
        };
        if !seen.insert(resource.name.clone()) {
            return Err(format!("resource `{}` is there twice", resource.name));
        }
        match interest.wants(&resource.name) {
            true => update.added.push(resource),
            false => update.ignored.push(resource.name),
        }
    }
    for name in received.removed {
        if !seen.insert(name.clone()) {
            return Err(format!(
                "resource `{name}` is there and removed, or removed twice"
            ));
        }
        if interest.wants(&name) {
            update.removed.push(name);
        }
    }
    if protocol == Protocol::Sotw && kind.is_wildcard() {
        // Such a response is complete: what it lacks is gone.
        let gone = interest
            .held()
            .map(|(name, _)| name)
            .filter(|name| !seen.contains(*name));
        update.removed = gone.map(Into::into).collect();
        update.removed.sort_unstable();
    }
    Ok(update)
}

/// `None` for a message that only extends the lifetime of what is held.
fn read_resource(
    kind: ResourceType,
    interest: &Interest,
    resource: ReceivedResource,
) -> Result<Option<Resource>, String> {
    let ReceivedResource {
        name,
        version,
        payload,
    } = resource;
    let Some((type_url, bytes)) = payload else {
        let name = name.unwrap_or_default();
        let heartbeat = interest.holds(&name, &version);
        return if heartbeat {
            Ok(None)
        } else {
            Err(format!("resource `{name}` has no content"))
        };
    };
    if type_url != kind.type_url() {
        return Err(format!(
            "a resource of type `{type_url}` among those of `{}`",
            kind.type_url()
        ));
    }
    let name = match name {
        Some(name) => name,
        None if kind.is_named() => {
            Named::decode(bytes.clone())
                .map_err(|error| error.to_string())?
                .name
        }
        None => String::new(),
    };
    Ok(Some(Resource {
        name,
        version,
        bytes,
    }))
}
