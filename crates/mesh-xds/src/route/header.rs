//! What is changed of headers: the same four fields of a table, a virtual host, a route and a weighted cluster.

use crate::{
    decode::{self, At, Wrapped},
    pb::envoy::config::core::v3::{
        HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction,
    },
};
use http::HeaderName;
use mesh_model::route::{AppendAction, HeaderAdd, HeaderMutations};
use std::mem::take;

/// The four fields.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) request_headers_to_add: Vec<HeaderValueOption>,
    pub(super) request_headers_to_remove: Vec<String>,
    pub(super) response_headers_to_add: Vec<HeaderValueOption>,
    pub(super) response_headers_to_remove: Vec<String>,
}

/// Takes the four fields out of a message.
macro_rules! take_headers {
    ($wire:expr) => {
        $crate::route::header::Wire {
            request_headers_to_add: std::mem::take(&mut $wire.request_headers_to_add),
            request_headers_to_remove: std::mem::take(&mut $wire.request_headers_to_remove),
            response_headers_to_add: std::mem::take(&mut $wire.response_headers_to_add),
            response_headers_to_remove: std::mem::take(&mut $wire.response_headers_to_remove),
        }
    };
}
pub(super) use take_headers;

pub(super) fn encode(mutations: &HeaderMutations) -> Wire {
    Wire {
        request_headers_to_add: mutations.request_add.iter().map(encode_add).collect(),
        request_headers_to_remove: mutations.request_remove.clone(),
        response_headers_to_add: mutations.response_add.iter().map(encode_add).collect(),
        response_headers_to_remove: mutations.response_remove.clone(),
    }
}

fn encode_add(add: &HeaderAdd) -> HeaderValueOption {
    let action = match add.action {
        AppendAction::AppendIfExistsOrAdd => HeaderAppendAction::AppendIfExistsOrAdd,
        AppendAction::AddIfAbsent => HeaderAppendAction::AddIfAbsent,
        AppendAction::OverwriteIfExistsOrAdd => HeaderAppendAction::OverwriteIfExistsOrAdd,
        AppendAction::OverwriteIfExists => HeaderAppendAction::OverwriteIfExists,
    };
    HeaderValueOption {
        header: Some(HeaderValue {
            key: add.name.clone(),
            value: add.format.clone(),
            ..Default::default()
        }),
        append_action: action.into(),
        keep_empty_value: add.keep_empty,
        ..Default::default()
    }
}

pub(super) fn decode(wire: Wire, at: &At<'_>) -> Option<HeaderMutations> {
    let request_add = at.list(
        "request_headers_to_add",
        wire.request_headers_to_add,
        decode_add,
    );
    let request_remove = at.list(
        "request_headers_to_remove",
        wire.request_headers_to_remove,
        decode_name,
    );
    let response_add = at.list(
        "response_headers_to_add",
        wire.response_headers_to_add,
        decode_add,
    );
    let response_remove = at.list(
        "response_headers_to_remove",
        wire.response_headers_to_remove,
        decode_name,
    );
    Some(HeaderMutations {
        request_remove: request_remove?,
        request_add: request_add?,
        response_remove: response_remove?,
        response_add: response_add?,
    })
}

/// What decides where a request goes is no header here.
fn decode_name(name: String, at: &At<'_>) -> Option<String> {
    let name = name.to_ascii_lowercase();
    match name != "host" && HeaderName::from_bytes(name.as_bytes()).is_ok() {
        true => Some(name),
        false => at.refuse(format!("{name:?} is no header that may be changed")),
    }
}

// Older control planes write `append` instead of an action.
#[allow(deprecated)]
fn decode_add(mut wire: HeaderValueOption, at: &At<'_>) -> Option<HeaderAdd> {
    let header = at.required("header", wire.header.take(), decode_header);
    let action = take(&mut wire.append_action);
    let action = decode::variant(action, &at.field("append_action"));
    let append = wire.append.take().map(Wrapped::inner);
    let keep_empty = take(&mut wire.keep_empty_value);
    at.finish(wire);
    let (name, format) = header?;
    let action = match (action?, append) {
        (HeaderAppendAction::AppendIfExistsOrAdd, Some(false)) => {
            AppendAction::OverwriteIfExistsOrAdd
        }
        (HeaderAppendAction::AppendIfExistsOrAdd, _) => AppendAction::AppendIfExistsOrAdd,
        (_, Some(_)) => return at.field("append").refuse("stands beside append_action"),
        (HeaderAppendAction::AddIfAbsent, None) => AppendAction::AddIfAbsent,
        (HeaderAppendAction::OverwriteIfExistsOrAdd, None) => AppendAction::OverwriteIfExistsOrAdd,
        (HeaderAppendAction::OverwriteIfExists, None) => AppendAction::OverwriteIfExists,
    };
    Some(HeaderAdd {
        name,
        format,
        action,
        keep_empty,
    })
}

fn decode_header(mut wire: HeaderValue, at: &At<'_>) -> Option<(String, String)> {
    let name = decode_name(take(&mut wire.key), &at.field("key"));
    let format = at.field("value").header_value(take(&mut wire.value));
    at.finish(wire);
    name.zip(format)
}
