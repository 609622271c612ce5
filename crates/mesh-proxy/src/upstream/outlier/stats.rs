//! What is counted of outliers, by Envoy's names.

use super::{Kind, Threshold};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Names under `cluster.NAME.`: of what was found, and of what was done about it.
const NAMES: [(Kind, &str, &str); 7] = [
    (
        Kind::Consecutive5xx,
        "outlier_detection.ejections_detected_consecutive_5xx",
        "outlier_detection.ejections_enforced_consecutive_5xx",
    ),
    (
        Kind::ConsecutiveGatewayFailure,
        "outlier_detection.ejections_detected_consecutive_gateway_failure",
        "outlier_detection.ejections_enforced_consecutive_gateway_failure",
    ),
    (
        Kind::ConsecutiveLocalOriginFailure,
        "outlier_detection.ejections_detected_consecutive_local_origin_failure",
        "outlier_detection.ejections_enforced_consecutive_local_origin_failure",
    ),
    (
        Kind::SuccessRate,
        "outlier_detection.ejections_detected_success_rate",
        "outlier_detection.ejections_enforced_success_rate",
    ),
    (
        Kind::LocalOriginSuccessRate,
        "outlier_detection.ejections_detected_local_origin_success_rate",
        "outlier_detection.ejections_enforced_local_origin_success_rate",
    ),
    (
        Kind::FailurePercentage,
        "outlier_detection.ejections_detected_failure_percentage",
        "outlier_detection.ejections_enforced_failure_percentage",
    ),
    (
        Kind::FailurePercentageLocalOrigin,
        "outlier_detection.ejections_detected_failure_percentage_local_origin",
        "outlier_detection.ejections_enforced_failure_percentage_local_origin",
    ),
];

/// Of one cluster, for as long as it is there. Only the control side writes.
#[derive(Debug, Default)]
pub struct OutlierStats {
    detected: [AtomicU64; 7],
    enforced: [AtomicU64; 7],
    overflow: AtomicU64,
    active: AtomicU64,
    thresholds: Mutex<[Option<Threshold>; 2]>,
}

impl OutlierStats {
    /// A host is an outlier.
    pub(in crate::upstream) fn detected(&self, kind: Kind) {
        self.detected[kind as usize].fetch_add(1, Relaxed);
    }

    /// It is ejected.
    pub(in crate::upstream) fn enforced(&self, kind: Kind) {
        self.enforced[kind as usize].fetch_add(1, Relaxed);
    }

    /// It is not, because enough are.
    pub(in crate::upstream) fn overflowed(&self) {
        self.overflow.fetch_add(1, Relaxed);
    }

    /// So many are.
    pub(in crate::upstream) fn set_active(&self, count: usize) {
        self.active.store(count as u64, Relaxed);
    }

    /// How many are ejected.
    pub fn active(&self) -> u64 {
        self.active.load(Relaxed)
    }

    /// What rates were last compared with: of answers and of connections.
    pub(in crate::upstream) fn set_thresholds(&self, thresholds: [Option<Threshold>; 2]) {
        *self.thresholds.lock() = thresholds;
    }

    /// Mean rate and least rate, in percent: of answers and of connections.
    pub fn thresholds(&self) -> [Option<(f64, f64)>; 2] {
        self.thresholds
            .lock()
            .map(|threshold| threshold.map(|t| (t.mean, t.least)))
    }

    /// Names and values of the counters.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut all = Vec::with_capacity(2 * NAMES.len() + 5);
        for (kind, detected, enforced) in NAMES {
            all.push((detected, self.detected[kind as usize].load(Relaxed)));
            all.push((enforced, self.enforced[kind as usize].load(Relaxed)));
        }
        let enforced = |kind: Kind| self.enforced[kind as usize].load(Relaxed);
        let total = NAMES.iter().map(|(kind, ..)| enforced(*kind)).sum();
        all.push(("outlier_detection.ejections_enforced_total", total));
        let overflow = self.overflow.load(Relaxed);
        all.push(("outlier_detection.ejections_overflow", overflow));
        all
    }
}
