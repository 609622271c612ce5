//! Arbitrary outlier detection.

use super::duration;
use mesh_model::cluster::{Consecutive, FailurePercentage, OutlierDetection, Percent, SuccessRate};
use proptest::{option, prelude::*};
use std::time::Duration;

/// Outlier detection.
pub(crate) fn outlier_detection() -> impl Strategy<Value = OutlierDetection> {
    let times = (positive(), positive(), option::of(positive()), duration());
    let ejection = (percent(), any::<bool>(), any::<bool>());
    let rows = (consecutive(), consecutive(), consecutive());
    (times, ejection, rows, success_rate(), failures()).prop_map(
        |(times, ejection, rows, success_rate, failure_percentage)| {
            let (interval, base_ejection_time, max, max_ejection_time_jitter) = times;
            OutlierDetection {
                interval,
                base_ejection_time,
                max_ejection_time: max.map(|max| max.max(base_ejection_time)),
                max_ejection_time_jitter,
                max_ejection_percent: ejection.0,
                always_eject_one_host: ejection.1,
                split_local_origin: ejection.2,
                consecutive_5xx: rows.0,
                consecutive_gateway_failure: rows.1,
                consecutive_local_origin_failure: rows.2,
                success_rate,
                failure_percentage,
            }
        },
    )
}

fn positive() -> impl Strategy<Value = Duration> {
    duration().prop_map(|duration| duration.max(Duration::from_millis(1)))
}

/// A whole percentage.
pub(crate) fn percent() -> impl Strategy<Value = Percent> {
    (0..=100u8).prop_map(|p| Percent::new(p).expect("up to 100"))
}

fn consecutive() -> impl Strategy<Value = Consecutive> {
    (any::<u32>(), percent()).prop_map(|(count, enforcing)| Consecutive { count, enforcing })
}

fn success_rate() -> impl Strategy<Value = SuccessRate> {
    (percent(), percent(), any::<[u32; 3]>()).prop_map(
        |(enforcing, enforcing_local_origin, [hosts, volume, stdev_factor])| SuccessRate {
            enforcing,
            enforcing_local_origin,
            minimum_hosts: hosts,
            request_volume: volume,
            stdev_factor,
        },
    )
}

fn failures() -> impl Strategy<Value = FailurePercentage> {
    (percent(), percent(), percent(), any::<[u32; 2]>()).prop_map(
        |(threshold, enforcing, enforcing_local_origin, [hosts, volume])| FailurePercentage {
            threshold,
            enforcing,
            enforcing_local_origin,
            minimum_hosts: hosts,
            request_volume: volume,
        },
    )
}
