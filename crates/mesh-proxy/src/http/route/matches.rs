//! Which requests a route takes, compiled.

use super::path::PathMatcher;
use crate::http::matching::{HeaderMatcher, RequestHead};
use mesh_model::{
    matcher::{Fraction, QueryMatch},
    route::RouteMatch,
};

/// A compiled [`RouteMatch`]. Most look at the path alone.
#[derive(Debug)]
pub(crate) struct Matches {
    path: PathMatcher,
    more: Option<Box<More>>,
}

#[derive(Debug)]
struct More {
    headers: Box<[HeaderMatcher]>,
    query: Box<[QueryMatch]>,
    fraction: Option<Fraction>,
}

impl Matches {
    pub(crate) fn new(model: &RouteMatch) -> Self {
        let RouteMatch {
            headers,
            query,
            fraction,
            ..
        } = model;
        let plain = headers.is_empty() && query.is_empty() && fraction.is_none();
        Self {
            path: PathMatcher::new(model),
            more: (!plain).then(|| {
                Box::new(More {
                    headers: headers.iter().map(HeaderMatcher::new).collect(),
                    query: query.clone().into(),
                    fraction: *fraction,
                })
            }),
        }
    }

    /// Whether it takes a request with this head.
    pub(crate) fn matches(&self, head: &RequestHead<'_>) -> bool {
        let more = self.more.as_ref();
        self.path.matches(head.path.path()) && more.is_none_or(|more| more.matches(head))
    }
}

impl More {
    fn matches(&self, head: &RequestHead<'_>) -> bool {
        self.headers.iter().all(|header| header.matches(head))
            && self.query.iter().all(|q| q.matches(head.path.query()))
            && self.fraction.is_none_or(|f| f.contains(head.random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::matching::tests::{head, parts};
    use mesh_model::{
        matcher::{FractionOf, HeaderMatch},
        route::PathMatch,
    };

    fn with(change: impl FnOnce(&mut RouteMatch)) -> Matches {
        let mut model = RouteMatch::new(PathMatch::Prefix("/x".into()));
        change(&mut model);
        Matches::new(&model)
    }

    #[test]
    fn all_of_it_must_match() {
        let mut parts = parts("http://a/x?q");
        parts.headers.append("x-a", "1".parse().expect("a value"));
        let query = |name: &str| QueryMatch {
            name: name.into(),
            value: None,
        };
        for (matches, want) in [
            (with(|_| {}), true),
            (
                with(|m| m.headers = vec![HeaderMatch::present("x-a")]),
                true,
            ),
            (
                with(|m| m.headers = vec![HeaderMatch::present("x-b")]),
                false,
            ),
            (with(|m| m.query = vec![query("q")]), true),
            (with(|m| m.query = vec![query("q"), query("r")]), false),
            (with(|m| m.path = PathMatch::Exact("/".into())), false),
        ] {
            assert_eq!(matches.matches(&head(&parts)), want, "{matches:?}");
        }
    }

    #[test]
    fn a_share_is_taken_by_what_the_request_drew() {
        let parts = parts("http://a/x");
        let some = with(|m| {
            m.fraction = Some(Fraction {
                numerator: 30,
                per: FractionOf::Hundred,
            });
        });
        let taken = |random| {
            some.matches(&RequestHead {
                random,
                ..head(&parts)
            })
        };
        assert_eq!((0..100).filter(|random| taken(*random)).count(), 30);
    }
}
