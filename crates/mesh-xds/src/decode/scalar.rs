//! Protobuf's wrapped scalars: durations, booleans, numbers, percentages.

use super::At;
use crate::pb::{
    envoy::r#type::v3::Percent,
    google::protobuf::{BoolValue, Duration as WireDuration, UInt32Value, UInt64Value},
};
use std::time::Duration;

/// Longest duration that Envoy takes: a second less than fits into 64 bits of nanoseconds. Istio writes it for "never".
pub(crate) const LONGEST: Duration = Duration::from_secs(9_223_372_035);

/// A scalar in the message that protobuf wraps it in.
pub(crate) trait Wrapped {
    /// What it wraps.
    type Inner;
    /// The scalar.
    fn inner(self) -> Self::Inner;
    /// The scalar, wrapped.
    fn wrap(inner: Self::Inner) -> Self;
}

impl Wrapped for BoolValue {
    type Inner = bool;
    fn inner(self) -> bool {
        self.value
    }
    fn wrap(value: bool) -> Self {
        Self { value }
    }
}

impl Wrapped for UInt32Value {
    type Inner = u32;
    fn inner(self) -> u32 {
        self.value
    }
    fn wrap(value: u32) -> Self {
        Self { value }
    }
}

impl Wrapped for UInt64Value {
    type Inner = u64;
    fn inner(self) -> u64 {
        self.value
    }
    fn wrap(value: u64) -> Self {
        Self { value }
    }
}

/// A duration, which must not be negative.
pub(crate) fn duration(wire: WireDuration, at: &At<'_>) -> Option<Duration> {
    let parts = (u64::try_from(wire.seconds), u32::try_from(wire.nanos));
    match parts {
        (Ok(seconds), Ok(nanos))
            if nanos < 1_000_000_000 && Duration::new(seconds, nanos) <= LONGEST =>
        {
            Some(Duration::new(seconds, nanos))
        }
        _ => at.refuse("is no duration between 0 and 292 years"),
    }
}

/// A duration above zero.
pub(crate) fn positive(wire: WireDuration, at: &At<'_>) -> Option<Duration> {
    match duration(wire, at)? {
        Duration::ZERO => at.refuse("must be above zero"),
        duration => Some(duration),
    }
}

/// A duration as protobuf has it; longer ones than Envoy takes become the longest.
pub(crate) fn wire_duration(duration: Duration) -> WireDuration {
    let duration = duration.min(LONGEST);
    WireDuration {
        // `LONGEST` fits both.
        seconds: duration.as_secs() as i64,
        nanos: duration.subsec_nanos() as i32,
    }
}

/// `percent` times `scale`, which must be a whole number up to 100 times `scale`.
pub(crate) fn percent(wire: Percent, scale: u16, at: &At<'_>) -> Option<u16> {
    let scaled = wire.value * f64::from(scale);
    let whole = scaled.round();
    match (0.0..=100.0 * f64::from(scale)).contains(&whole) && (scaled - whole).abs() < 1e-6 {
        true => Some(whole as u16),
        false => at.refuse(format!(
            "is {} %, finer than this proxy counts or out of range",
            wire.value
        )),
    }
}

/// A port number, which must not be zero.
pub(crate) fn port(wire: u32, at: &At<'_>) -> Option<u16> {
    match u16::try_from(wire) {
        Ok(port) if port > 0 => Some(port),
        _ => at.refuse(format!("{wire} is no port")),
    }
}

/// The variant of an enumeration that `wire` numbers.
pub(crate) fn variant<E: TryFrom<i32>>(wire: i32, at: &At<'_>) -> Option<E> {
    match E::try_from(wire) {
        Ok(variant) => Some(variant),
        Err(_) => at.refuse(format!("{wire} is no value of this enumeration")),
    }
}
