//! What a good token leaves behind in its request: headers, metadata, and its own absence.

use super::{Ask, location::Place};
use crate::{http::exchange::Exchange, policy::jwt::Token};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, uri::PathAndQuery};
use serde_json::{Map, Value};
use std::rc::Rc;

/// Where what tokens say is written.
const FILTER: &str = "envoy.filters.http.jwt_authn";

/// A request under the hands of its good tokens.
pub(super) struct Effects<'e> {
    exchange: &'e Rc<Exchange>,
    headers: &'e mut HeaderMap,
    path: &'e PathAndQuery,
    new_path: &'e mut Option<PathAndQuery>,
    params: Vec<Box<str>>,
}

impl<'e> Effects<'e> {
    pub(super) fn of(ask: &'e mut Ask<'_>) -> Self {
        Self {
            exchange: ask.exchange,
            headers: &mut ask.parts.headers,
            path: &ask.canonical.path,
            new_path: &mut ask.choices.path,
            params: Vec::new(),
        }
    }

    /// The token is not for the application. A cookie stays, as in Envoy: it holds more than the token.
    pub(super) fn take_off(&mut self, place: &Place) {
        match place {
            Place::Header(name) => {
                self.headers.remove(name);
            }
            Place::Param(name) => self.params.push(name.clone()),
            Place::Cookie(_) => {}
        }
    }

    /// A claim goes into a header.
    pub(super) fn claim(&mut self, header: &str, claim: &str, claims: &Map<String, Value>) {
        if let Some(text) = find(claims, claim).and_then(text) {
            self.set(header, &text);
        }
    }

    /// The payload goes into a header.
    pub(super) fn payload(&mut self, header: &str, token: &Token<'_>, padded: bool) {
        let payload = token.payload();
        let padding = match padded {
            true => "=".repeat((4 - payload.len() % 4) % 4),
            false => String::new(),
        };
        self.set(header, &format!("{payload}{padding}"));
    }

    fn set(&mut self, header: &str, value: &str) {
        let name = HeaderName::try_from(header);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            self.headers.insert(name, value);
        }
    }

    /// What a token says goes into the metadata; of the claims called `words`, each word by itself.
    pub(super) fn metadata(&mut self, key: &str, said: &Map<String, Value>, words: &[String]) {
        let mut said = said.clone();
        for name in words {
            if let Some(value) = said.get_mut(name)
                && let Some(text) = value.as_str()
            {
                let words = text.split(' ').filter(|word| !word.is_empty());
                *value = words.map(Value::from).collect();
            }
        }
        self.exchange
            .write_metadata(FILTER, key, Value::Object(said));
    }

    /// Takes tokens out of the query.
    pub(super) fn settle(self) {
        if self.params.is_empty() {
            return;
        }
        let query = self.path.query().unwrap_or_default();
        let is_token = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            let mut decoded = form_urlencoded::parse(name.as_bytes());
            let name = decoded.next().map(|(name, _)| name.into_owned());
            self.params
                .iter()
                .any(|own| Some(&**own) == name.as_deref())
        };
        let rest: Vec<_> = query.split('&').filter(|pair| !is_token(pair)).collect();
        let path = self.path.path();
        let whole = match rest.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", rest.join("&")),
        };
        *self.new_path = PathAndQuery::try_from(whole).ok();
    }
}

/// A claim by its name; dots lead into objects.
fn find<'v>(claims: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (outer, inner) = name.split_once('.')?;
    find(claims.get(outer)?.as_object()?, inner)
}

/// As Envoy writes claims into headers.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(value.clone()),
        Value::Array(_) | Value::Object(_) => Some(STANDARD.encode(value.to_string())),
    }
}
