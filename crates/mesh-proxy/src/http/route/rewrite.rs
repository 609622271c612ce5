//! Which path and host a server is asked for, compiled.
//!
//! A rewritten target is a canonical request like any other: what cannot stand in one is refused, never sent.

use crate::http::{
    canonical::Canonical,
    header::{FORWARDED_HOST, ORIGINAL_HOST, ORIGINAL_PATH},
    local_reply::LocalReply,
};
use http::{HeaderMap, HeaderName, HeaderValue, uri::PathAndQuery};
use mesh_model::{
    matcher::Substitution,
    route::{self, PathMatch, TemplateRewrite, UriTemplate},
};

/// A compiled [`route::Rewrite`].
#[derive(Debug)]
pub(crate) struct Rewrite {
    path: Option<PathRewrite>,
    host: Option<HostRewrite>,
    append_forwarded_host: bool,
}

/// How a path is changed.
#[derive(Debug)]
pub(super) enum PathRewrite {
    /// What the route matched is replaced; `None`: it matched all of the path.
    Prefix {
        matched: Option<usize>,
        with: Box<str>,
    },
    /// What matches is replaced.
    Regex(Box<Substitution>),
    /// Variables are put in.
    Template(Box<(UriTemplate, TemplateRewrite)>),
}

#[derive(Debug)]
enum HostRewrite {
    Literal(HeaderValue),
    Header(HeaderName),
    PathRegex(Box<Substitution>),
}

impl Rewrite {
    /// Compiles `model`, which stands at a route that matches `path`; `None`: nothing is changed.
    pub(super) fn compile(model: &route::Rewrite, path: &PathMatch) -> Option<Box<Self>> {
        let compiled = Self {
            path: (model.path.as_ref()).and_then(|rewrite| PathRewrite::new(rewrite, path)),
            host: model.host.as_ref().and_then(HostRewrite::new),
            append_forwarded_host: model.append_x_forwarded_host,
        };
        (compiled.path.is_some() || compiled.host.is_some()).then(|| Box::new(compiled))
    }

    /// What the server is asked for instead of `asked`. Headers tell what was asked for.
    ///
    /// # Errors
    /// If nothing that could be asked for comes out.
    pub(in crate::http) fn apply(
        &self,
        asked: &Canonical,
        headers: &mut HeaderMap,
    ) -> Result<Canonical, LocalReply> {
        let mut wanted = asked.clone();
        if let Some(host) = self.host.as_ref().and_then(|h| h.apply(asked, headers)) {
            let host = host.map_err(|_| LocalReply::bad_rewrite("host"))?;
            if self.append_forwarded_host {
                append_forwarded_host(headers, &asked.authority);
            }
            headers.insert(ORIGINAL_HOST, asked.authority.clone());
            wanted.authority = host;
        }
        if let Some(path) = &self.path {
            wanted.path = path.apply(&asked.path, headers)?;
        }
        Ok(wanted)
    }
}

impl PathRewrite {
    pub(super) fn new(model: &route::PathRewrite, path: &PathMatch) -> Option<Self> {
        match model {
            route::PathRewrite::Prefix(with) => Some(Self::prefix(with, path)),
            route::PathRewrite::Regex(substitution) => {
                Some(Self::Regex(Box::new(substitution.clone())))
            }
            // Checked when it was decoded.
            route::PathRewrite::Template(rewrite) => match path {
                PathMatch::Template(template) => {
                    let both = (template.clone(), rewrite.clone());
                    Some(Self::Template(Box::new(both)))
                }
                _ => None,
            },
        }
    }

    /// What a route for `path` matched is replaced by `with`.
    pub(super) fn prefix(with: &str, path: &PathMatch) -> Self {
        Self::Prefix {
            matched: match path {
                PathMatch::Prefix(text)
                | PathMatch::Exact(text)
                | PathMatch::SeparatedPrefix(text) => Some(text.len()),
                PathMatch::Regex(_) | PathMatch::Template(_) => None,
            },
            with: with.into(),
        }
    }

    /// The path in place of `asked`, which a header tells.
    ///
    /// # Errors
    /// If no path comes out.
    pub(super) fn apply(
        &self,
        asked: &PathAndQuery,
        headers: &mut HeaderMap,
    ) -> Result<PathAndQuery, LocalReply> {
        let refused = || LocalReply::bad_rewrite("path");
        let mut path = self.path(asked.path());
        // A server is asked for nothing else than a path.
        if path.first() != Some(&b'/') {
            path.insert(0, b'/');
        }
        if let Some(query) = asked.query() {
            path.push(b'?');
            path.extend_from_slice(query.as_bytes());
        }
        let path = PathAndQuery::try_from(path).map_err(|_| refused())?;
        let original = HeaderValue::from_str(asked.as_str()).map_err(|_| refused())?;
        headers.insert(ORIGINAL_PATH, original);
        Ok(path)
    }

    fn path(&self, asked: &str) -> Vec<u8> {
        match self {
            Self::Prefix { matched, with } => {
                let matched = matched.unwrap_or(asked.len());
                let rest = asked.as_bytes().get(matched..).unwrap_or_default();
                [with.as_bytes(), rest].concat()
            }
            Self::Regex(substitution) => substitution.apply(asked),
            Self::Template(both) => {
                let (template, rewrite) = &**both;
                let path = template.rewrite(asked, rewrite);
                path.map_or_else(|| asked.as_bytes().to_vec(), String::into_bytes)
            }
        }
    }
}

impl HostRewrite {
    // A literal that is none after all changes nothing; it was checked when it was decoded.
    fn new(model: &route::HostRewrite) -> Option<Self> {
        match model {
            route::HostRewrite::Literal(host) => {
                HeaderValue::from_str(host).ok().map(Self::Literal)
            }
            route::HostRewrite::Header(name) => name.parse().ok().map(Self::Header),
            route::HostRewrite::PathRegex(substitution) => {
                Some(Self::PathRegex(Box::new(substitution.clone())))
            }
        }
    }

    /// The host in place of the one that was asked for; `None`: that stays.
    fn apply(&self, asked: &Canonical, headers: &HeaderMap) -> Option<Result<HeaderValue, NoHost>> {
        match self {
            Self::Literal(host) => Some(Ok(host.clone())),
            Self::Header(name) => {
                let host = headers.get(name)?;
                (!host.is_empty()).then(|| host_of(host.as_bytes()))
            }
            Self::PathRegex(substitution) => Some(host_of(&substitution.apply(asked.path.path()))),
        }
    }
}

/// What came out is no host.
struct NoHost;

fn host_of(bytes: &[u8]) -> Result<HeaderValue, NoHost> {
    match Canonical::is_host(bytes) {
        true => HeaderValue::from_bytes(bytes).map_err(|_| NoHost),
        false => Err(NoHost),
    }
}

// Unless it is the last that was added.
fn append_forwarded_host(headers: &mut HeaderMap, host: &HeaderValue) {
    let before = headers.get(FORWARDED_HOST).map(HeaderValue::as_bytes);
    let all = match before.filter(|before| !before.is_empty()) {
        None => host.as_bytes().to_vec(),
        Some(before) => {
            let last = before.rsplit(|b| *b == b',').next().unwrap_or_default();
            if last == host.as_bytes() {
                return;
            }
            [before, b",", host.as_bytes()].concat()
        }
    };
    if let Ok(all) = HeaderValue::from_bytes(&all) {
        headers.insert(FORWARDED_HOST, all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_model::matcher::Regex;

    fn substitution(pattern: &str, put: &str) -> Substitution {
        Substitution::new(pattern, put).expect("valid")
    }

    fn canonical() -> Canonical {
        Canonical {
            authority: HeaderValue::from_static("a.test:80"),
            path: PathAndQuery::from_static("/api/v1/x?q=/api"),
            is_grpc: false,
            upgrade: None,
            expects_continue: false,
        }
    }

    fn applied(
        model: &route::Rewrite,
        path: &PathMatch,
        headers: &mut HeaderMap,
    ) -> Option<String> {
        let rewrite = Rewrite::compile(model, path)?;
        let wanted = rewrite.apply(&canonical(), headers).ok()?;
        Some(format!("{}{}", wanted.host(), wanted.path))
    }

    #[test]
    fn paths_are_rewritten_and_queries_stay() {
        use route::PathRewrite::{Prefix, Regex as Substitute, Template};
        let prefix = || PathMatch::Prefix("/api".into());
        let template = || PathMatch::Template("/api/{v}/{x=**}".parse().expect("a template"));
        let regex = || PathMatch::Regex(Regex::new("/api/.*").expect("valid"));
        for (rewrite, path, want) in [
            (Prefix("/".into()), prefix(), "//v1/x?q=/api"),
            (Prefix("/b".into()), prefix(), "/b/v1/x?q=/api"),
            (Prefix("b".into()), prefix(), "/b/v1/x?q=/api"),
            (Prefix("/b".into()), regex(), "/b?q=/api"),
            (
                Substitute(substitution("^/api/(.*)$", r"/\1")),
                prefix(),
                "/v1/x?q=/api",
            ),
            (
                Template("/{x}/{v}".parse().expect("a template")),
                template(),
                "/x/v1?q=/api",
            ),
        ] {
            let model = route::Rewrite {
                path: Some(rewrite),
                ..Default::default()
            };
            let mut headers = HeaderMap::new();
            let got = applied(&model, &path, &mut headers);
            assert_eq!(got, Some(format!("a.test:80{want}")), "{model:?}");
            assert_eq!(headers["x-envoy-original-path"], "/api/v1/x?q=/api");
        }
    }

    #[test]
    fn hosts_are_rewritten_and_told() {
        use route::HostRewrite::{Header, Literal, PathRegex};
        let path = PathMatch::Prefix("/".into());
        let model = |host| route::Rewrite {
            host: Some(host),
            append_x_forwarded_host: true,
            ..Default::default()
        };
        let by_path = || PathRegex(substitution("^/api/([^/]+)/.*$", r"\1.test"));
        let refused = PathRegex(substitution("v1", "a b"));
        for (host, sent, want, forwarded) in [
            (Literal("b".into()), None, Some("b"), Some("a.test:80")),
            (
                Header("x-h".into()),
                Some("c"),
                Some("c"),
                Some("a.test:80"),
            ),
            (Header("x-h".into()), None, Some("a.test:80"), None),
            (Header("x-h".into()), Some("c d"), None, None),
            (by_path(), None, Some("v1.test"), Some("a.test:80")),
            (refused, None, None, None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(sent) = sent {
                headers.insert("x-h", HeaderValue::from_static(sent));
            }
            let model = model(host);
            let got = applied(&model, &path, &mut headers);
            let want = want.map(|host| format!("{host}/api/v1/x?q=/api"));
            assert_eq!(got, want, "{model:?} {sent:?}");
            let told = headers.get(FORWARDED_HOST).and_then(|v| v.to_str().ok());
            assert_eq!(told, forwarded, "{model:?}");
        }
    }

    #[test]
    fn a_host_is_not_told_twice_in_a_row() {
        let host = HeaderValue::from_static("a");
        for (before, after) in [("", "a"), ("b", "b,a"), ("b,a", "b,a"), ("a,b", "a,b,a")] {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED_HOST, HeaderValue::from_static(before));
            append_forwarded_host(&mut headers, &host);
            assert_eq!(headers[FORWARDED_HOST], after, "{before}");
        }
    }
}
