//! What a token says, read without believing it.

use super::{Status, json};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use mesh_model::policy::jwt::Provider;
use serde_json::{Map, Value};
use std::time::Duration;

/// A token that was read.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    text: &'a str,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    algorithm: Algorithm,
    times: Times,
    audiences: Vec<String>,
}

#[derive(Debug)]
struct Times {
    issued: Option<u64>,
    not_before: Option<u64>,
    expires: Option<u64>,
}

impl<'a> Token<'a> {
    /// Reads `text`.
    ///
    /// # Errors
    /// If it is no token.
    pub(crate) fn read(text: &'a str) -> Result<Self, Status> {
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Status::BadFormat);
        };
        if [header, payload, signature].contains(&"") {
            return Err(Status::BadFormat);
        }
        let decode = |part| URL_SAFE_NO_PAD.decode(part).ok();
        let header = decode(header).ok_or(Status::HeaderBase64)?;
        let header = json::object(&header).ok_or(Status::HeaderJson)?;
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = algorithm.ok_or(Status::HeaderAlg)?;
        let algorithm = algorithm.parse().map_err(|_| Status::UnknownAlg)?;
        if header.get("kid").is_some_and(|kid| !kid.is_string()) {
            return Err(Status::HeaderKid);
        }
        let claims = decode(payload).ok_or(Status::PayloadBase64)?;
        let claims = json::object(&claims).ok_or(Status::PayloadJson)?;
        decode(signature).ok_or(Status::SignatureBase64)?;
        let is_text = |name| claims.get(name).is_none_or(Value::is_string);
        if !is_text("iss") {
            return Err(Status::Iss);
        }
        if !is_text("sub") {
            return Err(Status::Sub);
        }
        let times = Times {
            issued: time(&claims, "iat", Status::Iat)?,
            not_before: time(&claims, "nbf", Status::Nbf)?,
            expires: time(&claims, "exp", Status::Exp)?,
        };
        Ok(Self {
            text,
            algorithm,
            times,
            audiences: audiences(&claims)?,
            header,
            claims,
        })
    }

    /// Its header.
    pub(crate) fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    /// What it claims.
    pub(crate) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The algorithm that it says it is signed with.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key that it says it is signed with.
    pub(super) fn key(&self) -> Option<&str> {
        let id = self.header.get("kid").and_then(Value::as_str);
        id.filter(|id| !id.is_empty())
    }

    /// What is signed, and the signature.
    pub(super) fn signed(&self) -> (&'a str, &'a str) {
        self.text.rsplit_once('.').unwrap_or_default()
    }

    /// The payload as it came.
    pub(crate) fn payload(&self) -> &'a str {
        self.text.split('.').nth(1).unwrap_or_default()
    }

    /// Who issued it.
    pub(crate) fn issuer(&self) -> &str {
        self.text_of("iss")
    }

    fn text_of(&self, name: &str) -> &str {
        let claim = self.claims.get(name).and_then(Value::as_str);
        claim.unwrap_or_default()
    }

    /// Whether its claims are such as `provider` makes, for one of `audiences` (none: for anybody), `now` seconds after
    /// 1970.
    ///
    /// # Errors
    /// If they are not.
    pub(crate) fn judge(
        &self,
        provider: &Provider,
        audiences: &[String],
        now: u64,
    ) -> Result<(), Status> {
        if provider.issuer.as_ref().is_some_and(|i| i != self.issuer()) {
            return Err(Status::UnknownIssuer);
        }
        let subjects = provider.subjects.as_ref();
        if subjects.is_some_and(|subjects| !subjects.matches(self.text_of("sub"))) {
            return Err(Status::SubjectNotAllowed);
        }
        self.judge_times(provider, now)?;
        let mine = |audience: &String| audiences.iter().any(|a| bare(a) == bare(audience));
        match audiences.is_empty() || self.audiences.iter().any(mine) {
            true => Ok(()),
            false => Err(Status::AudienceNotAllowed),
        }
    }

    fn judge_times(&self, provider: &Provider, now: u64) -> Result<(), Status> {
        let skew = provider.clock_skew.as_secs();
        let Times {
            issued,
            not_before,
            expires,
        } = self.times;
        if not_before.is_some_and(|at| now.saturating_add(skew) < at) {
            return Err(Status::NotYetValid);
        }
        if expires.is_some_and(|at| now > at.saturating_add(skew)) {
            return Err(Status::Expired);
        }
        if expires.is_none() && (provider.require_expiration || provider.max_lifetime.is_some()) {
            return Err(Status::NoExpiration);
        }
        let life = expires.map(|end| end.saturating_sub(issued.unwrap_or(now)));
        let too_long = |life, most: Duration| Duration::from_secs(life) > most;
        match (life, provider.max_lifetime) {
            (Some(life), Some(most)) if too_long(life, most) => Err(Status::LivesTooLong),
            _ => Ok(()),
        }
    }
}

/// Seconds after 1970. Some issuers write them with a fraction.
fn time(claims: &Map<String, Value>, name: &str, wrong: Status) -> Result<Option<u64>, Status> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let whole = value.as_u64().or_else(|| {
        let seconds = value.as_f64()?;
        (0.0..9e15).contains(&seconds).then_some(seconds as u64)
    });
    whole.map(Some).ok_or(wrong)
}

fn audiences(claims: &Map<String, Value>) -> Result<Vec<String>, Status> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match claims.get("aud") {
        None => Ok(Vec::new()),
        Some(Value::Array(all)) => {
            let all: Option<Vec<_>> = all.iter().map(text).collect();
            all.ok_or(Status::Aud)
        }
        Some(one) => text(one).map(|one| vec![one]).ok_or(Status::Aud),
    }
}

/// As Envoy compares audiences: without a scheme in front and a slash at the end.
fn bare(audience: &str) -> &str {
    let audience = audience.strip_suffix('/').unwrap_or(audience);
    let schemeless = audience.strip_prefix("https://");
    let schemeless = schemeless.or_else(|| audience.strip_prefix("http://"));
    schemeless.unwrap_or(audience)
}
