//! How long certificates live: what is asked for, within limits.

use std::time::Duration;

/// How long workload certificates live.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// When the request names none (`DEFAULT_WORKLOAD_CERT_TTL`).
    pub default: Duration,
    /// At most (`MAX_WORKLOAD_CERT_TTL`).
    pub max: Duration,
}

impl Default for Lifetime {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            default: DAY,
            max: 90 * DAY,
        }
    }
}

impl Lifetime {
    /// The lifetime for a requested one in seconds.
    pub fn of_request(&self, wanted_s: i64) -> Duration {
        match u64::try_from(wanted_s) {
            Ok(s) if s > 0 => Duration::from_secs(s).min(self.max),
            _ => self.default.min(self.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_62_lifetimes_are_capped() {
        let lifetime = Lifetime::default();
        let hours = |wanted_s: i64| lifetime.of_request(wanted_s).as_secs() / 3600;
        assert_eq!(hours(0), 24);
        assert_eq!(hours(-1), 24);
        assert_eq!(hours(7200), 2);
        assert_eq!(hours(10 * 365 * 24 * 3600), 90 * 24);
        assert_eq!(hours(i64::MAX), 90 * 24);
    }
}
