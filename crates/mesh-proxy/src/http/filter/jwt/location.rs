//! Where tokens stand in requests.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE},
    uri::PathAndQuery,
};
use mesh_model::policy::jwt as model;

/// The places of one provider's tokens.
#[derive(Debug)]
pub(super) struct Places {
    headers: Box<[(HeaderName, Box<str>)]>,
    params: Box<[Box<str>]>,
    cookies: Box<[Box<str>]>,
}

/// A token, and where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) token: String,
    pub(super) place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Header(HeaderName),
    Param(Box<str>),
    Cookie(Box<str>),
}

impl Places {
    pub(super) fn new(model: &model::Provider) -> Self {
        let headers = model.from_headers.iter().filter_map(|header| {
            let name = HeaderName::try_from(header.name.as_str()).ok()?;
            Some((name, header.value_prefix.as_str().into()))
        });
        let texts = |all: &[String]| all.iter().map(|text| text.as_str().into()).collect();
        let is_silent = model.from_headers.is_empty()
            && model.from_params.is_empty()
            && model.from_cookies.is_empty();
        match is_silent {
            true => Self {
                headers: [(AUTHORIZATION, "Bearer ".into())].into(),
                params: ["access_token".into()].into(),
                cookies: Box::default(),
            },
            false => Self {
                headers: headers.collect(),
                params: texts(&model.from_params),
                cookies: texts(&model.from_cookies),
            },
        }
    }

    /// Whether a token that was found could stand in one of them.
    pub(super) fn hold(&self, place: &Place) -> bool {
        match place {
            Place::Header(name) => self.headers.iter().any(|(own, _)| own == name),
            Place::Param(name) => self.params.contains(name),
            Place::Cookie(name) => self.cookies.contains(name),
        }
    }

    /// All tokens that stand in them.
    pub(super) fn tokens(&self, headers: &HeaderMap, path: &PathAndQuery) -> Vec<Found> {
        let mut found = Vec::new();
        for (name, prefix) in &self.headers {
            for value in headers.get_all(name) {
                let tokens = behind(value, prefix).into_iter();
                found.extend(tokens.map(|token| Found {
                    token,
                    place: Place::Header(name.clone()),
                }));
            }
        }
        for name in &self.params {
            let query = path.query().unwrap_or_default();
            let all = form_urlencoded::parse(query.as_bytes());
            let own = all.filter(|(key, _)| *key == **name);
            found.extend(own.map(|(_, token)| Found {
                token: token.into_owned(),
                place: Place::Param(name.clone()),
            }));
        }
        for name in &self.cookies {
            found.extend(cookies(headers, name).map(|token| Found {
                token,
                place: Place::Cookie(name.clone()),
            }));
        }
        found
    }
}

/// What stands behind each `prefix` in a header's value, to its end; without a prefix, the value.
fn behind(value: &HeaderValue, prefix: &str) -> Vec<String> {
    let bytes = value.as_bytes();
    if prefix.is_empty() {
        // What is no text is no token, but it is there.
        return vec![String::from_utf8_lossy(bytes).into_owned()];
    }
    let text = String::from_utf8_lossy(bytes);
    let starts = text.match_indices(prefix);
    let rest = |(at, _)| text[at + prefix.len()..].trim_start_matches(' ').to_owned();
    starts.map(rest).collect()
}

fn cookies(headers: &HeaderMap, name: &str) -> impl Iterator<Item = String> {
    let values = headers.get_all(COOKIE).iter();
    let pairs = values
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'));
    pairs.filter_map(move |pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_model::policy::jwt::TokenHeader;

    fn found(
        provider: &model::Provider,
        headers: &[(&'static str, &str)],
        path: &str,
    ) -> Vec<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a value"));
        }
        let path = PathAndQuery::try_from(path).expect("a path");
        let all = Places::new(provider).tokens(&map, &path);
        all.into_iter().map(|found| found.token).collect()
    }

    #[test]
    fn tokens_are_found_where_they_may_stand() {
        let silent = crate::policy::jwt::tests::provider("");
        for (headers, path, want) in [
            (&[("authorization", "Bearer a.b.c")][..], "/", vec!["a.b.c"]),
            (&[("authorization", "bearer a.b.c")], "/", vec![]),
            (
                &[("authorization", "Basic x, Bearer a.b.c, y")],
                "/",
                vec!["a.b.c, y"],
            ),
            (
                &[("authorization", "Bearer a.b.c, Bearer d.e.f")],
                "/",
                vec!["a.b.c, Bearer d.e.f", "d.e.f"],
            ),
            (
                &[
                    ("authorization", "Bearer a.b.c"),
                    ("authorization", "Bearer d.e.f"),
                ],
                "/",
                vec!["a.b.c", "d.e.f"],
            ),
            (&[("authorization", "Bearer ")], "/", vec![""]),
            (&[], "/?x=1&access_token=a.b.c", vec!["a.b.c"]),
            (&[], "/?access_token=a&access_token=b", vec!["a", "b"]),
            (&[("x-jwt", "a.b.c")], "/?token=x", vec![]),
        ] {
            assert_eq!(found(&silent, headers, path), want, "{headers:?} {path}");
        }
        let own = model::Provider {
            from_headers: vec![TokenHeader {
                name: "x-jwt".into(),
                value_prefix: String::new(),
            }],
            from_params: vec!["token".into()],
            from_cookies: vec!["session".into()],
            ..silent
        };
        for (headers, path, want) in [
            (&[("x-jwt", "a.b.c")][..], "/?token=x", vec!["a.b.c", "x"]),
            (&[("cookie", "a=b; session=x.y.z")], "/", vec!["x.y.z"]),
            (
                &[("authorization", "Bearer a.b.c")],
                "/?access_token=x",
                vec![],
            ),
        ] {
            assert_eq!(found(&own, headers, path), want, "{headers:?} {path}");
        }
    }
}
