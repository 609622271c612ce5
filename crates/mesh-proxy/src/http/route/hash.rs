//! What keeps the requests of a route together, where their cluster hashes.
//!
//! The numbers are Envoy's: what an Envoy hashes to one endpoint, we do too.

use crate::{
    connection::Connection,
    http::matching::{HeaderMatcher, RequestHead},
    upstream::hash::xx,
};
use http::{HeaderMap, HeaderValue, header};
use mesh_model::{
    matcher::HeaderMatch,
    route::{self, HashBy},
};
use std::{fmt::Write, time::Duration};

/// The policies of one route.
#[derive(Debug, Default)]
pub(crate) struct HashPolicies(Box<[Policy]>);

#[derive(Debug)]
struct Policy {
    by: By,
    terminal: bool,
}

#[derive(Debug)]
enum By {
    Header(HeaderMatcher),
    Cookie(Cookie),
    SourceIp,
    QueryParameter(String),
}

#[derive(Debug)]
struct Cookie {
    name: String,
    // What follows the value of one that is given; `None`: none is given.
    tail: Option<String>,
}

impl HashPolicies {
    pub(super) fn compile(model: &[route::HashPolicy]) -> Self {
        Self(model.iter().map(Policy::compile).collect())
    }

    /// The hash of a request, if it has any of what is hashed. A cookie that its client is to be given is appended to
    /// `cookies`.
    pub(crate) fn hash(
        &self,
        head: &RequestHead<'_>,
        connection: &Connection,
        cookies: &mut Vec<HeaderValue>,
    ) -> Option<u64> {
        let mut hash: Option<u64> = None;
        for policy in &self.0 {
            if let Some(new) = policy.by.hash(head, connection, cookies) {
                // Turned, so that two equal policies do not cancel each other out.
                hash = Some(hash.map_or(0, |old| old.rotate_left(1)) ^ new);
            }
            if policy.terminal && hash.is_some() {
                break;
            }
        }
        hash
    }
}

impl Policy {
    fn compile(model: &route::HashPolicy) -> Self {
        Self {
            by: match &model.by {
                HashBy::Header(name) => {
                    By::Header(HeaderMatcher::new(&HeaderMatch::present(name.as_str())))
                }
                HashBy::Cookie(cookie) => By::Cookie(Cookie::compile(cookie)),
                HashBy::SourceIp => By::SourceIp,
                HashBy::QueryParameter(name) => By::QueryParameter(name.clone()),
            },
            terminal: model.terminal,
        }
    }
}

impl By {
    fn hash(
        &self,
        head: &RequestHead<'_>,
        connection: &Connection,
        cookies: &mut Vec<HeaderValue>,
    ) -> Option<u64> {
        match self {
            Self::Header(header) => {
                let mut values = header.values(head);
                // In the order of their bytes: what a proxy on the way has turned around is the same.
                values.sort_unstable();
                (!values.is_empty()).then(|| values.iter().fold(0, |hash, value| xx(value, hash)))
            }
            Self::Cookie(cookie) => match value_of(head.headers, &cookie.name) {
                Some(value) => Some(xx(value, 0)),
                None => cookie.give(connection, cookies),
            },
            Self::SourceIp => Some(xx(connection.peer.ip().to_string().as_bytes(), 0)),
            Self::QueryParameter(name) => {
                let pairs = head.path.query()?.split('&');
                let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
                let (_, value) = pairs.find(|(key, _)| key == name)?;
                Some(xx(value.as_bytes(), 0))
            }
        }
    }
}

impl Cookie {
    fn compile(model: &route::HashCookie) -> Self {
        let tail = model.ttl.map(|ttl| {
            let mut tail = String::new();
            if ttl > Duration::ZERO {
                let _ = write!(tail, "; Max-Age={}", ttl.as_secs());
            }
            if !model.path.is_empty() {
                let _ = write!(tail, "; Path={}", model.path);
            }
            for (name, value) in &model.attributes {
                let equals = if value.is_empty() { "" } else { "=" };
                let _ = write!(tail, "; {name}{equals}{value}");
            }
            tail + "; HttpOnly"
        });
        Self {
            name: model.name.clone(),
            tail,
        }
    }

    // The same for all requests of a connection: those that come before the first answer stay together.
    fn give(&self, connection: &Connection, cookies: &mut Vec<HeaderValue>) -> Option<u64> {
        let tail = self.tail.as_ref()?;
        let ends = format!("{}{}", connection.peer, connection.destination);
        let value = format!("{:016x}", xx(ends.as_bytes(), 0));
        let header = format!("{}=\"{value}\"{tail}", self.name);
        cookies.extend(HeaderValue::from_str(&header));
        Some(xx(value.as_bytes(), 0))
    }
}

// The value of the first cookie of that name, without quotes; an empty one is none.
fn value_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let crumbs = headers.get_all(header::COOKIE).into_iter();
    let crumbs = crumbs.flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    let pairs = crumbs.filter_map(|crumb| {
        let at = crumb.iter().position(|byte| *byte == b'=')?;
        Some((crumb[..at].trim_ascii(), crumb[at + 1..].trim_ascii()))
    });
    let value = pairs
        .filter(|(key, _)| *key == name.as_bytes())
        .map(|(_, value)| value)
        .next()?;
    let value = match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    };
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{
        downstream::tests::connection,
        matching::tests::{head, parts},
    };
    use mesh_model::{
        name::Direction,
        route::{HashCookie, HashPolicy},
    };

    fn policy(by: HashBy) -> HashPolicy {
        HashPolicy {
            by,
            terminal: false,
        }
    }

    fn header(name: &str) -> HashPolicy {
        policy(HashBy::Header(name.into()))
    }

    fn cookie(ttl: Option<u64>) -> HashPolicy {
        policy(HashBy::Cookie(HashCookie {
            name: "user".into(),
            ttl: ttl.map(Duration::from_secs),
            path: "/a".into(),
            attributes: vec![
                ("SameSite".into(), "Lax".into()),
                ("Secure".into(), String::new()),
            ],
        }))
    }

    /// The hash of a request with these headers, and the cookies that are given.
    fn hash(
        policies: &[HashPolicy],
        uri: &str,
        headers: &[(&str, &str)],
    ) -> (Option<u64>, Vec<String>) {
        let mut parts = parts(uri);
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().expect("a name");
            parts.headers.append(name, value.parse().expect("a value"));
        }
        let mut cookies = vec![];
        let connection = connection(Direction::Outbound);
        let hash = HashPolicies::compile(policies).hash(&head(&parts), &connection, &mut cookies);
        let text = |c: &HeaderValue| c.to_str().expect("text").to_owned();
        (hash, cookies.iter().map(text).collect())
    }

    #[test]
    fn each_thing_is_hashed_as_envoy_does() {
        let one = |policy, uri, headers: &[_]| hash(&[policy], uri, headers).0;
        let of = |text: &str| Some(xx(text.as_bytes(), 0));
        let uri = "http://a.test/p?a=1&b=2&a=3&c";
        assert_eq!(one(header("x-user"), uri, &[("x-user", "jo")]), of("jo"));
        assert_eq!(one(header("x-user"), uri, &[]), None);
        let two = [("x-user", "jo"), ("x-user", "al")];
        let chained = Some(xx(b"jo", xx(b"al", 0)));
        assert_eq!(one(header("x-user"), uri, &two), chained);
        assert_eq!(one(header(":path"), uri, &[]), of("/p?a=1&b=2&a=3&c"));
        let query = |name: &str| policy(HashBy::QueryParameter(name.into()));
        assert_eq!(one(query("a"), uri, &[]), of("1"));
        assert_eq!(one(query("c"), uri, &[]), of(""));
        assert_eq!(one(query("d"), uri, &[]), None);
        let ip = connection(Direction::Outbound).peer.ip().to_string();
        assert_eq!(one(policy(HashBy::SourceIp), uri, &[]), of(&ip));
        let crumbs = [("cookie", "x=1; user=\"jo\""), ("cookie", "user=al")];
        assert_eq!(one(cookie(None), uri, &crumbs), of("jo"));
        assert_eq!(one(cookie(None), uri, &[("cookie", "user=")]), None);
    }

    #[test]
    fn who_has_no_cookie_is_given_one() {
        let (first, given) = hash(&[cookie(Some(60))], "http://a/", &[]);
        let [given] = &given[..] else {
            panic!("{given:?}")
        };
        let (pair, rest) = given.split_once("; ").expect("attributes");
        assert_eq!(rest, "Max-Age=60; Path=/a; SameSite=Lax; Secure; HttpOnly");
        let (second, again) = hash(&[cookie(Some(60))], "http://a/", &[("cookie", pair)]);
        assert_eq!((second, again), (first, vec![]), "it comes back");
        let (_, session) = hash(&[cookie(Some(0))], "http://a/", &[]);
        assert!(!session[0].contains("Max-Age"), "{session:?}");
        assert_eq!(hash(&[cookie(None)], "http://a/", &[]), (None, vec![]));
    }

    #[test]
    fn policies_add_up_until_one_is_final() {
        let headers = [("x-a", "1"), ("x-b", "1")];
        let of = |policies: &[HashPolicy]| hash(policies, "http://a/", &headers).0;
        let one = xx(b"1", 0);
        let both = of(&[header("x-a"), header("x-b")]);
        assert_eq!(both, Some(one.rotate_left(1) ^ one));
        let final_one = HashPolicy {
            terminal: true,
            ..header("x-a")
        };
        assert_eq!(of(&[final_one.clone(), header("x-b")]), Some(one));
        let missing = HashPolicy {
            terminal: true,
            ..header("x-c")
        };
        assert_eq!(of(&[missing, header("x-b")]), Some(one));
    }
}
