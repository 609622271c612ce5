//! What routes change of headers, compiled.
//!
//! A request's levels (weighted cluster, route, virtual host, table, in this order) are brought together when a table is
//! compiled; a request whose route changes nothing does nothing.

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_model::route::{AppendAction, HeaderAdd, HeaderMutations};
use std::sync::Arc;

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
    value: HeaderValue,
    action: AppendAction,
}

impl Mutations {
    /// Those of `model`, then `outer`.
    pub(crate) fn within(model: &HeaderMutations, outer: &Self) -> Self {
        if model.is_empty() {
            return outer.clone();
        }
        Self(Some(Arc::new(Level {
            request: Changes::new(&model.request_remove, &model.request_add),
            response: Changes::new(&model.response_remove, &model.response_add),
            outer: outer.clone(),
        })))
    }

    /// Changes the headers of a request.
    pub(crate) fn request(&self, headers: &mut HeaderMap) {
        for level in self.levels() {
            level.request.apply(headers);
        }
    }

    /// Changes the headers of a response.
    pub(crate) fn response(&self, headers: &mut HeaderMap) {
        for level in self.levels() {
            level.response.apply(headers);
        }
    }

    fn levels(&self) -> impl Iterator<Item = &Level> {
        std::iter::successors(self.0.as_deref(), |level| level.outer.0.as_deref())
    }
}

impl Changes {
    fn new(remove: &[String], add: &[HeaderAdd]) -> Self {
        let names = remove.iter().filter_map(|name| name.parse().ok());
        Self {
            remove: names.collect(),
            add: add.iter().filter_map(Add::new).collect(),
        }
    }

    fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for add in &self.add {
            add.apply(headers);
        }
    }
}

impl Add {
    // Names and values were checked when they were decoded. An empty value is not added unless that is asked for.
    fn new(model: &HeaderAdd) -> Option<Self> {
        if model.value.is_empty() && !model.keep_empty {
            return None;
        }
        Some(Self {
            name: model.name.parse().ok()?,
            value: model.value.parse().ok()?,
            action: model.action,
        })
    }

    fn apply(&self, headers: &mut HeaderMap) {
        let Self { name, value, .. } = self;
        let exists = headers.contains_key(name);
        match self.action {
            AppendAction::AppendIfExistsOrAdd => {
                headers.append(name, value.clone());
            }
            AppendAction::AddIfAbsent if exists => {}
            AppendAction::OverwriteIfExists if !exists => {}
            AppendAction::AddIfAbsent
            | AppendAction::OverwriteIfExists
            | AppendAction::OverwriteIfExistsOrAdd => {
                headers.insert(name, value.clone());
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
            value: value.into(),
            action,
            keep_empty: false,
        }
    }

    fn applied(mutations: &Mutations, before: &[(&'static str, &'static str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in before {
            headers.append(*name, HeaderValue::from_static(value));
        }
        mutations.request(&mut headers);
        let line =
            |(n, v): (&HeaderName, &HeaderValue)| format!("{n}={}", v.to_str().expect("text"));
        headers.iter().map(line).collect::<Vec<_>>().join(" ")
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
            let mutations = Mutations::within(&model, &Mutations::default());
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
        let table = Mutations::within(&level(&["b"], "table"), &Mutations::default());
        let host = Mutations::within(&HeaderMutations::default(), &table);
        let route = Mutations::within(&level(&["a"], "route"), &host);
        assert_eq!(
            applied(&route, &[("a", "1"), ("b", "2")]),
            "a=route a=table"
        );
        assert_eq!(applied(&Mutations::default(), &[("a", "1")]), "a=1");
    }
}
