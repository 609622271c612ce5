//! When and how a request is tried again.

use crate::{
    decode::{self, At, Extension, Wrapped, wire_duration},
    matcher,
    pb::{
        envoy::{
            config::route::v3::{
                RetryPolicy as Wire,
                retry_policy::{
                    RateLimitedRetryBackOff, ResetHeader as WireReset, ResetHeaderFormat,
                    RetryBackOff, RetryHostPredicate, retry_host_predicate::ConfigType,
                },
            },
            extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate,
        },
        google::protobuf::UInt32Value,
        pack_any,
    },
};
use http::HeaderName;
use mesh_model::route::{RateLimitedBackOff, ResetFormat, ResetHeader, RetryOn, RetryPolicy};
use std::{mem::take, time::Duration};

/// Envoy's base of the back-off, written where a policy has a limit but no base.
const BACK_OFF_BASE: Duration = Duration::from_millis(25);

pub(super) fn encode(policy: &RetryPolicy) -> Wire {
    let words: Vec<_> = policy.retry_on.iter().map(|on| on.as_str()).collect();
    let codes = policy.retriable_status_codes.iter();
    Wire {
        retry_on: words.join(","),
        num_retries: Some(UInt32Value::wrap(policy.num_retries)),
        per_try_timeout: policy.per_try_timeout.map(wire_duration),
        per_try_idle_timeout: policy.per_try_idle_timeout.map(wire_duration),
        retriable_headers: (policy.retriable_headers.iter())
            .map(matcher::encode_header)
            .collect(),
        retriable_request_headers: (policy.retriable_request_headers.iter())
            .map(matcher::encode_header)
            .collect(),
        rate_limited_retry_back_off: (policy.rate_limited_back_off.as_ref()).map(encode_limited),
        retriable_status_codes: codes.copied().map(u32::from).collect(),
        retry_host_predicate: policy
            .avoid_previous_hosts
            .then(previous_hosts)
            .into_iter()
            .collect(),
        host_selection_retry_max_attempts: policy.host_selection_attempts.into(),
        retry_back_off: encode_back_off(policy),
        ..Default::default()
    }
}

fn encode_limited(back_off: &RateLimitedBackOff) -> RateLimitedRetryBackOff {
    let header = |header: &ResetHeader| WireReset {
        name: header.name.clone(),
        format: match header.format {
            ResetFormat::Seconds => ResetHeaderFormat::Seconds,
            ResetFormat::UnixTimestamp => ResetHeaderFormat::UnixTimestamp,
        }
        .into(),
    };
    RateLimitedRetryBackOff {
        reset_headers: back_off.headers.iter().map(header).collect(),
        max_interval: back_off.max.map(wire_duration),
    }
}

fn previous_hosts() -> RetryHostPredicate {
    RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".into(),
        config_type: Some(ConfigType::TypedConfig(pack_any(PreviousHostsPredicate {}))),
    }
}

fn encode_back_off(policy: &RetryPolicy) -> Option<RetryBackOff> {
    if policy.back_off_base.is_none() && policy.back_off_max.is_none() {
        return None;
    }
    let base = policy.back_off_base.unwrap_or(BACK_OFF_BASE);
    Some(RetryBackOff {
        base_interval: Some(wire_duration(base)),
        max_interval: policy.back_off_max.map(wire_duration),
    })
}

pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<RetryPolicy> {
    let retry_on = decode_conditions(&take(&mut wire.retry_on), &at.field("retry_on"));
    let num_retries = wire.num_retries.take().map_or(1, Wrapped::inner);
    let per_try = at.optional(
        "per_try_timeout",
        wire.per_try_timeout.take(),
        decode::duration,
    );
    let idle = wire.per_try_idle_timeout.take();
    let idle = at.optional("per_try_idle_timeout", idle, decode::duration);
    let headers = take(&mut wire.retriable_headers);
    let headers = at.list("retriable_headers", headers, matcher::decode_header);
    let asked = take(&mut wire.retriable_request_headers);
    let asked = at.list("retriable_request_headers", asked, matcher::decode_header);
    let limited = wire.rate_limited_retry_back_off.take();
    let limited = at.optional("rate_limited_retry_back_off", limited, decode_limited);
    let codes = take(&mut wire.retriable_status_codes);
    let codes = at.list("retriable_status_codes", codes, decode_code);
    let predicates = take(&mut wire.retry_host_predicate);
    let predicates = at.list("retry_host_predicate", predicates, decode_predicate);
    let attempts = u32::try_from(take(&mut wire.host_selection_retry_max_attempts));
    let back_off = at.optional(
        "retry_back_off",
        wire.retry_back_off.take(),
        decode_back_off,
    );
    at.finish(wire);
    let avoid_previous_hosts = !predicates?.is_empty();
    let (base, max) = back_off?.unwrap_or_default();
    Some(RetryPolicy {
        retry_on: retry_on?,
        num_retries,
        per_try_timeout: per_try?,
        per_try_idle_timeout: idle?,
        retriable_headers: headers?,
        retriable_request_headers: asked?,
        retriable_status_codes: codes?,
        avoid_previous_hosts,
        host_selection_attempts: match attempts {
            // Envoy picks again once where nothing is set.
            Ok(0) if avoid_previous_hosts => 1,
            Ok(attempts) => attempts,
            Err(_) => {
                let at = at.field("host_selection_retry_max_attempts");
                return at.refuse("is out of range");
            }
        },
        back_off_base: base,
        back_off_max: max,
        rate_limited_back_off: limited?,
    })
}

fn decode_conditions(wire: &str, at: &At<'_>) -> Option<Vec<RetryOn>> {
    let words = wire
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let known = |word: &str| match RetryOn::parse(word) {
        Some(on) => Some(on),
        None => at.refuse(format!("{word:?} is no condition that this proxy knows")),
    };
    // Not short-circuiting: every unknown word is reported.
    let conditions: Vec<_> = words.map(known).collect();
    conditions.into_iter().collect()
}

fn decode_code(wire: u32, at: &At<'_>) -> Option<u16> {
    match wire {
        100..=599 => u16::try_from(wire).ok(),
        _ => at.refuse(format!("{wire} is no HTTP status")),
    }
}

fn decode_predicate(wire: RetryHostPredicate, at: &At<'_>) -> Option<()> {
    let config = wire
        .config_type
        .map(|ConfigType::TypedConfig(config)| config);
    let config = at.required("typed_config", config, Extension::open)?;
    let at = at.field("typed_config");
    config.message::<PreviousHostsPredicate>(&at).map(|_| ())
}

/// The base and the longest interval.
fn decode_back_off(
    mut wire: RetryBackOff,
    at: &At<'_>,
) -> Option<(Option<Duration>, Option<Duration>)> {
    let base = at.required("base_interval", wire.base_interval.take(), decode::duration);
    let max = at.optional("max_interval", wire.max_interval.take(), decode::duration);
    at.finish(wire);
    match (base?, max?) {
        (Duration::ZERO, _) => at.field("base_interval").refuse("must be above zero"),
        (base, Some(max)) if max < base => at.field("max_interval").refuse("is below the base"),
        (base, max) => Some((Some(base), max)),
    }
}

fn decode_limited(mut wire: RateLimitedRetryBackOff, at: &At<'_>) -> Option<RateLimitedBackOff> {
    let headers = at.list("reset_headers", take(&mut wire.reset_headers), decode_reset);
    let max = at.optional("max_interval", wire.max_interval.take(), decode::positive);
    at.finish(wire);
    let headers = headers?;
    match headers.is_empty() {
        true => at.field("reset_headers").refuse("must be set"),
        false => Some(RateLimitedBackOff { headers, max: max? }),
    }
}

fn decode_reset(mut wire: WireReset, at: &At<'_>) -> Option<ResetHeader> {
    let name = at.text("name", take(&mut wire.name))?;
    let format = decode::variant(take(&mut wire.format), &at.field("format"));
    at.finish(wire);
    let Ok(name) = HeaderName::try_from(name.as_str()) else {
        return at
            .field("name")
            .refuse(format!("{name:?} is no name of a header"));
    };
    Some(ResetHeader {
        name: name.as_str().to_owned(),
        format: match format? {
            ResetHeaderFormat::Seconds => ResetFormat::Seconds,
            ResetHeaderFormat::UnixTimestamp => ResetFormat::UnixTimestamp,
        },
    })
}
