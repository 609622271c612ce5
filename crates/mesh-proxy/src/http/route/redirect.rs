//! Where else a client is to ask, compiled.

use super::rewrite::PathRewrite;
use crate::http::{canonical::Canonical, header::FORWARDED_PROTO, local_reply::LocalReply};
use http::{HeaderMap, HeaderValue, StatusCode, uri::PathAndQuery};
use mesh_model::route::{self, PathMatch};

/// A compiled [`route::Redirect`].
#[derive(Debug)]
pub struct Redirect {
    /// Status of the answer.
    pub status: StatusCode,
    scheme: Option<Box<str>>,
    host: Option<Box<str>>,
    port: Option<u16>,
    path: Option<Path>,
    strip_query: bool,
}

#[derive(Debug)]
enum Path {
    Whole(Box<str>),
    Part(PathRewrite),
}

impl Redirect {
    /// Compiles `model`, which stands at a route that matches `path`.
    pub(super) fn compile(model: &route::Redirect, path: &PathMatch) -> Self {
        Self {
            status: StatusCode::from_u16(model.status.code()).unwrap_or(StatusCode::FOUND),
            scheme: model.scheme.as_deref().map(Box::from),
            host: model.host.as_deref().map(Box::from),
            port: model.port,
            path: model.path.as_ref().map(|redirect| match redirect {
                route::PathRedirect::Path(path) => Path::Whole(path.as_str().into()),
                route::PathRedirect::Prefix(with) => Path::Part(PathRewrite::prefix(with, path)),
                route::PathRedirect::Regex(substitution) => {
                    Path::Part(PathRewrite::Regex(Box::new(substitution.clone())))
                }
            }),
            strip_query: model.strip_query,
        }
    }

    /// Where the client is sent that asked for `asked`. Headers tell if a part of the path was replaced.
    ///
    /// # Errors
    /// If no address comes out.
    pub(in crate::http) fn location(
        &self,
        asked: &Canonical,
        headers: &mut HeaderMap,
    ) -> Result<HeaderValue, LocalReply> {
        let rewritten;
        let mut asked_path = &asked.path;
        if let Some(Path::Part(part)) = &self.path {
            rewritten = part.apply(&asked.path, headers)?;
            asked_path = &rewritten;
        }
        let proto = protocol(headers);
        let scheme = self.scheme.as_deref().unwrap_or(proto);
        let host = match &self.host {
            Some(host) => &**host,
            None => self.asked_host(asked.host(), scheme, proto),
        };
        let port = self.port.map(|port| format!(":{port}"));
        let path = self.path_to(asked_path);
        let port = port.as_deref().unwrap_or_default();
        let location = format!("{scheme}://{host}{port}{path}");
        HeaderValue::from_str(&location).map_err(|_| LocalReply::bad_rewrite("path"))
    }

    // Without its port where another is said, or where it was the usual one of another scheme.
    fn asked_host<'a>(&self, host: &'a str, scheme: &str, proto: &str) -> &'a str {
        let colon = match host.starts_with('[') {
            true => host.rfind("]:").map(|at| at + 1),
            false => host.rfind(':'),
        };
        let Some(colon) = colon else {
            return host;
        };
        let usual = matches!((proto, &host[colon..]), ("https", ":443") | ("http", ":80"));
        match self.port.is_some() || (scheme != proto && usual) {
            true => &host[..colon],
            false => host,
        }
    }

    fn path_to(&self, asked: &PathAndQuery) -> String {
        let (path, query) = match &self.path {
            Some(Path::Whole(path)) if path.contains('?') => return path.to_string(),
            Some(Path::Whole(path)) => (&**path, asked.query()),
            _ => (asked.path(), asked.query()),
        };
        match query.filter(|_| !self.strip_query) {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }
    }
}

/// The address that was asked for, for an answer of our own that has one.
pub(in crate::http) fn same_place(asked: &Canonical, headers: &HeaderMap) -> Option<HeaderValue> {
    let location = format!("{}://{}{}", protocol(headers), asked.host(), asked.path);
    HeaderValue::from_str(&location).ok()
}

/// Whether the client asked by `https`.
pub(in crate::http) fn is_https(headers: &HeaderMap) -> bool {
    let proto = headers.get(FORWARDED_PROTO);
    proto.is_some_and(|proto| proto.as_bytes() == b"https")
}

fn protocol(headers: &HeaderMap) -> &'static str {
    if is_https(headers) { "https" } else { "http" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_model::{matcher::Substitution, route::PathRedirect};

    fn location(host: &'static str, change: impl FnOnce(&mut route::Redirect)) -> String {
        let mut model = route::Redirect::default();
        change(&mut model);
        let asked = Canonical {
            authority: HeaderValue::from_static(host),
            path: PathAndQuery::from_static("/old/x?q"),
            is_grpc: false,
            upgrade: None,
            expects_continue: false,
        };
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
        let redirect = Redirect::compile(&model, &PathMatch::Prefix("/old".into()));
        let location = redirect.location(&asked, &mut headers);
        let location = location.map_err(|reply| reply.status());
        location.expect("an address").to_str().expect("text").into()
    }

    #[test]
    fn what_is_not_said_stays() {
        let path = |path: &str| Some(PathRedirect::Path(path.into()));
        assert_eq!(location("a", |_| {}), "http://a/old/x?q");
        assert_eq!(location("a", |r| r.path = path("/n")), "http://a/n?q");
        assert_eq!(location("a", |r| r.path = path("/n?z")), "http://a/n?z");
        assert_eq!(location("a", |r| r.strip_query = true), "http://a/old/x");
        let kept = |r: &mut route::Redirect| {
            r.path = path("/n?z");
            r.strip_query = true;
        };
        assert_eq!(location("a", kept), "http://a/n?z");
        let prefix = Some(PathRedirect::Prefix("/new".into()));
        assert_eq!(location("a", |r| r.path = prefix), "http://a/new/x?q");
        let regex = Substitution::new("o(l)d", r"\1").expect("valid");
        let regex = Some(PathRedirect::Regex(regex));
        assert_eq!(location("a", |r| r.path = regex), "http://a/l/x?q");
        let host = |r: &mut route::Redirect| r.host = Some("b:1".into());
        assert_eq!(location("a", host), "http://b:1/old/x?q");
    }

    #[test]
    fn a_port_goes_where_it_would_mislead() {
        let https = |r: &mut route::Redirect| r.scheme = Some("https".into());
        assert_eq!(location("a:80", https), "https://a/old/x?q");
        assert_eq!(location("a:8080", https), "https://a:8080/old/x?q");
        assert_eq!(location("[::1]:80", https), "https://[::1]/old/x?q");
        assert_eq!(location("[::1]", https), "https://[::1]/old/x?q");
        assert_eq!(location("a:80", |_| {}), "http://a:80/old/x?q");
        let port = |r: &mut route::Redirect| r.port = Some(1);
        assert_eq!(location("a:80", port), "http://a:1/old/x?q");
    }
}
