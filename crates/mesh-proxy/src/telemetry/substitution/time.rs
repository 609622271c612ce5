//! `%START_TIME%`: when a request or connection began.

use jiff::{Timestamp, tz::TimeZone};
use std::{io::Write, time::SystemTime};

/// How a time is printed.
#[derive(Debug)]
pub(super) enum TimeFormat {
    /// Envoy's default, `2024-05-12T05:53:29.123Z`.
    Rfc3339,
    /// `strftime`'s directives, in UTC.
    Strftime(String),
}

impl TimeFormat {
    /// The format that stands in the operator's parentheses.
    ///
    /// # Errors
    /// Says what of it is not understood.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::Rfc3339);
        }
        let sample = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        match jiff::fmt::strtime::format(text, &sample) {
            Ok(_) => Ok(Self::Strftime(text.to_owned())),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(super) fn push(&self, out: &mut Vec<u8>, time: SystemTime) {
        let time = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
        match self {
            Self::Rfc3339 => write!(out, "{time:.3}").expect("a Vec grows"),
            Self::Strftime(format) => {
                let zoned = time.to_zoned(TimeZone::UTC);
                // It worked for the sample; should it fail for this time, the place stays empty.
                let text = jiff::fmt::strtime::format(format, &zoned).unwrap_or_default();
                super::escape::push(out, text.as_bytes(), super::escape::Style::Text);
            }
        }
    }
}
