//! Which hosts of a cluster are ejected for what became of requests to them (Envoy `OutlierDetection`).

use super::Percent;
use std::time::Duration;

/// Envoy's longest ejection where nothing is set, unless the base time is longer.
const MAX_EJECTION: Duration = Duration::from_secs(300);

/// Passive health checking. The default is Envoy's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    /// How often rates are looked at and ejected hosts are taken back; over zero.
    pub interval: Duration,
    /// A host is ejected for this time, times the number of its ejections; over zero.
    pub base_ejection_time: Duration,
    /// Longest ejection; `None`: Envoy's 300 s, or the base time if that is longer.
    pub max_ejection_time: Option<Duration>,
    /// At most so much more, at random.
    pub max_ejection_time_jitter: Duration,
    /// Largest share of the cluster's hosts that are ejected at once.
    pub max_ejection_percent: Percent,
    /// One host may be ejected whatever share it is.
    pub always_eject_one_host: bool,
    /// Failures on our side (no connection, no answer in time) are counted apart from what servers answer.
    pub split_local_origin: bool,
    /// Answers of 5xx in a row; where nothing is split, local failures too.
    pub consecutive_5xx: Consecutive,
    /// Answers of 502, 503 or 504 in a row; where nothing is split, local failures too.
    pub consecutive_gateway_failure: Consecutive,
    /// Local failures in a row, where they are split.
    pub consecutive_local_origin_failure: Consecutive,
    /// Hosts that succeed less often than the others.
    pub success_rate: SuccessRate,
    /// Hosts that fail too often, whatever the others do.
    pub failure_percentage: FailurePercentage,
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consecutive {
    /// So many are too many; 0: they are not counted.
    pub count: u32,
    /// Chance that a host that has had so many is ejected.
    pub enforcing: Percent,
}

/// Success rates, compared with those of the other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessRate {
    /// Chance that an outlier is ejected.
    pub enforcing: Percent,
    /// The same for local failures, where they are split.
    pub enforcing_local_origin: Percent,
    /// Nothing is compared if fewer hosts had enough requests.
    pub minimum_hosts: u32,
    /// A host takes part if it had so many requests in an interval.
    pub request_volume: u32,
    /// Thousandths of the standard deviation by which a host may be below the mean.
    pub stdev_factor: u32,
}

/// Shares of requests that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePercentage {
    /// From this share on a host is an outlier.
    pub threshold: Percent,
    /// Chance that an outlier is ejected.
    pub enforcing: Percent,
    /// The same for local failures, where they are split.
    pub enforcing_local_origin: Percent,
    /// Nothing is looked at if fewer hosts had enough requests.
    pub minimum_hosts: u32,
    /// A host takes part if it had so many requests in an interval.
    pub request_volume: u32,
}

impl OutlierDetection {
    /// Longest ejection, without jitter.
    pub fn longest_ejection(&self) -> Duration {
        self.max_ejection_time
            .unwrap_or(MAX_EJECTION.max(self.base_ejection_time))
    }
}

impl Default for OutlierDetection {
    fn default() -> Self {
        let always = |count| Consecutive {
            count,
            enforcing: Percent::HUNDRED,
        };
        Self {
            interval: Duration::from_secs(10),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_time: None,
            max_ejection_time_jitter: Duration::ZERO,
            max_ejection_percent: Percent(10),
            always_eject_one_host: false,
            split_local_origin: false,
            consecutive_5xx: always(5),
            consecutive_gateway_failure: Consecutive {
                count: 5,
                enforcing: Percent::ZERO,
            },
            consecutive_local_origin_failure: always(5),
            success_rate: SuccessRate::default(),
            failure_percentage: FailurePercentage::default(),
        }
    }
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self {
            enforcing: Percent::HUNDRED,
            enforcing_local_origin: Percent::HUNDRED,
            minimum_hosts: 5,
            request_volume: 100,
            stdev_factor: 1900,
        }
    }
}

impl Default for FailurePercentage {
    fn default() -> Self {
        Self {
            threshold: Percent(85),
            enforcing: Percent::ZERO,
            enforcing_local_origin: Percent::ZERO,
            minimum_hosts: 5,
            request_volume: 50,
        }
    }
}
