//! Finds the line on which a field stands.
//!
//! Only used when something is to be reported: it parses the text a second time, keeping lines instead of values.

use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::yaml;

/// The lines of one document.
pub(super) struct Lines(Option<Node>);

struct Node {
    line: usize,
    shape: Shape,
}

enum Shape {
    Scalar,
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Lines {
    /// Reads the lines of `text`; a text that does not parse has none.
    pub(super) fn of(text: &str) -> Self {
        Self(yaml::from_str(text).ok())
    }

    /// The line, counted from 1, of the value at `path` (`spec.ports[0].port`), or of its closest parent that exists.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        let mut node = self.0.as_ref()?;
        let mut rest = path;
        while let Some((child, after)) = node.step(rest) {
            (node, rest) = (child, after);
        }
        Some(node.line)
    }
}

impl Node {
    /// The child that `path` begins with, and the rest of the path. Keys may contain dots, so the longest key wins.
    fn step<'n, 'p>(&'n self, path: &'p str) -> Option<(&'n Self, &'p str)> {
        match &self.shape {
            Shape::Scalar => None,
            Shape::List(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                Some((items.get(index.parse::<usize>().ok()?)?, rest))
            }
            Shape::Map(entries) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                let fits = |key: &str| {
                    path.strip_prefix(key)
                        .filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                };
                let found = entries
                    .iter()
                    .filter_map(|(key, node)| Some((key.len(), node, fits(key)?)));
                found
                    .max_by_key(|(length, ..)| *length)
                    .map(|(_, node, rest)| (node, rest))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Shape>::deserialize(deserializer)?;
        Ok(Self {
            line: spanned.referenced.line() as usize,
            shape: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Shape::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Shape::List(items))
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Shape, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Shape::Scalar)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }
}
