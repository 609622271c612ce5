//! What templates compute with: values that never change, so that they can be shared.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

use super::{Budget, Shape};

/// Deepest nesting, so that no walk over a value can overflow the stack. JSON that was read is nested less.
const DEPTH: usize = 150;

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Go's `nil`, or nothing at all.
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    List(Rc<List>),
    Map(Rc<Map>),
}

/// Values in their order.
#[derive(Debug)]
pub(crate) struct List {
    items: Vec<Value>,
    depth: usize,
}

/// Values by name: a map of Go, or an object with its fields.
#[derive(Debug)]
pub(crate) struct Map {
    shape: Shape,
    entries: Entries,
    depth: usize,
}

pub(crate) type Entries = BTreeMap<Rc<str>, Value>;

impl List {
    pub(super) fn items(&self) -> &[Value] {
        &self.items
    }
}

impl Map {
    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// By their names in JSON.
    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

fn deeper<'a>(values: impl Iterator<Item = &'a Value>) -> Result<usize, String> {
    let depth = values.map(Value::depth).max().unwrap_or(0) + 1;
    match depth > DEPTH {
        true => Err(format!("a value is nested deeper than {DEPTH}")),
        false => Ok(depth),
    }
}

impl Value {
    /// A list.
    ///
    /// # Errors
    /// If it is nested too deep.
    pub(crate) fn list(items: Vec<Self>) -> Result<Self, String> {
        let depth = deeper(items.iter())?;
        Ok(Self::List(Rc::new(List { items, depth })))
    }

    /// A map.
    ///
    /// # Errors
    /// If it is nested too deep.
    pub(crate) fn map(shape: Shape, entries: Entries) -> Result<Self, String> {
        let depth = deeper(entries.values())?;
        Ok(Self::Map(Rc::new(Map {
            shape,
            entries,
            depth,
        })))
    }

    /// JSON as a value whose objects have `shape`; what is within them follows from it.
    ///
    /// # Errors
    /// If it is nested too deep.
    pub(crate) fn from_json(json: &Json, shape: Shape) -> Result<Self, String> {
        Ok(match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Float(number.as_f64().unwrap_or_default()),
            },
            Json::String(text) => Self::from(text.as_str()),
            Json::Array(items) => {
                let items = items.iter().map(|item| Self::from_json(item, shape));
                Self::list(items.collect::<Result<_, _>>()?)?
            }
            Json::Object(fields) => {
                let entry = |(name, field): (&String, &Json)| {
                    Ok((
                        Rc::from(name.as_str()),
                        Self::from_json(field, shape.within(name))?,
                    ))
                };
                Self::map(
                    shape,
                    fields.iter().map(entry).collect::<Result<_, String>>()?,
                )?
            }
        })
    }

    /// The value as JSON. Costs a step for each value in it, as one that is shared may stand there many times.
    pub(super) fn to_json(&self, budget: &mut Budget) -> Result<Json, String> {
        budget.make(self.len_bytes())?;
        Ok(match self {
            Self::Nil => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(number) => Json::from(*number),
            Self::Float(number) => Json::from(*number),
            Self::Text(text) => Json::from(&**text),
            Self::List(list) => {
                let items = list.items.iter().map(|item| item.to_json(budget));
                Json::Array(items.collect::<Result<_, _>>()?)
            }
            Self::Map(map) => {
                let fields = map
                    .entries
                    .iter()
                    .map(|(name, field)| Ok((name.to_string(), field.to_json(budget)?)));
                Json::Object(fields.collect::<Result<_, String>>()?)
            }
        })
    }

    /// What it takes to hold the value, without those in it.
    fn len_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len() + 16,
            Self::Map(map) => map.entries.keys().map(|name| name.len() + 16).sum(),
            _ => 16,
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::List(list) => list.depth,
            Self::Map(map) => map.depth,
            _ => 0,
        }
    }

    /// Whether a condition holds: Go's zero values do not, and nor do empty lists and maps. Objects do.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => map.shape.is_object() || !map.entries.is_empty(),
        }
    }

    /// Equality of all that is in it.
    pub(super) fn same(&self, other: &Self, budget: &mut Budget) -> Result<bool, String> {
        budget.step()?;
        Ok(match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Text(a), Self::Text(b)) => {
                budget.make(a.len().min(b.len()) / 16)?;
                a == b
            }
            (Self::List(a), Self::List(b)) if a.items.len() == b.items.len() => {
                all(a.items.iter().zip(&b.items), |(a, b)| a.same(b, budget))?
            }
            (Self::Map(a), Self::Map(b)) if a.entries.len() == b.entries.len() => {
                all(a.entries.iter().zip(&b.entries), |((n, a), (m, b))| {
                    Ok(n == m && a.same(b, budget)?)
                })?
            }
            _ => false,
        })
    }

    /// What Go calls such values.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "slice",
            Self::Map(map) if map.shape.is_object() => "struct",
            Self::Map(_) => "map",
        }
    }
}

fn all<T>(
    items: impl Iterator<Item = T>,
    mut holds: impl FnMut(T) -> Result<bool, String>,
) -> Result<bool, String> {
    for item in items {
        if !holds(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}
