//! JSON to the bytes of a message.
//!
//! Takes field names in either style. Our own walk over the JSON, for two things that a deserializer cannot do: an
//! error names its place in the document, and what a foreign proxy printed can be read as far as it is known.

mod problem;

use std::borrow::Cow;
use std::collections::HashMap;

use prost::Message;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use serde_json::{Map, Value as Json};

pub use problem::{Problem, ReadError};

use super::{ANY, MAX_DEPTH, Pool, has_own_form, type_name};

impl Pool {
    /// The encoded message that `json` describes, by the message's full name.
    ///
    /// An `Any` needs its `@type`. One of an unknown type is taken only if it holds nothing else: so prints
    /// [`Pool::print`] what it does not know.
    ///
    /// # Errors
    /// The first field, type, name or value that the message does not have, with its place.
    pub fn read(&self, full_name: &str, json: &Json) -> Result<Vec<u8>, ReadError> {
        Reader::new(self, None).document(full_name, json)
    }

    /// Like [`Pool::read`], but leaves out what is unknown, as a document of another version's proxy may hold it:
    /// fields, values of enumerations, and the content of an `Any`. The second part of the result lists those, by place.
    ///
    /// # Errors
    /// If a known field has a value that it cannot have.
    pub fn read_known(
        &self,
        full_name: &str,
        json: &Json,
    ) -> Result<(Vec<u8>, Vec<ReadError>), ReadError> {
        let mut reader = Reader::new(self, Some(Vec::new()));
        let bytes = reader.document(full_name, json)?;
        Ok((bytes, reader.ignored.unwrap_or_default()))
    }
}

struct Reader<'a> {
    pool: &'a Pool,
    /// Where in the document we are.
    path: Vec<Step<'a>>,
    /// What was unknown; `None` if the unknown is an error.
    ignored: Option<Vec<ReadError>>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

impl<'a> Reader<'a> {
    fn new(pool: &'a Pool, ignored: Option<Vec<ReadError>>) -> Self {
        Self {
            pool,
            path: Vec::new(),
            ignored,
        }
    }

    fn document(&mut self, full_name: &str, json: &'a Json) -> Result<Vec<u8>, ReadError> {
        if !is_shallow(json, MAX_DEPTH) {
            return Err(self.error(Problem::TooDeep));
        }
        let descriptor = self.descriptor(full_name)?;
        Ok(self.message(&descriptor, json)?.encode_to_vec())
    }

    fn message(
        &mut self,
        descriptor: &MessageDescriptor,
        json: &'a Json,
    ) -> Result<DynamicMessage, ReadError> {
        match descriptor.full_name() {
            ANY => self.any(descriptor, json),
            name if has_own_form(name) => DynamicMessage::deserialize(descriptor.clone(), json)
                .map_err(|e| self.error(Problem::Invalid(e))),
            _ => self.fields(descriptor, self.object(json)?),
        }
    }

    fn fields(
        &mut self,
        descriptor: &MessageDescriptor,
        object: &'a Map<String, Json>,
    ) -> Result<DynamicMessage, ReadError> {
        let mut message = DynamicMessage::new(descriptor.clone());
        for (key, json) in object.iter().filter(|(key, _)| *key != "@type") {
            self.path.push(Step::Field(key));
            match field_of(descriptor, key) {
                Some(field) => self.field(&mut message, &field, json)?,
                None => self.unknown(Problem::UnknownField(descriptor.full_name().to_owned()))?,
            }
            self.path.pop();
        }
        Ok(message)
    }

    fn field(
        &mut self,
        message: &mut DynamicMessage,
        field: &FieldDescriptor,
        json: &'a Json,
    ) -> Result<(), ReadError> {
        let value = if json.is_null() && !takes_null(field) {
            None
        } else if field.is_list() {
            Some(Value::List(self.list(&field.kind(), json)?))
        } else if field.is_map() {
            Some(Value::Map(self.map(&field.kind(), json)?))
        } else {
            self.value(&field.kind(), json)?
        };
        if let Some(value) = value {
            if let Some(taken) = taken(message, field) {
                return Err(self.error(Problem::Twice(taken)));
            }
            message.set_field(field, value);
        }
        Ok(())
    }

    fn list(&mut self, kind: &Kind, json: &'a Json) -> Result<Vec<Value>, ReadError> {
        let items = json
            .as_array()
            .ok_or_else(|| self.error(Problem::Expected("a list")))?;
        let mut list = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            self.path.push(Step::Index(i));
            list.extend(self.value(kind, item)?);
            self.path.pop();
        }
        Ok(list)
    }

    fn map(&mut self, kind: &Kind, json: &'a Json) -> Result<HashMap<MapKey, Value>, ReadError> {
        let object = self.object(json)?;
        let mut map = HashMap::with_capacity(object.len());
        let Some(entry) = kind.as_message() else {
            return Ok(map);
        };
        let (keys, values) = (
            entry.map_entry_key_field().kind(),
            entry.map_entry_value_field().kind(),
        );
        for (key, json) in object {
            self.path.push(Step::Field(key));
            let key = self.key(&keys, key)?;
            if let Some(value) = self.value(&values, json)? {
                map.insert(key, value);
            }
            self.path.pop();
        }
        Ok(map)
    }

    fn key(&self, kind: &Kind, text: &str) -> Result<MapKey, ReadError> {
        let key = match kind {
            Kind::Bool => text.parse().ok().map(MapKey::Bool),
            _ => self.scalar(kind, &Json::from(text))?.into_map_key(),
        };
        key.ok_or_else(|| self.error(Problem::Expected("a key of the map's kind")))
    }

    /// One value; `None` is an unknown enumeration value that is left out.
    fn value(&mut self, kind: &Kind, json: &'a Json) -> Result<Option<Value>, ReadError> {
        match kind {
            Kind::Message(descriptor) => Ok(Some(Value::Message(self.message(descriptor, json)?))),
            Kind::Enum(descriptor) => self.enumeration(descriptor, json),
            _ => self.scalar(kind, json).map(Some),
        }
    }

    fn enumeration(
        &mut self,
        descriptor: &EnumDescriptor,
        json: &Json,
    ) -> Result<Option<Value>, ReadError> {
        let number = match json {
            Json::Null => Some(0),
            Json::Number(n) => n.as_i64().and_then(|n| i32::try_from(n).ok()),
            Json::String(name) => descriptor.get_value_by_name(name).map(|v| v.number()),
            _ => return Err(self.error(Problem::Expected("a name or number"))),
        };
        if number.is_none() {
            self.unknown(Problem::UnknownValue {
                value: json.to_string(),
                enumeration: descriptor.full_name().to_owned(),
            })?;
        }
        Ok(number.map(Value::EnumNumber))
    }

    /// A scalar follows the rules of the wrapper message of its kind, which the reflection library knows.
    fn scalar(&self, kind: &Kind, json: &Json) -> Result<Value, ReadError> {
        let wrapper = match kind {
            Kind::Double => "DoubleValue",
            Kind::Float => "FloatValue",
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "Int32Value",
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "Int64Value",
            Kind::Uint32 | Kind::Fixed32 => "UInt32Value",
            Kind::Uint64 | Kind::Fixed64 => "UInt64Value",
            Kind::Bool => "BoolValue",
            Kind::String => "StringValue",
            Kind::Bytes => "BytesValue",
            Kind::Message(_) | Kind::Enum(_) => {
                return Err(self.error(Problem::Expected("a scalar")));
            }
        };
        let wrapper = self.descriptor(&format!("google.protobuf.{wrapper}"))?;
        let message = DynamicMessage::deserialize(wrapper, json)
            .map_err(|e| self.error(Problem::Invalid(e)))?;
        let value = message.get_field_by_number(1).map(Cow::into_owned);
        value.ok_or_else(|| self.error(Problem::Expected("a scalar")))
    }

    fn any(
        &mut self,
        descriptor: &MessageDescriptor,
        json: &'a Json,
    ) -> Result<DynamicMessage, ReadError> {
        let object = self.object(json)?;
        let mut any = DynamicMessage::new(descriptor.clone());
        if !object.is_empty() {
            let type_url = object.get("@type").and_then(Json::as_str);
            let type_url = type_url.ok_or_else(|| self.error(Problem::NoType))?;
            let content = self.content(type_name(type_url), object)?;
            any.set_field_by_number(1, Value::String(type_url.to_owned()));
            any.set_field_by_number(2, Value::Bytes(content.into()));
        }
        Ok(any)
    }

    /// The bytes of the message inside of an `Any`.
    fn content(&mut self, name: &str, object: &'a Map<String, Json>) -> Result<Vec<u8>, ReadError> {
        let Some(descriptor) = self.pool.descriptors().get_message_by_name(name) else {
            if object.len() > 1 {
                self.unknown(Problem::UnknownType(name.to_owned()))?;
            }
            return Ok(Vec::new());
        };
        if !has_own_form(name) {
            return Ok(self.fields(&descriptor, object)?.encode_to_vec());
        }
        let Some(json) = object.get("value") else {
            return Err(self.error(Problem::Expected("a `value` beside this `@type`")));
        };
        self.path.push(Step::Field("value"));
        let message = self.message(&descriptor, json)?;
        self.path.pop();
        Ok(message.encode_to_vec())
    }

    fn object(&self, json: &'a Json) -> Result<&'a Map<String, Json>, ReadError> {
        json.as_object()
            .ok_or_else(|| self.error(Problem::Expected("an object")))
    }

    fn descriptor(&self, full_name: &str) -> Result<MessageDescriptor, ReadError> {
        let descriptor = self.pool.descriptors().get_message_by_name(full_name);
        descriptor.ok_or_else(|| self.error(Problem::UnknownType(full_name.to_owned())))
    }

    /// Notes something unknown, or fails for it.
    fn unknown(&mut self, problem: Problem) -> Result<(), ReadError> {
        let error = self.error(problem);
        match &mut self.ignored {
            Some(ignored) => ignored.push(error),
            None => return Err(error),
        }
        Ok(())
    }

    fn error(&self, problem: Problem) -> ReadError {
        let mut place = String::new();
        for step in &self.path {
            match step {
                Step::Index(i) => place.push_str(&format!("[{i}]")),
                Step::Field(name) if place.is_empty() => place.push_str(name),
                Step::Field(name) => place.extend([".", name]),
            }
        }
        ReadError { place, problem }
    }
}

fn field_of(descriptor: &MessageDescriptor, key: &str) -> Option<FieldDescriptor> {
    descriptor
        .get_field_by_json_name(key)
        .or_else(|| descriptor.get_field_by_name(key))
}

/// Null means “not set”, except where it is a value.
fn takes_null(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(m) => !field.is_list() && m.full_name() == "google.protobuf.Value",
        Kind::Enum(e) => !field.is_list() && e.full_name() == "google.protobuf.NullValue",
        _ => false,
    }
}

/// The field that is set already where `field` would go: itself under its other name, or another of its oneof.
fn taken(message: &DynamicMessage, field: &FieldDescriptor) -> Option<String> {
    let rivals: Vec<_> = match field.containing_oneof() {
        Some(oneof) => oneof.fields().collect(),
        None => vec![field.clone()],
    };
    rivals
        .into_iter()
        .find(|f| message.has_field(f))
        .map(|f| f.name().to_owned())
}

fn is_shallow(json: &Json, levels: usize) -> bool {
    match json {
        Json::Array(items) => levels > 0 && items.iter().all(|v| is_shallow(v, levels - 1)),
        Json::Object(object) => levels > 0 && object.values().all(|v| is_shallow(v, levels - 1)),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
