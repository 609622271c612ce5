//! What routes change of headers, compiled.
//!
//! A request's levels (weighted cluster, route, virtual host, table, in this order) are brought together when a table is
//! compiled; a request whose route changes nothing does nothing. Values with operators are filled in before the header is
//! added, so that each sees what the one before it did.

use crate::telemetry::substitution::{InvalidFormat, Template};
use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_model::route::{AppendAction, HeaderAdd, HeaderMutations};
use std::sync::Arc;

/// Fills a template in, given the headers that are being changed.
pub(crate) trait Fill: Fn(&Template, &HeaderMap) -> Vec<u8> {}

impl<F: Fn(&Template, &HeaderMap) -> Vec<u8>> Fill for F {}

/// The changes of all levels that concern one route, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mutations(Option<Arc<Level>>);

#[derive(Debug)]
struct Level {
    request: Changes,
    response: Changes,
    // What comes after it.
    outer: Mutations,
}

/// Of one direction.
#[derive(Debug)]
struct Changes {
    remove: Box<[HeaderName]>,
    add: Box<[Add]>,
}

#[derive(Debug)]
struct Add {
    name: HeaderName,
    value: Text,
    action: AppendAction,
    keep_empty: bool,
}

#[derive(Debug)]
enum Text {
    Literal(HeaderValue),
    Template(Template),
}

impl Mutations {
    /// Those of `model`, then `outer`.
    ///
    /// # Errors
    /// If a value has an operator that is not understood.
    pub(crate) fn within(model: &HeaderMutations, outer: &Self) -> Result<Self, InvalidFormat> {
        if model.is_empty() {
            return Ok(outer.clone());
        }
        Ok(Self(Some(Arc::new(Level {
            request: Changes::new(&model.request_remove, &model.request_add)?,
            response: Changes::new(&model.response_remove, &model.response_add)?,
            outer: outer.clone(),
        }))))
    }

    /// Changes the headers of a request; `fill` fills a template in, given the headers as they are by then.
    pub(crate) fn request(&self, headers: &mut HeaderMap, fill: impl Fill) {
        for level in self.levels() {
            level.request.apply(headers, &fill);
        }
    }

    /// Changes the headers of a response.
    pub(crate) fn response(&self, headers: &mut HeaderMap, fill: impl Fill) {
        for level in self.levels() {
            level.response.apply(headers, &fill);
        }
    }

    fn levels(&self) -> impl Iterator<Item = &Level> {
        std::iter::successors(self.0.as_deref(), |level| level.outer.0.as_deref())
    }
}

impl Changes {
    fn new(remove: &[String], add: &[HeaderAdd]) -> Result<Self, InvalidFormat> {
        let names = remove.iter().filter_map(|name| name.parse().ok());
        let add = add.iter().filter_map(|add| Add::new(add).transpose());
        Ok(Self {
            remove: names.collect(),
            add: add.collect::<Result<_, _>>()?,
        })
    }

    fn apply(&self, headers: &mut HeaderMap, fill: &impl Fill) {
        for name in &self.remove {
            headers.remove(name);
        }
        for add in &self.add {
            add.apply(headers, fill);
        }
    }
}

impl Add {
    // Names and literal values were checked when they were decoded; one that is none after all is not added.
    fn new(model: &HeaderAdd) -> Result<Option<Self>, InvalidFormat> {
        let template = Template::compile(&model.format)?;
        let value = match template.literal().map(HeaderValue::from_bytes) {
            None => Some(Text::Template(template)),
            Some(value) => value.ok().map(Text::Literal),
        };
        let name = model.name.parse().ok();
        Ok(name.zip(value).map(|(name, value)| Self {
            name,
            value,
            action: model.action,
            keep_empty: model.keep_empty,
        }))
    }

    // An empty value is not added unless that is asked for; nor what cannot stand in a header.
    fn value(&self, headers: &HeaderMap, fill: &impl Fill) -> Option<HeaderValue> {
        let value = match &self.value {
            Text::Literal(value) => value.clone(),
            Text::Template(template) => HeaderValue::from_bytes(&fill(template, headers)).ok()?,
        };
        (self.keep_empty || !value.is_empty()).then_some(value)
    }

    fn apply(&self, headers: &mut HeaderMap, fill: &impl Fill) {
        let Some(value) = self.value(headers, fill) else {
            return;
        };
        let name = &self.name;
        let exists = headers.contains_key(name);
        match self.action {
            AppendAction::AppendIfExistsOrAdd => {
                headers.append(name, value);
            }
            AppendAction::AddIfAbsent if exists => {}
            AppendAction::OverwriteIfExists if !exists => {}
            AppendAction::AddIfAbsent
            | AppendAction::OverwriteIfExists
            | AppendAction::OverwriteIfExistsOrAdd => {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(name: &str, value: &str, action: AppendAction) -> HeaderAdd {
        HeaderAdd {
            name: name.into(),
            format: value.into(),
            action,
            keep_empty: false,
        }
    }

    fn applied(mutations: &Mutations, before: &[(&'static str, &'static str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in before {
            headers.append(*name, HeaderValue::from_static(value));
        }
        mutations.request(&mut headers, |_: &Template, headers: &HeaderMap| {
            headers.len().to_string().into()
        });
        let line =
            |(n, v): (&HeaderName, &HeaderValue)| format!("{n}={}", v.to_str().expect("text"));
        headers.iter().map(line).collect::<Vec<_>>().join(" ")
    }

    fn within(model: &HeaderMutations, outer: &Mutations) -> Mutations {
        Mutations::within(model, outer).expect("good formats")
    }

    #[test]
    fn operators_are_filled_in_one_after_the_other() {
        let action = AppendAction::AppendIfExistsOrAdd;
        let model = HeaderMutations {
            request_add: vec![add("n", "%REQ(a)%", action), add("m", "%REQ(a)%", action)],
            ..Default::default()
        };
        let mutations = within(&model, &Mutations::default());
        assert_eq!(applied(&mutations, &[("a", "1")]), "a=1 n=1 m=2");
        let bad = HeaderMutations {
            response_add: vec![add("n", "%NOT_KNOWN%", action)],
            ..Default::default()
        };
        assert!(Mutations::within(&bad, &Mutations::default()).is_err());
    }

    #[test]
    fn values_that_are_there_become_what_the_action_says() {
        use AppendAction::*;
        for (action, on_existing, on_missing) in [
            (AppendIfExistsOrAdd, "a=1 a=2", "a=2"),
            (AddIfAbsent, "a=1", "a=2"),
            (OverwriteIfExistsOrAdd, "a=2", "a=2"),
            (OverwriteIfExists, "a=2", ""),
        ] {
            let model = HeaderMutations {
                request_add: vec![add("a", "2", action)],
                ..Default::default()
            };
            let mutations = within(&model, &Mutations::default());
            assert_eq!(
                applied(&mutations, &[("a", "1")]),
                on_existing,
                "{action:?}"
            );
            assert_eq!(applied(&mutations, &[]), on_missing, "{action:?}");
        }
    }

    #[test]
    fn levels_follow_each_other_and_removals_go_first() {
        let level = |remove: &[&str], value: &str| HeaderMutations {
            request_remove: remove.iter().map(|n| (*n).to_owned()).collect(),
            request_add: vec![
                add("a", value, AppendAction::AppendIfExistsOrAdd),
                add("empty", "", AppendAction::AppendIfExistsOrAdd),
            ],
            ..Default::default()
        };
        let table = within(&level(&["b"], "table"), &Mutations::default());
        let host = within(&HeaderMutations::default(), &table);
        let route = within(&level(&["a"], "route"), &host);
        assert_eq!(
            applied(&route, &[("a", "1"), ("b", "2")]),
            "a=route a=table"
        );
        assert_eq!(applied(&Mutations::default(), &[("a", "1")]), "a=1");
    }
}
