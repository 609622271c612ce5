//! Where in a message one stands, and how one goes on from there.

use super::{Findings, Ignored, ignored, leftover};
use prost::{Message, Name};
use std::{cell::RefCell, fmt};

/// A place in a message under decoding.
pub(crate) struct At<'a> {
    findings: &'a RefCell<Findings>,
    parent: Option<&'a At<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> At<'a> {
    /// The message itself.
    pub(super) fn root(findings: &'a RefCell<Findings>) -> Self {
        Self {
            findings,
            parent: None,
            step: Step::Root,
        }
    }

    fn step<'b>(&'b self, step: Step<'b>) -> At<'b> {
        At {
            findings: self.findings,
            parent: Some(self),
            step,
        }
    }

    /// A field of this message.
    pub(crate) fn field<'b>(&'b self, name: &'b str) -> At<'b> {
        self.step(Step::Field(name))
    }

    /// An element of this list.
    pub(crate) fn index(&self, index: usize) -> At<'_> {
        self.step(Step::Index(index))
    }

    /// An entry of this map.
    pub(crate) fn key<'b>(&'b self, key: &'b str) -> At<'b> {
        self.step(Step::Key(key))
    }

    /// Reports an error at this place. Always `None`, so that it can be returned.
    pub(crate) fn refuse<T>(&self, what: impl Into<String>) -> Option<T> {
        self.findings
            .borrow_mut()
            .error(self.to_string(), what.into());
        None
    }

    /// Lists this place as without effect.
    pub(crate) fn ignore(&self, why: &'static str) {
        let path = self.to_string();
        self.findings
            .borrow_mut()
            .ignored
            .push(Ignored { path, why });
    }

    /// Decodes the field `name` if it is set.
    pub(crate) fn optional<W, T>(
        &self,
        name: &str,
        wire: Option<W>,
        decode: impl FnOnce(W, &At<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        match wire {
            None => Some(None),
            Some(wire) => decode(wire, &self.field(name)).map(Some),
        }
    }

    /// Decodes the field `name`, which must be set.
    pub(crate) fn required<W, T>(
        &self,
        name: &str,
        wire: Option<W>,
        decode: impl FnOnce(W, &At<'_>) -> Option<T>,
    ) -> Option<T> {
        match wire {
            None => self.field(name).refuse("must be set"),
            Some(wire) => decode(wire, &self.field(name)),
        }
    }

    /// Decodes each element of the list `name`; `None` if one of them is refused.
    pub(crate) fn list<W, T>(
        &self,
        name: &str,
        wire: impl IntoIterator<Item = W>,
        decode: impl Fn(W, &At<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let list = self.field(name);
        let mut all = Some(Vec::new());
        for (i, element) in wire.into_iter().enumerate() {
            match (decode(element, &list.index(i)), &mut all) {
                (Some(value), Some(values)) => values.push(value),
                (None, _) => all = None,
                (Some(_), None) => {}
            }
        }
        all
    }

    /// The text of the field `name`, which must not be empty.
    pub(crate) fn text(&self, name: &str, text: String) -> Option<String> {
        match text.is_empty() {
            true => self.field(name).refuse("must be set"),
            false => Some(text),
        }
    }

    /// Text that goes into an HTTP header, or is compared with one: without control characters, as Envoy has it.
    pub(crate) fn header_value(&self, text: String) -> Option<String> {
        match text.contains(['\0', '\n', '\r']) {
            true => self.refuse(format!("{text:?} cannot stand in a header")),
            false => Some(text),
        }
    }

    /// Closes a message of which all known fields were taken: what else is set is listed as ignored where the table
    /// says so, and refused otherwise.
    pub(crate) fn finish<M>(&self, rest: M)
    where
        M: Message + Name + Default + PartialEq + fmt::Debug,
    {
        if rest == M::default() {
            return;
        }
        let message = M::full_name();
        for field in leftover::fields(&rest) {
            self.left(&message, &field);
        }
    }

    /// Settles the field `name` of `message`, which nobody took.
    pub(crate) fn left(&self, message: &str, name: &str) {
        self.field(name).left_as(message, name);
    }

    /// Settles this place, which nobody took, as the field `name` of `message`.
    pub(crate) fn left_as(&self, message: &str, name: &str) {
        match ignored::why(message, name) {
            Some(why) => self.ignore(why),
            None => {
                self.refuse::<()>("is set, and this proxy does not execute it");
            }
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) => {
                let inner = !matches!(
                    self.parent,
                    Some(At {
                        step: Step::Root,
                        ..
                    })
                );
                write!(f, "{}{name}", if inner { "." } else { "" })
            }
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => write!(f, "[{key:?}]"),
        }
    }
}
