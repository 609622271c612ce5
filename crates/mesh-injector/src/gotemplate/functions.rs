//! The functions of templates: one table, by name.
//!
//! Names and order of arguments are those of Go's templates, of the sprig library, and of Istio's injection, which wins where
//! names meet (`indent`, `contains`). Functions see their arguments only: those of sprig that ask for time, chance, network
//! or files are not here.

mod data; // JSON, YAML, base64
mod dict; // maps
mod list; // lists
mod logic; // conditions, comparison, defaults
mod mesh; // Istio's own
mod number; // arithmetic
mod text; // texts

use super::shape::Shape;
use super::value::{Entries, List, Map, Value};
use super::{Budget, print};

/// A function.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    least: usize,
    most: usize,
    /// How it differs from other functions for who calls it.
    pub(super) special: Option<Special>,
    pub(super) run: Run,
}

pub(super) type Run = fn(&mut Budget, &[Value]) -> Answer;
type Answer = Result<Value, String>;

/// See [`Function::special`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Special {
    /// The first argument that is so, true or false, is the value, and those behind it are not looked at.
    Decides(bool),
    /// Changes its first argument.
    Changes,
    /// Runs a text as a template.
    Renders,
}

const MANY: usize = usize::MAX;

const fn function(name: &'static str, least: usize, most: usize, run: Run) -> Function {
    Function {
        name,
        least,
        most,
        special: None,
        run,
    }
}

const fn special(
    name: &'static str,
    least: usize,
    most: usize,
    special: Special,
    run: Run,
) -> Function {
    Function {
        name,
        least,
        most,
        special: Some(special),
        run,
    }
}

/// All of them.
static TABLES: [&[Function]; 7] = [
    mesh::FUNCTIONS,
    logic::FUNCTIONS,
    text::FUNCTIONS,
    list::FUNCTIONS,
    dict::FUNCTIONS,
    number::FUNCTIONS,
    data::FUNCTIONS,
];

/// The function of this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    TABLES
        .iter()
        .copied()
        .flatten()
        .find(|function| function.name == name)
}

impl Function {
    /// Whether it takes so many arguments.
    pub(super) fn check_count(&self, count: usize) -> Result<(), String> {
        if (self.least..=self.most).contains(&count) {
            return Ok(());
        }
        let wanted = match (self.least, self.most) {
            (least, MANY) => format!("at least {least}"),
            (least, most) if least == most => format!("{least}"),
            (least, most) => format!("{least} to {most}"),
        };
        Err(format!(
            "{}: wants {wanted} arguments, not {count}",
            self.name
        ))
    }
}

/// An argument as text.
fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(format!("wants a string, not {}", name(other))),
    }
}

/// An argument as a whole number; texts and fractions are converted, as sprig does.
fn int(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(number) => Ok(*number),
        // The conversion saturates, which is well beyond any use.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a fraction is cut, as in Go"
        )]
        Value::Float(number) => Ok(*number as i64),
        Value::Bool(value) => Ok(i64::from(*value)),
        Value::Text(text) => Ok(text.trim().parse().unwrap_or(0)),
        other => Err(format!("wants a number, not {}", name(other))),
    }
}

fn list(value: &Value) -> Result<&List, String> {
    match value {
        Value::List(list) => Ok(list),
        other => Err(format!("wants a list, not {}", name(other))),
    }
}

/// The items of a list; nothing is an empty one.
fn items(value: &Value) -> Result<&[Value], String> {
    match value {
        Value::Nil => Ok(&[]),
        other => Ok(list(other)?.items()),
    }
}

fn map(value: &Value) -> Result<&Map, String> {
    match value {
        Value::Map(map) => Ok(map),
        other => Err(format!("wants a map, not {}", name(other))),
    }
}

/// The entries of a map; nothing is an empty one.
fn entries(value: &Value) -> Result<Entries, String> {
    match value {
        Value::Nil => Ok(Entries::new()),
        other => Ok(map(other)?.entries().clone()),
    }
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nothing",
        other => other.type_name(),
    }
}

/// A value as a text, as `%v` prints it.
fn shown(value: &Value, budget: &mut Budget) -> Result<String, String> {
    print::text(value, budget)
}

/// A new text.
fn made(text: String, budget: &mut Budget) -> Answer {
    budget.make(text.len())?;
    Ok(text.into())
}

/// A new list.
fn made_list(items: Vec<Value>, budget: &mut Budget) -> Answer {
    budget.make(items.len() * size_of::<Value>())?;
    Value::list(items)
}

/// A new map; of texts if `shape` says so.
fn made_map(shape: Shape, entries: Entries, budget: &mut Budget) -> Answer {
    budget.make(entries.len() * 64)?;
    Value::map(shape, entries)
}

/// An index or a count.
fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn a_name_stands_for_one_function() {
        let all: Vec<&str> = super::TABLES
            .iter()
            .copied()
            .flatten()
            .map(|function| function.name)
            .collect();
        let names: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(all.len(), names.len());
        assert!(all.len() > 100);
    }
}
