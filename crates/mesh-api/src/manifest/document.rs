//! One document as a JSON value, before anything is known of its kind.
//!
//! Nesting is bounded by the parsers, so that no later walk over a value can overflow the stack.

use serde_json::Value;

use super::lines::Lines;
use super::{Chunk, Invalid, Place, Reason};
use crate::yaml;

/// A parsed document, or one item of a `List`.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Where it stands.
    pub place: Place,
    /// What it says: always a JSON object.
    pub value: Value,
}

impl Document {
    /// The text of the string field `name` at the top.
    #[must_use]
    pub fn str_field(&self, name: &str) -> Option<&str> {
        self.value.get(name).and_then(Value::as_str)
    }
}

impl Chunk<'_> {
    /// Parses this chunk. A `List` (or `PodList`, …) becomes its items; a blank chunk becomes nothing; JSON text may
    /// hold several values one after the other.
    ///
    /// # Errors
    /// If the text is neither YAML nor JSON, exceeds the limits, or is no mapping.
    pub fn documents(&self) -> Result<Vec<Document>, Invalid> {
        let mut documents = Vec::new();
        for document in self.values()? {
            self.flatten(document, &mut documents)?;
        }
        Ok(documents)
    }

    /// Parses this chunk and leaves lists whole.
    ///
    /// # Errors
    /// As [`Chunk::documents`].
    pub fn values(&self) -> Result<Vec<Document>, Invalid> {
        if self.is_blank() {
            return Ok(Vec::new());
        }
        if let Some(values) = self.json_values() {
            return values
                .into_iter()
                .map(|(line, value)| self.document(line, value))
                .collect();
        }
        let value = yaml::from_str(self.text).map_err(|error| self.refuse(error))?;
        Ok(vec![self.document(self.first_content_line(), value)?])
    }

    /// The place of this chunk's first line with content.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            document: self.index,
            item: String::new(),
            line: self.first_content_line(),
        }
    }

    /// All values of a JSON stream, or `None` when this is not JSON (which then may still be YAML).
    fn json_values(&self) -> Option<Vec<(usize, Value)>> {
        if !self.text.trim_start().starts_with('{') {
            return None;
        }
        let mut stream = serde_json::Deserializer::from_str(self.text).into_iter::<Value>();
        let mut values = Vec::new();
        loop {
            let gap = self.text.get(stream.byte_offset()..)?;
            let start = self.text.len() - gap.trim_start().len();
            match stream.next() {
                Some(value) => values.push((self.line_at(start), value.ok()?)),
                None => return Some(values),
            }
        }
    }

    fn document(&self, line: usize, value: Value) -> Result<Document, Invalid> {
        let place = self.place().at_line(line);
        let found = match &value {
            Value::Object(_) => return Ok(Document { place, value }),
            Value::Array(_) => "a list",
            Value::String(_) => "a string",
            Value::Number(_) => "a number",
            Value::Bool(_) => "a boolean",
            Value::Null => "nothing",
        };
        Err(Invalid {
            place,
            reason: Reason::NotAnObject { found },
        })
    }

    /// Replaces a list by its items; items of a typed list (`PodList`) inherit its version and kind, as an API server
    /// leaves them out there.
    fn flatten(&self, document: Document, into: &mut Vec<Document>) -> Result<(), Invalid> {
        let Some((item_kind, items)) = list_items(&document.value) else {
            into.push(document);
            return Ok(());
        };
        let lines = Lines::of(self.text);
        for (index, item) in items.iter().enumerate() {
            let mut value = item.clone();
            if let (Some(fields), Some(kind)) = (value.as_object_mut(), item_kind) {
                fields.entry("kind").or_insert_with(|| kind.into());
                fields
                    .entry("apiVersion")
                    .or_insert_with(|| document.value["apiVersion"].clone());
            }
            let path = format!(
                "{}{}items[{index}]",
                document.place.item,
                dot(&document.place.item)
            );
            let line = lines
                .find(&path)
                .map_or(document.place.line, |line| self.line + line - 1);
            let mut item = self.document(line, value).map_err(|mut invalid| {
                invalid.place.item.clone_from(&path);
                invalid
            })?;
            item.place.item = path;
            self.flatten(item, into)?;
        }
        Ok(())
    }

    /// Moves `invalid`, which speaks of an object of this chunk, to the line of the field to blame.
    #[must_use]
    pub fn locate(&self, mut invalid: Invalid) -> Invalid {
        let field = match &invalid.reason {
            Reason::Field { path, .. } => path.as_str(),
            Reason::Missing { field } => field,
            Reason::Syntax(_) | Reason::NotAnObject { .. } => return invalid,
        };
        let path = format!("{}{}{field}", invalid.place.item, dot(&invalid.place.item));
        if let Some(line) = Lines::of(self.text).find(&path) {
            invalid.place.line = self.line + line - 1;
        }
        invalid
    }

    fn refuse(&self, error: yaml::SyntaxError) -> Invalid {
        let place = self.place().at_line(self.line + error.line - 1);
        Invalid {
            place,
            reason: Reason::Syntax(error.message),
        }
    }

    fn line_at(&self, offset: usize) -> usize {
        self.line + self.text[..offset].bytes().filter(|&b| b == b'\n').count()
    }

    fn first_content_line(&self) -> usize {
        let is_content =
            |line: &str| !matches!(line.trim(), "" | "---") && !line.trim().starts_with(['#', '%']);
        self.line + self.text.lines().position(is_content).unwrap_or(0)
    }
}

fn dot(path: &str) -> &'static str {
    if path.is_empty() { "" } else { "." }
}

/// The items of a list object and the kind that they inherit (`None` for the untyped `List`).
fn list_items(value: &Value) -> Option<(Option<&str>, &Vec<Value>)> {
    let kind = value.get("kind")?.as_str()?.strip_suffix("List")?;
    let items = value.get("items")?.as_array()?;
    Some(((!kind.is_empty()).then_some(kind), items))
}
