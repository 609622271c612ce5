//! Bytes of a message to JSON.
//!
//! Our own walk over the decoded message, because a serializer gives up a document for one `Any` that it cannot
//! expand. Must not fail for anything that sits inside an `Any`, except for nesting without end.

use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage, SerializeOptions, Value};
use serde_json::{Map, Number, Value as Json};

use super::{MAX_DEPTH, Pool, has_own_form, type_name};

/// Whose JSON it should look like. Both leave out fields that are not set, put `@type` first and sort maps by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Envoy's admin interface: fields named as in the proto (`filter_chains`), in the order of their numbers.
    Envoy,
    /// istiod and istioctl: fields in lower camel case (`filterChains`), in the order of the proto file.
    Istio,
}

/// Why a message could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    /// No descriptor of this name; only for the outermost message, inside an `Any` it is no error.
    #[error("no message type named `{0}` is known")]
    UnknownType(String),
    /// The bytes are no message of this type; only for the outermost message.
    #[error("the bytes are not a `{name}`")]
    Malformed {
        /// The message's full name.
        name: String,
        /// What is wrong with them.
        #[source]
        source: prost::DecodeError,
    },
    /// Objects and lists nest deeper than anything honest does.
    #[error("the message nests more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

impl Pool {
    /// The JSON of a message, by its full name (without `type.googleapis.com/`) and its encoded bytes.
    ///
    /// # Errors
    /// If the name is unknown, the bytes do not decode, or the nesting has no end. Neither an unknown type nor broken
    /// bytes inside an `Any` are errors: it prints as its `@type`.
    pub fn print(&self, full_name: &str, bytes: &[u8], style: Style) -> Result<Json, PrintError> {
        let descriptor = self
            .descriptors()
            .get_message_by_name(full_name)
            .ok_or_else(|| PrintError::UnknownType(full_name.to_owned()))?;
        let message =
            DynamicMessage::decode(descriptor, bytes).map_err(|source| PrintError::Malformed {
                name: full_name.to_owned(),
                source,
            })?;
        Printer { pool: self, style }.message(&message, 0)
    }

    /// The JSON of an `Any`: `@type`, then the message's fields.
    ///
    /// # Errors
    /// Only if the nesting has no end.
    pub fn print_any(
        &self,
        type_url: &str,
        bytes: &[u8],
        style: Style,
    ) -> Result<Json, PrintError> {
        Printer { pool: self, style }.any(type_url, bytes, 0)
    }
}

struct Printer<'a> {
    pool: &'a Pool,
    style: Style,
}

/// `depth` counts the objects and lists around what is being printed.
impl Printer<'_> {
    fn message(&self, message: &DynamicMessage, depth: usize) -> Result<Json, PrintError> {
        let descriptor = message.descriptor();
        let own_form = has_own_form(descriptor.full_name()).then(|| descriptor.name());
        match own_form {
            Some("Any") => self.any(&string(message, 1), &bytes(message, 2), depth),
            Some("Timestamp" | "Duration" | "FieldMask") => self.text(message, depth),
            Some("Value") => match message.fields().next() {
                Some((field, value)) => self.value(value, &field.kind(), depth),
                None => Ok(Json::Null),
            },
            // A wrapper, list or struct is what its only field is, also when that field has its default.
            Some(_) => match message.descriptor().get_field(1) {
                Some(field) => self.value(&message.get_field(&field), &field.kind(), depth),
                None => Ok(Json::Object(Map::new())),
            },
            None => {
                let mut object = Map::new();
                self.fields(message, &mut object, depth)?;
                Ok(Json::Object(object))
            }
        }
    }

    fn fields(
        &self,
        message: &DynamicMessage,
        object: &mut Map<String, Json>,
        depth: usize,
    ) -> Result<(), PrintError> {
        let depth = deeper(depth)?;
        let mut fields: Vec<_> = message.fields().collect();
        if self.style == Style::Istio {
            fields.sort_by_key(|(field, _)| field.path().last().copied());
        }
        for (field, value) in fields {
            let name = match self.style {
                Style::Envoy => field.name(),
                Style::Istio => field.json_name(),
            };
            object.insert(name.to_owned(), self.value(value, &field.kind(), depth)?);
        }
        Ok(())
    }

    fn any(&self, type_url: &str, bytes: &[u8], depth: usize) -> Result<Json, PrintError> {
        let inside = deeper(depth)?;
        let mut object = Map::new();
        if !type_url.is_empty() {
            object.insert("@type".to_owned(), type_url.into());
        }
        let descriptor = self
            .pool
            .descriptors()
            .get_message_by_name(type_name(type_url));
        if let Some(message) = descriptor.and_then(|d| DynamicMessage::decode(d, bytes).ok()) {
            if has_own_form(type_name(type_url)) {
                object.insert("value".to_owned(), self.message(&message, inside)?);
            } else {
                self.fields(&message, &mut object, depth)?;
            }
        }
        Ok(Json::Object(object))
    }

    /// Times, durations and masks; those outside of what their text form can say print as plain messages.
    fn text(&self, message: &DynamicMessage, depth: usize) -> Result<Json, PrintError> {
        if let Ok(text) = canonical(message) {
            return Ok(text);
        }
        let mut object = Map::new();
        self.fields(message, &mut object, depth)?;
        Ok(Json::Object(object))
    }

    fn value(&self, value: &Value, kind: &Kind, depth: usize) -> Result<Json, PrintError> {
        Ok(match value {
            Value::Bool(v) => Json::Bool(*v),
            Value::I32(v) => Json::from(*v),
            Value::U32(v) => Json::from(*v),
            Value::I64(v) => Json::String(v.to_string()),
            Value::U64(v) => Json::String(v.to_string()),
            Value::F32(v) => float(shortest(*v)),
            Value::F64(v) => float(*v),
            Value::String(v) => Json::String(v.clone()),
            Value::Bytes(v) => self.base64(v),
            Value::EnumNumber(number) => enumeration(*number, kind),
            Value::Message(message) => self.message(message, depth)?,
            Value::List(list) => self.list(list, kind, deeper(depth)?)?,
            Value::Map(map) => self.map(map.iter().collect(), kind, deeper(depth)?)?,
        })
    }

    fn list(&self, list: &[Value], kind: &Kind, depth: usize) -> Result<Json, PrintError> {
        list.iter().map(|v| self.value(v, kind, depth)).collect()
    }

    fn map(
        &self,
        mut entries: Vec<(&MapKey, &Value)>,
        kind: &Kind,
        depth: usize,
    ) -> Result<Json, PrintError> {
        entries.sort_by_key(|(key, _)| *key);
        let kind = kind
            .as_message()
            .map(|entry| entry.map_entry_value_field().kind());
        let mut object = Map::new();
        for (key, value) in entries {
            let value = match &kind {
                Some(kind) => self.value(value, kind, depth)?,
                None => Json::Null,
            };
            object.insert(key_text(key), value);
        }
        Ok(Json::Object(object))
    }

    fn base64(&self, bytes: &prost::bytes::Bytes) -> Json {
        let wrapper = self
            .pool
            .descriptors()
            .get_message_by_name("google.protobuf.BytesValue");
        wrapper
            .and_then(|descriptor| {
                let mut message = DynamicMessage::new(descriptor);
                message.set_field_by_number(1, Value::Bytes(bytes.clone()));
                canonical(&message).ok()
            })
            .unwrap_or_default()
    }
}

fn deeper(depth: usize) -> Result<usize, PrintError> {
    if depth < MAX_DEPTH {
        Ok(depth + 1)
    } else {
        Err(PrintError::TooDeep)
    }
}

/// The form that the reflection library gives to a message with a form of its own.
fn canonical(message: &DynamicMessage) -> Result<Json, serde_json::Error> {
    message.serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new())
}

fn string(message: &DynamicMessage, number: u32) -> String {
    let value = message.get_field_by_number(number);
    value
        .as_deref()
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn bytes(message: &DynamicMessage, number: u32) -> prost::bytes::Bytes {
    let value = message.get_field_by_number(number);
    value
        .as_deref()
        .and_then(Value::as_bytes)
        .cloned()
        .unwrap_or_default()
}

fn enumeration(number: i32, kind: &Kind) -> Json {
    match kind.as_enum() {
        Some(e) if e.full_name() == "google.protobuf.NullValue" => Json::Null,
        Some(e) => e
            .get_value(number)
            .map_or(Json::from(number), |v| Json::from(v.name())),
        None => Json::from(number),
    }
}

/// The number with the fewest digits that is still this one in single precision: 0.1 and not 0.10000000149.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// Whole numbers print without a fraction, as Envoy and Istio print them; JSON has no others than finite ones.
fn float(value: f64) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    if value.fract() == 0.0 && value.abs() < EXACT {
        return Json::from(value as i64);
    }
    match Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => Json::from("NaN"),
        None if value > 0.0 => Json::from("Infinity"),
        None => Json::from("-Infinity"),
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(v) => v.to_string(),
        MapKey::I32(v) => v.to_string(),
        MapKey::I64(v) => v.to_string(),
        MapKey::U32(v) => v.to_string(),
        MapKey::U64(v) => v.to_string(),
        MapKey::String(v) => v.clone(),
    }
}

#[cfg(test)]
mod tests;
