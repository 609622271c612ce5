//! Typed configurations: an `Any`, which may hold its message as a `Struct`.

use super::{At, Fields, unknown};
use crate::pb::google::protobuf::{Any, Struct};
use prost::{Message, Name};

/// Decodes `bytes` as a message of type `M`, all of them.
pub(crate) fn unpack<M: Message + Name + Default>(bytes: &[u8], at: &At<'_>) -> Option<M> {
    match M::decode(bytes) {
        Ok(message) => unknown::refuse(&message, bytes, at).map(|()| message),
        Err(error) => at.refuse(format!("is no {}: {error}", M::full_name())),
    }
}

/// An extension's configuration.
#[derive(Debug)]
pub(crate) struct Extension {
    /// Full name of its message.
    pub(crate) type_name: String,
    form: Form,
}

/// A configuration in the form it was written in.
#[derive(Debug)]
pub(crate) enum Written<M> {
    /// As its message.
    Message(M),
    /// As a struct.
    Fields(Fields),
}

/// `udpa.type.v1.TypedStruct` with the same kind of struct as Envoy's own messages have.
#[derive(Clone, PartialEq, Message)]
struct TypedStruct {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Struct>,
}

impl Name for TypedStruct {
    const NAME: &'static str = "TypedStruct";
    const PACKAGE: &'static str = "udpa.type.v1";
}

#[derive(Debug)]
enum Form {
    Bytes(Vec<u8>),
    Struct(Struct),
}

impl Extension {
    /// Looks into an `Any`.
    pub(crate) fn open(any: Any, at: &At<'_>) -> Option<Self> {
        let type_name = name_of(&any.type_url);
        // The message has moved house without changing.
        if type_name != "udpa.type.v1.TypedStruct" && type_name != "xds.type.v3.TypedStruct" {
            return Some(Self {
                type_name,
                form: Form::Bytes(any.value),
            });
        }
        let inner: TypedStruct = unpack(&any.value, at)?;
        Some(Self {
            type_name: name_of(&inner.type_url),
            form: Form::Struct(inner.value.unwrap_or_default()),
        })
    }

    /// Its message, which must be of type `M`.
    pub(crate) fn message<M: Message + Name + Default>(self, at: &At<'_>) -> Option<M> {
        match self.form {
            _ if self.type_name != M::full_name() => self.unknown(at),
            Form::Bytes(bytes) => unpack(&bytes, at),
            Form::Struct(_) => at.refuse(format!("{} comes as a TypedStruct", self.type_name)),
        }
    }

    /// Its content, in the form it was written in; the type must be that of `M`.
    pub(crate) fn written<M: Message + Name + Default>(self, at: &At<'_>) -> Option<Written<M>> {
        match self.form {
            _ if self.type_name != M::full_name() => self.unknown(at),
            Form::Struct(fields) => Some(Written::Fields(Fields::new(fields))),
            Form::Bytes(bytes) => unpack(&bytes, at).map(Written::Message),
        }
    }

    /// Refuses it as of a type that has no business here.
    pub(crate) fn unknown<T>(&self, at: &At<'_>) -> Option<T> {
        at.refuse(format!("this proxy does not execute {}", self.type_name))
    }
}

/// The message name in a type URL: what stands behind its last slash.
fn name_of(type_url: &str) -> String {
    type_url.rsplit('/').next().unwrap_or_default().to_owned()
}
