//! What one listener or filter chain wants to have measured and logged, compiled with it.

use super::{
    access_log::{AccessLog, Sinks},
    substitution::InvalidFormat,
};
use http::HeaderName;
use mesh_model::{access_log, filter::Stats};

/// Who is told of a finished request or connection. The default tells nobody.
#[derive(Debug, Default)]
pub struct Observers {
    pub(super) stats: Option<Stats>,
    pub(super) logs: Box<[AccessLog]>,
    response_headers: Box<[HeaderName]>,
}

impl Observers {
    pub(super) fn new(
        stats: Option<Stats>,
        logs: &[access_log::AccessLog],
        sinks: &Sinks,
    ) -> Result<Self, InvalidFormat> {
        let logs = logs.iter().map(|log| AccessLog::new(log, sinks));
        let logs = logs.collect::<Result<Box<[AccessLog]>, _>>()?;
        let mut response_headers: Vec<HeaderName> =
            logs.iter().flat_map(AccessLog::response_headers).collect();
        response_headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        response_headers.dedup();
        Ok(Self {
            stats,
            logs,
            response_headers: response_headers.into(),
        })
    }

    /// The response headers that are looked at: a record need hold no others.
    pub fn response_headers(&self) -> &[HeaderName] {
        &self.response_headers
    }
}
