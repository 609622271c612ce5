//! Ejects hosts that are outliers, and takes them back: the control side of outlier detection.
//!
//! Envoy's rules to the letter: an ejection lasts the base time as often as the host was ejected, up to the longest;
//! with each interval in service it is forgiven one. Who is ejected counts as not healthy until the endpoints are laid
//! out anew, which every change here does at once.

use super::Entry;
use crate::upstream::{
    Host,
    outlier::{Kind, Outliers, Rate, below},
};
use mesh_model::cluster::{OutlierDetection, Percent};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// When a cluster's hosts are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sweeps {
    began: Instant,
}

impl Sweeps {
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    // The next of the instants that lie an interval apart.
    fn next(self, interval: Duration) -> Instant {
        let nanos = interval.as_nanos().max(1);
        let passed = self.began.elapsed().as_nanos() / nanos + 1;
        let after = u64::try_from(passed * nanos).unwrap_or(u64::MAX >> 1);
        self.began + Duration::from_nanos(after)
    }
}

impl Entry {
    fn outliers(&self) -> Option<&Outliers> {
        self.active.as_ref()?.outliers.as_ref()
    }

    /// Looks at the hosts again at this instant; `None`: there is nothing to look at.
    pub(super) fn schedule_sweep(&mut self) {
        let Some(outliers) = self.outliers() else {
            self.sweep_at = None;
            return;
        };
        let is_due = outliers.looks_at_rates() || self.hosts.values().any(|h| is_remembered(h));
        let next = self.sweeps.next(outliers.config.interval);
        self.sweep_at = is_due.then(|| self.sweep_at.unwrap_or(next));
    }

    /// A host has failed too often.
    pub(super) fn judge(&mut self, host: &Arc<Host>, kind: Kind) {
        let known = self.hosts.get(&host.address);
        let is_ours = known.is_some_and(|known| known.id == host.id);
        if !is_ours || host.monitor.is_ejected() {
            return;
        }
        if self.detect(host, kind) {
            self.lay_out();
        }
        host.monitor.forgive_one(kind);
        self.schedule_sweep();
    }

    /// An interval is over.
    pub(super) fn sweep(&mut self) {
        self.sweep_at = None;
        let Some(info) = self.active.clone() else {
            return;
        };
        let Some(outliers) = &info.outliers else {
            return;
        };
        let mut changed = false;
        for host in self.hosts.values() {
            changed |= serve_time(host, &outliers.config);
        }
        if outliers.looks_at_rates() {
            changed |= self.compare(outliers);
        }
        self.count_active();
        if changed {
            self.lay_out();
        }
        self.schedule_sweep();
    }

    /// Counts those that are out. If nobody looks after hosts any more, all are taken back; whether there were any.
    pub(super) fn review_ejections(&mut self) -> bool {
        let mut changed = false;
        if self.outliers().is_none() {
            for host in self.hosts.values().filter(|h| h.monitor.is_ejected()) {
                host.monitor.take_back();
                changed = true;
            }
        }
        self.count_active();
        self.schedule_sweep();
        changed
    }

    fn count_active(&self) {
        if let Some(outliers) = self.outliers() {
            outliers.stats.set_active(self.ejected());
        }
    }

    fn ejected(&self) -> usize {
        let ejected = self.hosts.values().filter(|h| h.monitor.is_ejected());
        ejected.count()
    }

    // Rates of the interval that is over, each host against the others.
    fn compare(&self, outliers: &Outliers) -> bool {
        let config = &outliers.config;
        let (rate, failures) = (config.success_rate, config.failure_percentage);
        let mut thresholds = [None; 2];
        let mut changed = false;
        for (local, threshold) in [false, true].into_iter().zip(&mut thresholds) {
            let mut all = Vec::with_capacity(self.hosts.len());
            let mut eligible = Vec::new();
            for host in self.hosts.values() {
                let bucket = match local {
                    false => &host.monitor.external,
                    true => &host.monitor.local,
                };
                let (total, good) = bucket.take();
                let percent = (total > 0).then(|| f64::from(good) * 100.0 / f64::from(total));
                let with = |percent| Rate {
                    host: Arc::clone(host),
                    percent,
                };
                let of_volume = |volume| percent.filter(|_| total >= volume).map(with);
                bucket.set_rate(percent.filter(|_| total >= rate.request_volume));
                all.extend(of_volume(failures.request_volume));
                eligible.extend(of_volume(rate.request_volume));
            }
            let by_rate = match local {
                false => Kind::SuccessRate,
                true => Kind::LocalOriginSuccessRate,
            };
            *threshold = below(&eligible, &rate);
            if let Some(threshold) = threshold {
                let outliers = eligible.iter().filter(|r| r.percent < threshold.least);
                changed |= self.detect_all(outliers, by_rate);
            }
            let by_failures = match local {
                false => Kind::FailurePercentage,
                true => Kind::FailurePercentageLocalOrigin,
            };
            if !all.is_empty() && all.len() >= failures.minimum_hosts as usize {
                let most = f64::from(failures.threshold.get());
                let outliers = all.iter().filter(|r| 100.0 - r.percent >= most);
                changed |= self.detect_all(outliers, by_failures);
            }
        }
        outliers.stats.set_thresholds(thresholds);
        changed
    }

    fn detect_all<'a>(&self, rates: impl Iterator<Item = &'a Rate>, kind: Kind) -> bool {
        let mut changed = false;
        for rate in rates.filter(|rate| !rate.host.monitor.is_ejected()) {
            changed |= self.detect(&rate.host, kind);
        }
        changed
    }

    // Whether the host is ejected.
    fn detect(&self, host: &Arc<Host>, kind: Kind) -> bool {
        let Some(outliers) = self.outliers() else {
            return false;
        };
        let (config, stats) = (&outliers.config, &outliers.stats);
        stats.detected(kind);
        let ejected = self.ejected();
        let share = 100.0 * (ejected + 1) as f64 / self.hosts.len().max(1) as f64;
        let has_room = share <= f64::from(config.max_ejection_percent.get());
        let is_the_first = config.always_eject_one_host && ejected == 0;
        if !has_room && !is_the_first {
            stats.overflowed();
            return false;
        }
        if !is_enforced(config, kind) {
            return false;
        }
        stats.enforced(kind);
        host.monitor.eject(jitter(config.max_ejection_time_jitter));
        let (base, longest) = (config.base_ejection_time, config.longest_ejection());
        if base.saturating_mul(host.monitor.backoff()) < longest.saturating_add(base) {
            host.monitor.lengthen();
        }
        self.count_active();
        tracing::info!(host = %host.address, ?kind, cluster = %self.slot.name().as_str(), "host ejected");
        true
    }
}

// Whether the host is taken back.
fn serve_time(host: &Host, config: &OutlierDetection) -> bool {
    let monitor = &host.monitor;
    if !monitor.is_ejected() {
        monitor.shorten();
        return false;
    }
    let length = config.base_ejection_time.saturating_mul(monitor.backoff());
    let is_over = monitor.has_served(length.min(config.longest_ejection()));
    if is_over {
        monitor.take_back();
        tracing::info!(host = %host.address, "host taken back");
    }
    is_over
}

fn is_remembered(host: &Host) -> bool {
    host.monitor.is_ejected() || host.monitor.backoff() > 0
}

fn is_enforced(config: &OutlierDetection, kind: Kind) -> bool {
    let (rate, failures) = (&config.success_rate, &config.failure_percentage);
    let chance = match kind {
        Kind::Consecutive5xx => config.consecutive_5xx.enforcing,
        Kind::ConsecutiveGatewayFailure => config.consecutive_gateway_failure.enforcing,
        Kind::ConsecutiveLocalOriginFailure => config.consecutive_local_origin_failure.enforcing,
        Kind::SuccessRate => rate.enforcing,
        Kind::LocalOriginSuccessRate => rate.enforcing_local_origin,
        Kind::FailurePercentage => failures.enforcing,
        Kind::FailurePercentageLocalOrigin => failures.enforcing_local_origin,
    };
    happens(chance)
}

fn happens(chance: Percent) -> bool {
    fastrand::u8(..100) < chance.get()
}

fn jitter(most: Duration) -> Duration {
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(fastrand::u64(..=millis))
}
