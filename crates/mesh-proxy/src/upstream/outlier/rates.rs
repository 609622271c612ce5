//! Hosts that succeed less often than the others do.

use super::Host;
use mesh_model::cluster::SuccessRate;
use std::sync::Arc;

/// A host with its success rate in an interval.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Rate {
    pub(in crate::upstream) host: Arc<Host>,
    /// In percent.
    pub(in crate::upstream) percent: f64,
}

/// What rates are compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::upstream) struct Threshold {
    /// Mean of the rates, in percent.
    pub(in crate::upstream) mean: f64,
    /// A host below it is an outlier.
    pub(in crate::upstream) least: f64,
}

/// What hosts with these `rates` are to reach; `None`: too few are there to tell.
pub(in crate::upstream) fn below(rates: &[Rate], config: &SuccessRate) -> Option<Threshold> {
    if rates.is_empty() || rates.len() < config.minimum_hosts as usize {
        return None;
    }
    let count = rates.len() as f64;
    let mean = rates.iter().map(|rate| rate.percent).sum::<f64>() / count;
    let squares = rates.iter().map(|rate| (rate.percent - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    Some(Threshold {
        mean,
        least: mean - f64::from(config.stdev_factor) / 1000.0 * deviation,
    })
}
