//! What a request asks for, decided once: host, path, and what kind of request it is.
//!
//! Everything after (routes, filters, logs, the request upstream) reads this and nothing else, so that no two parts of
//! the proxy can take a request for two different ones.

use super::{
    local_reply::LocalReply,
    path::{Normalized, PathRules},
};
use http::{
    HeaderMap, HeaderValue, Method, Uri, Version, header, request::Parts, uri::PathAndQuery,
};
use std::borrow::Cow;

/// Most headers of a request. All `cookie` headers count as one: HTTP/2 clients may send a crumb each.
const MAX_HEADERS: usize = 200;

/// What a connection manager lets through.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// How paths are normalised.
    pub(super) path: PathRules,
    /// HTTP/1.0 is taken.
    pub(super) accept_http_10: bool,
    /// Upgrades that are let through, lower case.
    pub(super) upgrades: Vec<String>,
}

/// A request as all parts of the proxy see it.
#[derive(Clone, Debug)]
pub(super) struct Canonical {
    /// Host, with its port if the client named one, as it was sent.
    pub(super) authority: HeaderValue,
    /// Normalised, with the query.
    pub(super) path: PathAndQuery,
    /// The request is gRPC.
    pub(super) is_grpc: bool,
    /// Upgrade that is asked for and let through, as it was sent.
    pub(super) upgrade: Option<HeaderValue>,
    /// The client waits for `100 Continue`.
    pub(super) expects_continue: bool,
}

impl Canonical {
    /// Decides on `parts`. Its `host` header is taken off.
    ///
    /// # Errors
    /// If the request is not one that may be passed on.
    pub(super) fn decide(parts: &mut Parts, rules: &Rules) -> Result<Self, LocalReply> {
        if parts.version < Version::HTTP_11 && !rules.accept_http_10 {
            return Err(LocalReply::low_version());
        }
        if too_many(&parts.headers) {
            return Err(LocalReply::too_many_headers());
        }
        if super::header::has_unknown_coding(&parts.headers) {
            return Err(LocalReply::unknown_coding());
        }
        if parts.method == Method::CONNECT {
            return Err(LocalReply::upgrade_failed());
        }
        let authority = authority(parts)?;
        parts.headers.remove(header::HOST);
        Ok(Self {
            authority,
            path: path(parts.uri.path_and_query(), rules)?,
            is_grpc: is_grpc(&parts.headers),
            upgrade: upgrade(parts, rules),
            expects_continue: expects_continue(parts),
        })
    }

    /// The same request for another place; `None`: nothing that may be asked for.
    pub(super) fn elsewhere(&self, place: &Uri, rules: &Rules) -> Option<Self> {
        let authority = place.authority()?.as_str();
        Some(Self {
            authority: HeaderValue::from_str(authority)
                .ok()
                .filter(|host| Self::is_host(host.as_bytes()))?,
            path: path(place.path_and_query(), rules).ok()?,
            is_grpc: self.is_grpc,
            upgrade: None,
            // The body is there.
            expects_continue: false,
        })
    }

    /// Whether `bytes` may stand where a host is named.
    pub(super) fn is_host(bytes: &[u8]) -> bool {
        !bytes.is_empty() && bytes.iter().all(|b| is_host_byte(*b))
    }

    /// The host as it was sent.
    pub(super) fn host(&self) -> &str {
        self.authority.to_str().unwrap_or_default()
    }
}

fn too_many(headers: &HeaderMap) -> bool {
    let count = headers.len();
    if count <= MAX_HEADERS {
        return false;
    }
    let crumbs = headers.get_all(header::COOKIE).iter().count();
    count - crumbs.saturating_sub(1) > MAX_HEADERS
}

// The target decides if it names a host (RFC 9112 §3.2.2, RFC 9113 §8.3.1), else the one `host` header.
fn authority(parts: &Parts) -> Result<HeaderValue, LocalReply> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(LocalReply::bad_request("duplicate_host_header"));
    }
    let value = match parts.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str())
            .map_err(|_| LocalReply::bad_request("invalid_host_header"))?,
        None => host.cloned().ok_or_else(LocalReply::missing_host)?,
    };
    if value.is_empty() {
        return Err(LocalReply::missing_host());
    }
    if !value.as_bytes().iter().all(|b| is_host_byte(*b)) {
        return Err(LocalReply::bad_request("invalid_host_header"));
    }
    Ok(value)
}

// RFC 3986 §3.2.2 with a port, without user information.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(&byte)
}

fn path(sent: Option<&PathAndQuery>, rules: &Rules) -> Result<PathAndQuery, LocalReply> {
    let sent = sent.ok_or_else(|| LocalReply::bad_request("missing_path_rejected"))?;
    if !sent.path().starts_with('/') {
        return Err(LocalReply::absolute_path());
    }
    let normalized = match rules.path.apply(sent.path()) {
        Normalized::Path(Cow::Borrowed(_)) => return Ok(sent.clone()),
        Normalized::Path(Cow::Owned(path)) => with_query(path, sent.query()),
        Normalized::Redirect(path) => {
            return Err(LocalReply::redirect(&with_query(path, sent.query())));
        }
        Normalized::Invalid => return Err(LocalReply::invalid_path()),
    };
    PathAndQuery::try_from(normalized).map_err(|_| LocalReply::invalid_path())
}

fn with_query(path: String, query: Option<&str>) -> String {
    match query {
        Some(query) => path + "?" + query,
        None => path,
    }
}

// An upgrade that is not known is not an error: the header is hop-by-hop, and goes.
fn upgrade(parts: &Parts, rules: &Rules) -> Option<HeaderValue> {
    if parts.version != Version::HTTP_11 {
        return None;
    }
    let wanted = parts.headers.get(header::UPGRADE)?;
    let text = wanted.to_str().ok()?;
    let asked = list_contains(&parts.headers, &header::CONNECTION, "upgrade");
    let known = rules.upgrades.iter().any(|u| text.eq_ignore_ascii_case(u));
    (asked && known).then(|| wanted.clone())
}

/// Whether one of the comma-separated values under `name` is `token`, in either case.
pub(super) fn list_contains(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case(token))
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.as_bytes().strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn expects_continue(parts: &Parts) -> bool {
    parts.version > Version::HTTP_10
        && parts
            .headers
            .get(header::EXPECT)
            .is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use mesh_model::http::EscapedSlashes;

    fn rules() -> Rules {
        Rules {
            path: PathRules {
                normalize: true,
                merge_slashes: false,
                escaped_slashes: EscapedSlashes::KeepUnchanged,
            },
            accept_http_10: true,
            upgrades: vec!["websocket".into()],
        }
    }

    fn decide(request: http::request::Builder) -> Result<Canonical, u16> {
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        Canonical::decide(&mut parts, &rules()).map_err(|r| r.status().as_u16())
    }

    fn get(uri: &str) -> http::request::Builder {
        Request::get(uri)
    }

    #[test]
    fn one_host_is_decided_on() {
        let host = |r: http::request::Builder| decide(r).map(|c| c.host().to_owned());
        assert_eq!(
            host(get("/").header("host", "a.test:80")),
            Ok("a.test:80".into())
        );
        let absolute = get("http://b.test/x").header("host", "a.test");
        assert_eq!(host(absolute), Ok("b.test".into()), "the target decides");
        assert_eq!(host(get("/")), Err(400), "missing");
        let two = get("/").header("host", "a").header("host", "b");
        assert_eq!(host(two), Err(400));
        for bad in ["", "a b", "user@a", "a/b", "a\\b", "é"] {
            let value = HeaderValue::from_bytes(bad.as_bytes()).expect("a value");
            assert_eq!(host(get("/").header("host", value)), Err(400), "{bad}");
        }
        assert_eq!(
            host(get("/").header("host", "[::1]:80")),
            Ok("[::1]:80".into())
        );
    }

    #[test]
    fn paths_are_normalised_and_queries_kept() {
        let path =
            |uri: &str| decide(get(uri).header("host", "a")).map(|c| c.path.as_str().to_owned());
        assert_eq!(path("/a/../b?x=/../y"), Ok("/b?x=/../y".into()));
        assert_eq!(path("/a?"), Ok("/a?".into()));
        assert_eq!(path("/a%00"), Err(400));
        let star = Request::options("*").header("host", "a");
        assert_eq!(decide(star).map(|_| ()), Err(404));
    }

    #[test]
    fn kinds_of_requests_are_told() {
        let grpc = |content: &str| {
            decide(get("/").header("host", "a").header("content-type", content))
                .is_ok_and(|c| c.is_grpc)
        };
        assert!(grpc("application/grpc") && grpc("application/grpc+proto"));
        assert!(!grpc("application/grpc-web") && !grpc("text/plain"));

        let ws = |upgrade: &'static str, connection: &'static str| {
            let request = get("/").header("host", "a");
            let request = request
                .header("upgrade", upgrade)
                .header("connection", connection);
            decide(request).is_ok_and(|c| c.upgrade.is_some())
        };
        assert!(ws("WebSocket", "keep-alive, Upgrade"));
        assert!(!ws("websocket", "keep-alive"));
        assert!(!ws("TLS/1.0", "Upgrade"), "unknown ones are not asked for");
        let connect = Request::builder().method("CONNECT").uri("a:80");
        assert_eq!(decide(connect).map(|_| ()), Err(403));
    }

    #[test]
    fn headers_are_counted_with_cookies_as_one() {
        let many = |name: &str, n: usize| {
            (0..n).fold(get("/").header("host", "a"), |r, _| r.header(name, "1"))
        };
        assert!(decide(many("x", MAX_HEADERS - 1)).is_ok());
        assert_eq!(decide(many("x", MAX_HEADERS)).map(|_| ()), Err(431));
        assert!(decide(many("cookie", 1000)).is_ok());
    }
}
