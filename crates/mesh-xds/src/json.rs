//! Canonical proto-JSON of any message that is known by name: for `/config_dump`, for configuration files, for tests.
//!
//! Beside the path of configuration: the proxy keeps the bytes of each resource as they came and prints those here,
//! never a re-encoding of the model. An `Any` is expanded; one that cannot be (unknown type, broken bytes) prints its
//! `@type` alone, so that one odd extension does not cost the whole document.
//!
//! Works on descriptors that are loaded when asked for and freed with the last [`Pool`]: some megabytes that a proxy
//! must not hold for a page which is asked for once a month.

mod config_dump;
mod pool;
mod print;
mod read;

pub use config_dump::{Dump, DumpError, Resource, Stage, resources};
pub use pool::Pool;
pub use print::{PrintError, Style};
pub use read::{Problem, ReadError};

/// How deep objects and lists may nest, in what is printed and in what is read. It is as deep as `serde_json` parses,
/// so that what was printed can be read; Istio's own configurations stay below 40.
const MAX_DEPTH: usize = 127;

/// The full name of `google.protobuf.Any`.
const ANY: &str = "google.protobuf.Any";

/// The message name in a type URL: what follows the last slash.
fn type_name(type_url: &str) -> &str {
    type_url.rsplit('/').next().unwrap_or(type_url)
}

/// Whether a message has a JSON form of its own instead of an object of its fields. Inside an `Any`, that form stands
/// under the key `value`.
fn has_own_form(full_name: &str) -> bool {
    full_name
        .strip_prefix("google.protobuf.")
        .is_some_and(|name| {
            matches!(
                name,
                "Any"
                    | "Timestamp"
                    | "Duration"
                    | "FieldMask"
                    | "Empty"
                    | "Struct"
                    | "Value"
                    | "ListValue"
                    | "DoubleValue"
                    | "FloatValue"
                    | "Int64Value"
                    | "UInt64Value"
                    | "Int32Value"
                    | "UInt32Value"
                    | "BoolValue"
                    | "StringValue"
                    | "BytesValue"
            )
        })
}

#[cfg(test)]
mod hostile_tests;
