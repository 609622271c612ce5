//! Who issues tokens.

use crate::{
    decode::{self, At, wire_duration},
    matcher,
    pb::{
        envoy::{
            config::core::v3::{HttpUri, http_uri::HttpUpstreamType},
            extensions::filters::http::jwt_authn::v3::{
                JwtClaimToHeader, JwtHeader, JwtProvider as Wire, RemoteJwks,
                jwt_provider::{JwksSourceSpecifier, NormalizePayload},
            },
        },
        google::protobuf::Duration as WireDuration,
    },
    source,
};
use http::HeaderName;
use mesh_model::policy::jwt::{
    ClaimToHeader, DEFAULT_CACHE_DURATION, DEFAULT_CLOCK_SKEW, Keys, Provider, RemoteKeys,
    TokenHeader,
};
use std::{mem::take, ops::Range, time::Duration};

/// For how long Envoy keeps keys.
const CACHE_DURATIONS: Range<Duration> =
    Duration::from_millis(1)..Duration::from_secs(2_500_000 * 3600);
/// Envoy's limit of the time for an answer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(1 << 32);

pub(super) fn encode(provider: &Provider) -> Wire {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let claims = &provider.space_delimited_claims;
    Wire {
        issuer: text(&provider.issuer),
        audiences: provider.audiences.clone(),
        subjects: provider.subjects.as_ref().map(matcher::encode),
        require_expiration: provider.require_expiration,
        max_lifetime: provider.max_lifetime.map(wire_duration),
        forward: provider.forward,
        from_headers: provider.from_headers.iter().map(encode_header).collect(),
        from_params: provider.from_params.clone(),
        from_cookies: provider.from_cookies.clone(),
        forward_payload_header: text(&provider.forward_payload_header),
        pad_forward_payload_header: provider.pad_forward_payload_header,
        payload_in_metadata: text(&provider.payload_in_metadata),
        header_in_metadata: text(&provider.header_in_metadata),
        normalize_payload_in_metadata: (!claims.is_empty()).then(|| NormalizePayload {
            space_delimited_claims: claims.clone(),
        }),
        clock_skew_seconds: u32::try_from(provider.clock_skew.as_secs()).unwrap_or(u32::MAX),
        claim_to_headers: (provider.claim_to_headers.iter())
            .map(encode_claim)
            .collect(),
        jwks_source_specifier: Some(encode_keys(&provider.keys)),
        ..Default::default()
    }
}

fn encode_header(header: &TokenHeader) -> JwtHeader {
    JwtHeader {
        name: header.name.clone(),
        value_prefix: header.value_prefix.clone(),
    }
}

fn encode_claim(claim: &ClaimToHeader) -> JwtClaimToHeader {
    JwtClaimToHeader {
        header_name: claim.header.clone(),
        claim_name: claim.claim.clone(),
        ..Default::default()
    }
}

fn encode_keys(keys: &Keys) -> JwksSourceSpecifier {
    match keys {
        Keys::Inline(text) => {
            JwksSourceSpecifier::LocalJwks(source::encode_readable(text.as_bytes()))
        }
        Keys::Remote(remote) => JwksSourceSpecifier::RemoteJwks(RemoteJwks {
            http_uri: Some(HttpUri {
                uri: remote.uri.clone(),
                timeout: Some(wire_duration(remote.timeout)),
                http_upstream_type: Some(HttpUpstreamType::Cluster(remote.cluster.to_string())),
            }),
            cache_duration: Some(wire_duration(remote.cache_duration)),
            ..Default::default()
        }),
    }
}

pub(super) fn decode(name: &str, mut wire: Wire, at: &At<'_>) -> Option<Provider> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    let issuer = some(take(&mut wire.issuer));
    let audiences = take(&mut wire.audiences);
    let subjects = at.optional("subjects", wire.subjects.take(), matcher::decode);
    let require_expiration = take(&mut wire.require_expiration);
    let lifetime = at.optional("max_lifetime", wire.max_lifetime.take(), decode::duration);
    let keys = match wire.jwks_source_specifier.take() {
        Some(JwksSourceSpecifier::LocalJwks(source)) => {
            let at = at.field("local_jwks");
            match String::from_utf8(source::decode(source, &at)?) {
                Ok(text) => Some(Keys::Inline(text)),
                Err(_) => at.refuse("is no UTF-8"),
            }
        }
        Some(JwksSourceSpecifier::RemoteJwks(remote)) => {
            decode_remote(remote, &at.field("remote_jwks")).map(Keys::Remote)
        }
        None => at.field("jwks_source_specifier").refuse("must be set"),
    };
    let headers = at.list("from_headers", take(&mut wire.from_headers), decode_header);
    let from_params = take(&mut wire.from_params);
    let from_cookies = take(&mut wire.from_cookies);
    let payload_header = some(take(&mut wire.forward_payload_header));
    let payload_header = at.optional("forward_payload_header", payload_header, header_name);
    let normalize = wire
        .normalize_payload_in_metadata
        .take()
        .unwrap_or_default();
    let claims = take(&mut wire.claim_to_headers);
    let claims = at.list("claim_to_headers", claims, decode_claim);
    let skew = match take(&mut wire.clock_skew_seconds) {
        0 => DEFAULT_CLOCK_SKEW,
        seconds => Duration::from_secs(seconds.into()),
    };
    if wire.jwt_cache_config.take().is_some() {
        at.field("jwt_cache_config")
            .ignore("every token is verified each time");
    }
    let forward = take(&mut wire.forward);
    let pad = take(&mut wire.pad_forward_payload_header);
    let payload = some(take(&mut wire.payload_in_metadata));
    let header = some(take(&mut wire.header_in_metadata));
    at.finish(wire);
    Some(Provider {
        name: name.into(),
        issuer,
        audiences,
        subjects: subjects?,
        require_expiration,
        max_lifetime: lifetime?,
        keys: keys?,
        forward,
        from_headers: headers?,
        from_params,
        from_cookies,
        forward_payload_header: payload_header?,
        pad_forward_payload_header: pad,
        payload_in_metadata: payload,
        header_in_metadata: header,
        space_delimited_claims: normalize.space_delimited_claims,
        clock_skew: skew,
        claim_to_headers: claims?,
    })
}

fn header_name(name: String, at: &At<'_>) -> Option<String> {
    match HeaderName::try_from(name.as_str()) {
        Ok(name) => Some(name.as_str().into()),
        Err(_) => at.refuse(format!("{name:?} is no name of a header")),
    }
}

fn decode_header(mut wire: JwtHeader, at: &At<'_>) -> Option<TokenHeader> {
    let name = header_name(take(&mut wire.name), &at.field("name"));
    let value_prefix = take(&mut wire.value_prefix);
    at.finish(wire);
    Some(TokenHeader {
        name: name?,
        value_prefix,
    })
}

/// A path in steps of its own is refused: names with dots do the same.
fn decode_claim(mut wire: JwtClaimToHeader, at: &At<'_>) -> Option<ClaimToHeader> {
    let header = header_name(take(&mut wire.header_name), &at.field("header_name"));
    let claim = at.text("claim_name", take(&mut wire.claim_name));
    at.finish(wire);
    Some(ClaimToHeader {
        header: header?,
        claim: claim?,
    })
}

fn decode_remote(mut wire: RemoteJwks, at: &At<'_>) -> Option<RemoteKeys> {
    let uri = at.required("http_uri", wire.http_uri.take(), decode_uri);
    let cache = wire.cache_duration.take();
    let cache = at.optional("cache_duration", cache, decode_cache_duration);
    if wire.async_fetch.take().is_some() {
        at.field("async_fetch")
            .ignore("keys are fetched when the first token needs them");
    }
    at.finish(wire);
    let (uri, cluster, timeout) = uri?;
    Some(RemoteKeys {
        uri,
        cluster: cluster.into(),
        timeout,
        cache_duration: cache?.unwrap_or(DEFAULT_CACHE_DURATION),
    })
}

fn decode_cache_duration(wire: WireDuration, at: &At<'_>) -> Option<Duration> {
    match decode::duration(wire, at)? {
        duration if CACHE_DURATIONS.contains(&duration) => Some(duration),
        _ => at.refuse("is not between a millisecond and 2500000 hours"),
    }
}

fn decode_uri(mut wire: HttpUri, at: &At<'_>) -> Option<(String, String, Duration)> {
    let text = take(&mut wire.uri);
    let parsed = text.parse::<http::Uri>().ok();
    let whole = |uri: &http::Uri| {
        let scheme = uri.scheme_str();
        uri.authority().is_some() && matches!(scheme, Some("http" | "https"))
    };
    let uri = match parsed.is_some_and(|uri| whole(&uri)) {
        true => Some(text),
        false => at
            .field("uri")
            .refuse(format!("{text:?} is no address with a scheme and a host")),
    };
    let cluster = match wire.http_upstream_type.take() {
        Some(HttpUpstreamType::Cluster(cluster)) => at.text("cluster", cluster),
        None => at.field("cluster").refuse("must be set"),
    };
    let timeout = at.required(
        "timeout",
        wire.timeout.take(),
        |timeout, at| match decode::duration(timeout, at)? {
            Duration::ZERO => at.refuse("must not be zero"),
            long if long >= LONGEST_TIMEOUT => at.refuse("is not below 2^32 s"),
            timeout => Some(timeout),
        },
    );
    at.finish(wire);
    Some((uri?, cluster?, timeout?))
}
