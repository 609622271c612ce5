//! What one listener or filter chain wants to have measured and logged, compiled with it.

use super::access_log::{AccessLog, InvalidFormat, Sinks};
use mesh_model::{access_log, filter::Stats};

/// Who is told of a finished request or connection. The default tells nobody.
#[derive(Debug, Default)]
pub struct Observers {
    pub(super) stats: Option<Stats>,
    pub(super) logs: Box<[AccessLog]>,
}

impl Observers {
    pub(super) fn new(
        stats: Option<Stats>,
        logs: &[access_log::AccessLog],
        sinks: &Sinks,
    ) -> Result<Self, InvalidFormat> {
        Ok(Self {
            stats,
            logs: logs
                .iter()
                .map(|log| AccessLog::new(log, sinks))
                .collect::<Result<_, _>>()?,
        })
    }
}
