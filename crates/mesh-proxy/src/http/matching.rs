//! Matchers of a request's head, with their names made ready.
//!
//! What a matcher means it says itself; here its value is found. Pseudo headers are those of the canonical request, so
//! that no matcher sees another host or path than the router.

use super::{header::FORWARDED_PROTO, route::without_port};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{self, AsHeaderName},
    uri::PathAndQuery,
};
use mesh_model::matcher::HeaderMatch;
use std::borrow::Cow;

/// A request's head, as matchers see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestHead<'a> {
    /// Host as it was sent, with its port.
    pub(crate) host: &'a str,
    /// Canonical path, with its query.
    pub(crate) path: &'a PathAndQuery,
    /// Method.
    pub(crate) method: &'a Method,
    /// Headers.
    pub(crate) headers: &'a HeaderMap,
    /// What the request drew: all shares of requests are judged by this one number.
    pub(crate) random: u64,
}

/// Which of several values of a header have to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readings {
    /// One is enough, and so is another name of the host: a match must not be missed.
    Any,
    /// All of them, as they came: a match must not be found where there is none.
    All,
}

/// A matcher of one header. Several values count as one, joined by commas.
#[derive(Debug)]
pub(crate) struct HeaderMatcher {
    name: Name,
    matches: HeaderMatch,
}

#[derive(Debug)]
enum Name {
    Authority,
    Method,
    Path,
    Scheme,
    Field(HeaderName),
    // No request has it.
    Impossible,
}

impl HeaderMatcher {
    pub(crate) fn new(model: &HeaderMatch) -> Self {
        Self {
            name: match model.name.as_str() {
                ":authority" => Name::Authority,
                ":method" => Name::Method,
                ":path" => Name::Path,
                ":scheme" => Name::Scheme,
                other => HeaderName::try_from(other).map_or(Name::Impossible, Name::Field),
            },
            matches: model.clone(),
        }
    }

    pub(crate) fn matches(&self, head: &RequestHead<'_>) -> bool {
        self.matches.matches(self.value(head).as_deref())
    }

    /// All its values, one by one.
    pub(crate) fn values<'a>(&self, head: &RequestHead<'a>) -> Vec<Cow<'a, [u8]>> {
        match &self.name {
            Name::Field(name) => {
                let values = head.headers.get_all(name).iter();
                values.map(|value| value.as_bytes().into()).collect()
            }
            _ => self.value(head).into_iter().collect(),
        }
    }

    /// As [`matches`](Self::matches), but each value is judged by itself.
    pub(crate) fn matches_each(&self, head: &RequestHead<'_>, readings: Readings) -> bool {
        match &self.name {
            Name::Authority => match readings {
                Readings::Any => hosts(head.host).any(|host| self.is(host.as_bytes())),
                Readings::All => self.is(head.host.as_bytes()),
            },
            Name::Field(name) => self.field_matches(head.headers, name, readings),
            Name::Scheme => self.field_matches(head.headers, &FORWARDED_PROTO, readings),
            Name::Method | Name::Path | Name::Impossible => self.matches(head),
        }
    }

    /// Whether it matches where there are no headers at all.
    pub(crate) fn matches_nothing(&self) -> bool {
        self.matches.matches(None)
    }

    fn field_matches(&self, headers: &HeaderMap, name: &HeaderName, readings: Readings) -> bool {
        let values = headers.get_all(name);
        let mut each = values.iter().map(|value| self.is(value.as_bytes()));
        let mut count = values.iter();
        let (first, second) = (count.next(), count.next());
        match (first, second) {
            (None, _) => self.matches_nothing(),
            // One cookie may come in crumbs (RFC 9113 §8.2.3); what it says is said by all of them together.
            (_, Some(_)) if *name == header::COOKIE => {
                let all: Vec<_> = values.iter().map(HeaderValue::as_bytes).collect();
                let whole = self.is(&all.join(&b"; "[..]));
                whole || readings == Readings::Any && each.any(|matches| matches)
            }
            _ => match readings {
                Readings::Any => each.any(|matches| matches),
                Readings::All => each.all(|matches| matches),
            },
        }
    }

    fn is(&self, value: &[u8]) -> bool {
        self.matches.matches(Some(value))
    }

    fn value<'a>(&self, head: &RequestHead<'a>) -> Option<Cow<'a, [u8]>> {
        match &self.name {
            Name::Authority => Some(head.host.as_bytes().into()),
            Name::Method => Some(head.method.as_str().as_bytes().into()),
            Name::Path => Some(head.path.as_str().as_bytes().into()),
            Name::Scheme => joined(head.headers, FORWARDED_PROTO),
            Name::Field(name) => joined(head.headers, name),
            Name::Impossible => None,
        }
    }
}

/// The names that stand for the same host: as it was sent, without its root dot, without its port, and without both.
fn hosts(host: &str) -> impl Iterator<Item = &str> {
    let bare = without_port(host);
    let all = [host, bare].into_iter();
    all.flat_map(|name| [name, name.strip_suffix('.').unwrap_or(name)])
}

/// Whether the headers of a response match.
pub(crate) fn fields_match(headers: &HeaderMap, matcher: &HeaderMatch) -> bool {
    matcher.matches(joined(headers, matcher.name.as_str()).as_deref())
}

fn joined(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Cow<'_, [u8]>> {
    let mut values = headers.get_all(name).iter().map(|v| v.as_bytes());
    let first = values.next()?;
    let Some(second) = values.next() else {
        return Some(first.into());
    };
    let all: Vec<_> = [first, second].into_iter().chain(values).collect();
    Some(all.join(&b',').into())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use http::{Request, request::Parts};
    use mesh_model::matcher::{HeaderValueMatch, StringMatch};

    /// The head of a GET request to that URI.
    pub(crate) fn parts(uri: &str) -> Parts {
        Request::get(uri)
            .body(())
            .expect("a request")
            .into_parts()
            .0
    }

    /// As matchers see it.
    pub(crate) fn head(parts: &Parts) -> RequestHead<'_> {
        RequestHead {
            host: parts.uri.authority().map_or("", |a| a.as_str()),
            path: parts.uri.path_and_query().expect("a path"),
            method: &parts.method,
            headers: &parts.headers,
            random: 0,
        }
    }

    #[test]
    fn headers_are_found_wherever_they_stand() {
        let mut parts = parts("http://a.test:80/x?y");
        for (name, value) in [("x-a", "1"), ("x-a", "2"), ("x-b", "3")] {
            parts.headers.append(name, value.parse().expect("a value"));
        }
        parts
            .headers
            .insert(FORWARDED_PROTO, "https".parse().expect("a value"));
        for (name, value) in [
            (":authority", Some("a.test:80")),
            (":method", Some("GET")),
            (":path", Some("/x?y")),
            (":scheme", Some("https")),
            ("x-a", Some("1,2")),
            ("x-b", Some("3")),
            ("x-c", None),
            ("no name", None),
        ] {
            let wanted = StringMatch::Exact(value.unwrap_or_default().into()).into();
            let model = HeaderMatch::new(name, HeaderValueMatch::String(wanted));
            let matched = HeaderMatcher::new(&model).matches(&head(&parts));
            assert_eq!(matched, value.is_some(), "{name}");
        }
    }
}
