//! Objects under Go's field names.
//!
//! A template written for Istio reads the fields of Go structs: `.Spec.ServiceAccountName`, `$container.Ports`. Here such an
//! object is its JSON, with a [`Shape`] that says which names there are and what an absent field is: empty text, zero, an
//! empty list. Go's name of a field is the JSON name with a capital, but for a list of abbreviations.

use super::Value;
use super::value::{Entries, Map};

/// What a map stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Any values by any names; an absent one is nothing.
    Any,
    /// Texts by any names; an absent one is an empty text.
    Texts,
    /// An object whose fields are listed; another name is an error.
    Struct(&'static Struct),
    /// An object whose fields are not listed; an absent one is nothing. `Get` before a name changes nothing.
    Object,
}

/// The fields of an object, by their names in JSON.
#[derive(Debug)]
pub(crate) struct Struct {
    /// Go's name of the type.
    pub(crate) name: &'static str,
    /// The fields.
    pub(crate) fields: &'static [(&'static str, Type)],
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Type {
    /// A text; empty if absent.
    Text,
    /// A number; zero if absent.
    Int,
    /// False if absent.
    Bool,
    /// What a pointer of Go leads to; nothing if absent.
    Pointer(Shape),
    /// An object that is always there.
    Inline(&'static Struct),
    /// A list, of objects if they have a shape.
    List(Shape),
    /// A map.
    Map(Shape),
}

/// Where Go's name is not just the name with a capital.
const ABBREVIATIONS: [(&str, &str); 24] = [
    ("apiVersion", "APIVersion"),
    ("awsElasticBlockStore", "AWSElasticBlockStore"),
    ("cephfs", "CephFS"),
    ("csi", "CSI"),
    ("dnsConfig", "DNSConfig"),
    ("dnsPolicy", "DNSPolicy"),
    ("fc", "FC"),
    ("fsGroup", "FSGroup"),
    ("fsGroupChangePolicy", "FSGroupChangePolicy"),
    ("fsType", "FSType"),
    ("gcePersistentDisk", "GCEPersistentDisk"),
    ("grpc", "GRPC"),
    ("httpGet", "HTTPGet"),
    ("httpHeaders", "HTTPHeaders"),
    ("ip", "IP"),
    ("iscsi", "ISCSI"),
    ("nfs", "NFS"),
    ("os", "OS"),
    ("rbd", "RBD"),
    ("seLinuxOptions", "SELinuxOptions"),
    ("serviceAccount", "DeprecatedServiceAccount"),
    ("tcpSocket", "TCPSocket"),
    ("tty", "TTY"),
    ("uid", "UID"),
];

impl Shape {
    /// The shape of objects under the field `name`.
    pub(super) fn within(self, name: &str) -> Self {
        match self {
            Self::Any | Self::Texts => Self::Any,
            Self::Object => Self::Object,
            Self::Struct(object) => match object.field(name) {
                Some(Type::Pointer(shape) | Type::List(shape) | Type::Map(shape)) => shape,
                Some(Type::Inline(object)) => Self::Struct(object),
                _ => Self::Object,
            },
        }
    }

    pub(super) fn is_object(self) -> bool {
        matches!(self, Self::Struct(_) | Self::Object)
    }
}

impl Struct {
    fn field(&self, name: &str) -> Option<Type> {
        let found = self.fields.iter().find(|(field, _)| *field == name);
        found.map(|(_, kind)| *kind)
    }
}

impl Type {
    fn zero(self) -> Result<Value, String> {
        match self {
            Self::Text => Ok("".into()),
            Self::Int => Ok(Value::Int(0)),
            Self::Bool => Ok(Value::Bool(false)),
            Self::Pointer(_) => Ok(Value::Nil),
            Self::Inline(object) => Value::map(Shape::Struct(object), Entries::new()),
            Self::List(_) => Value::list(Vec::new()),
            Self::Map(shape) => Value::map(shape, Entries::new()),
        }
    }
}

impl Map {
    /// The value under the key `name`, as `index` sees it.
    pub(super) fn at(&self, name: &str) -> Value {
        match (self.entries().get(name), self.shape()) {
            (Some(value), _) => value.clone(),
            (None, Shape::Texts) => "".into(),
            (None, _) => Value::Nil,
        }
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        match self.shape() {
            Shape::Any | Shape::Texts => Ok(self.at(name)),
            Shape::Object => {
                let name = name
                    .strip_prefix("Get")
                    .filter(|rest| !rest.is_empty())
                    .unwrap_or(name);
                let found = self.entries().iter().find(|(key, _)| is_go_name(key, name));
                Ok(found.map_or(Value::Nil, |(_, value)| value.clone()))
            }
            Shape::Struct(object) => {
                let found = object.fields.iter().find(|(key, _)| is_go_name(key, name));
                let (key, kind) = found.ok_or_else(|| unknown(object, name))?;
                match self.entries().get(*key) {
                    Some(Value::Nil) | None => kind.zero(),
                    Some(value) => Ok(value.clone()),
                }
            }
        }
    }
}

fn unknown(object: &Struct, name: &str) -> String {
    let names: Vec<String> = object.fields.iter().map(|(key, _)| go_name(key)).collect();
    let alike = names.iter().find(|known| known.eq_ignore_ascii_case(name));
    let hint = alike.map_or(String::new(), |known| format!("; is .{known} meant?"));
    format!("{} has no field .{name}{hint}", object.name)
}

fn go_name(key: &str) -> String {
    if let Some((_, go)) = ABBREVIATIONS.iter().find(|(json, _)| *json == key) {
        return (*go).to_owned();
    }
    let mut chars = key.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).collect()
}

fn is_go_name(key: &str, name: &str) -> bool {
    key.len() == name.len() && go_name(key) == name
        || key == "serviceAccount" && go_name(key) == name
}

/// `value.name`; nothing is in nothing, as in Go.
pub(super) fn field(value: &Value, name: &str) -> Result<Value, String> {
    match value {
        Value::Nil => Ok(Value::Nil),
        Value::Map(map) => map.field(name),
        // Go's enumerations are texts here, and its wrappers of numbers are numbers.
        other if ["String", "Value", "GetValue"].contains(&name) => Ok(other.clone()),
        other => Err(format!("a {} has no field .{name}", other.type_name())),
    }
}
