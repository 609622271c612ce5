//! The `PROXY_CONFIG` variable: the non-default part of Istio's ProxyConfig, as JSON.

use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};

/// The fields that this version executes; others are reported.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ProxyConfig {
    pub(super) discovery_address: Option<String>,
    pub(super) concurrency: Option<usize>,
    #[serde(deserialize_with = "duration")]
    pub(super) drain_duration: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(super) termination_drain_duration: Option<Duration>,
    pub(super) status_port: Option<u16>,
    pub(super) proxy_admin_port: Option<u16>,
    pub(super) proxy_metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    pub(super) unknown: BTreeMap<String, serde_json::Value>,
}

/// Protobuf's JSON form of a duration: seconds with an `s`. `5m` and `100ms`, which Istio's YAML allows, are understood.
fn duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else {
        return Ok(None);
    };
    typed_duration(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

/// A duration as a flag or a variable gives it.
pub(super) fn typed_duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("`{text}` is not a duration such as 5s or 1.5s"))
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, want) in [
            ("45s", Some(45_000)),
            ("1.5s", Some(1500)),
            ("100ms", Some(100)),
            ("2m", Some(120_000)),
        ] {
            assert_eq!(
                parse_duration(text),
                want.map(Duration::from_millis),
                "{text}"
            );
        }
        for text in ["", "5", "s", "5 s", "-5s", "5d", "1e400s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
