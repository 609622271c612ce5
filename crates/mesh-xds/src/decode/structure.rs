//! Reads messages that come as a `Struct`, field by field.

use super::At;
use crate::pb::google::protobuf::{Struct, Value, value::Kind};
use std::collections::BTreeMap;

/// Fields that are still to be taken.
#[derive(Debug, Default)]
pub(crate) struct Fields(BTreeMap<String, Value>);

impl Fields {
    /// The fields of `wire`; one that is null counts as not set, as in JSON.
    pub(crate) fn new(wire: Struct) -> Self {
        let null = |value: &Value| matches!(value.kind, None | Some(Kind::NullValue(_)));
        Self(wire.fields.into_iter().filter(|(_, v)| !null(v)).collect())
    }

    /// Takes the field `name`, which JSON may also spell in camel case.
    fn take(&mut self, name: &str) -> Option<Kind> {
        let value = self
            .0
            .remove(name)
            .or_else(|| self.0.remove(&camel_case(name)));
        value?.kind
    }

    /// A text; empty if not set.
    pub(crate) fn text(&mut self, name: &str, at: &At<'_>) -> Option<String> {
        match self.take(name) {
            None => Some(String::new()),
            Some(Kind::StringValue(text)) => Some(text),
            Some(_) => at.field(name).refuse("is not a string"),
        }
    }

    /// A boolean; false if not set.
    pub(crate) fn flag(&mut self, name: &str, at: &At<'_>) -> Option<bool> {
        match self.take(name) {
            None => Some(false),
            Some(Kind::BoolValue(flag)) => Some(flag),
            Some(_) => at.field(name).refuse("is not a boolean"),
        }
    }

    /// A message; empty if not set.
    pub(crate) fn message(&mut self, name: &str, at: &At<'_>) -> Option<Option<Self>> {
        match self.take(name) {
            None => Some(None),
            Some(Kind::StructValue(inner)) => Some(Some(Self::new(inner))),
            Some(_) => at.field(name).refuse("is not an object"),
        }
    }

    /// A list of messages; empty if not set.
    pub(crate) fn messages<T>(
        &mut self,
        name: &str,
        at: &At<'_>,
        decode: impl Fn(Self, &At<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let list = match self.take(name) {
            None => return Some(Vec::new()),
            Some(Kind::ListValue(list)) => list.values,
            Some(_) => return at.field(name).refuse("is not a list"),
        };
        at.list(name, list, |value, at| match value.kind {
            Some(Kind::StructValue(inner)) => decode(Self::new(inner), at),
            _ => at.refuse("is not an object"),
        })
    }

    /// All remaining fields, which must be texts, in the order of their names.
    pub(crate) fn texts(self, at: &At<'_>) -> Option<Vec<(String, String)>> {
        let text = |(name, value): (String, Value)| match value.kind {
            Some(Kind::StringValue(text)) => Some((name, text)),
            _ => at.key(&name).refuse("is not a string"),
        };
        // Not short-circuiting: every entry that is wrong is reported.
        let texts: Vec<_> = self.0.into_iter().map(text).collect();
        texts.into_iter().collect()
    }

    /// Closes the struct, as [`At::finish`] closes a message of the type `message`.
    pub(crate) fn finish(self, message: &str, at: &At<'_>) {
        for name in self.0.into_keys() {
            at.left(message, &snake_case(&name));
        }
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
