//! Matchers of a request's head, with their names made ready.
//!
//! What a matcher means it says itself; here its value is found. Pseudo headers are those of the canonical request, so
//! that no matcher sees another host or path than the router.

use super::header::FORWARDED_PROTO;
use http::{HeaderMap, HeaderName, Method, uri::PathAndQuery};
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

    fn value<'a>(&self, head: &RequestHead<'a>) -> Option<Cow<'a, [u8]>> {
        match &self.name {
            Name::Authority => Some(head.host.as_bytes().into()),
            Name::Method => Some(head.method.as_str().as_bytes().into()),
            Name::Path => Some(head.path.as_str().as_bytes().into()),
            Name::Scheme => joined(head.headers, &FORWARDED_PROTO),
            Name::Field(name) => joined(head.headers, name),
            Name::Impossible => None,
        }
    }
}

fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
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
