//! When a server says to try again, such as by `retry-after`.

use http::HeaderMap;
use mesh_model::route::{ResetFormat, ResetHeader, RetryPolicy};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest interval that counts where nothing is set.
const MOST: Duration = Duration::from_secs(300);

/// How long the server asks to wait, with up to a half more so that not all come back at once; `None`: it does not say.
pub(super) fn interval(policy: &RetryPolicy, headers: &HeaderMap) -> Option<Duration> {
    let back_off = policy.rate_limited_back_off.as_ref()?;
    let most = back_off.max.unwrap_or(MOST);
    let now = SystemTime::now();
    let told = back_off.headers.iter();
    let told = told.filter_map(|header| told_by(header, headers, now));
    let told = { told }.find(|interval| *interval <= most)?;
    let millis = u64::try_from(told.as_millis()).ok()?;
    (millis > 1).then(|| Duration::from_millis(millis + fastrand::u64(..millis / 2)))
}

fn told_by(header: &ResetHeader, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header.name.as_str())?.to_str().ok()?;
    let seconds = Duration::from_secs(value.parse().ok()?);
    match header.format {
        ResetFormat::Seconds => Some(seconds),
        ResetFormat::UnixTimestamp => seconds.checked_sub(now.duration_since(UNIX_EPOCH).ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use mesh_model::route::RateLimitedBackOff;

    fn header(name: &str, format: ResetFormat) -> ResetHeader {
        ResetHeader {
            name: name.into(),
            format,
        }
    }

    #[test]
    fn the_first_header_that_says_it_counts() {
        let policy = RetryPolicy {
            rate_limited_back_off: Some(RateLimitedBackOff {
                headers: vec![
                    header("retry-after", ResetFormat::Seconds),
                    header("x-ratelimit-reset", ResetFormat::UnixTimestamp),
                ],
                max: Some(Duration::from_secs(10)),
            }),
            ..RetryPolicy::default()
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs();
        let soon = (now + 8).to_string();
        for (after, reset, range) in [
            (Some("2"), None, Some(2000..3000)),
            (Some("0"), None, None),
            (Some("11"), None, None),
            (Some("soon"), None, None),
            (None, None, None),
            (Some("20"), Some(soon.as_str()), Some(6000..12_001)),
            (Some("2"), Some(soon.as_str()), Some(2000..3000)),
            (None, Some("1"), None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("retry-after", after), ("x-ratelimit-reset", reset)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_str(value).expect("a value"));
                }
            }
            let got = interval(&policy, &headers).map(|d| d.as_millis());
            let fits = match (&got, &range) {
                (Some(got), Some(range)) => range.contains(got),
                (None, None) => true,
                _ => false,
            };
            assert!(fits, "{after:?} {reset:?}: {got:?}");
        }
        let silent = RetryPolicy::default();
        assert_eq!(interval(&silent, &HeaderMap::new()), None);
    }
}
