//! Access logs: a format is compiled once, a line is formatted into the worker's buffer, buffers are written by a thread
//! of their own.
//!
//! A line is always one line. Whatever a client sent is escaped in it: line ends, quotes, control characters, bytes that
//! are no UTF-8.

mod buffer; //   a worker's lines
mod escape; //   hostile bytes
mod format; //   text with operators
mod operator; // what an operator takes from a record
mod sink; //     files, and the thread that writes them
mod time; //     `%START_TIME%`
mod value; //    what it found, and how that is printed

pub use format::InvalidFormat;

pub(super) use buffer::Buffers;
pub(super) use sink::Sinks;

use sink::SinkId;

use super::{RequestRecord, TcpRecord};
use crate::{connection::Connection, flag::ResponseFlags, telemetry::UpstreamRecord};
use format::Form;
use http::HeaderName;
use mesh_model::access_log;

/// A compiled access log.
#[derive(Debug)]
pub struct AccessLog {
    sink: SinkId,
    form: Form,
    only_no_route: bool,
}

/// What a line is about.
#[derive(Clone, Copy)]
pub(super) enum Line<'a> {
    /// A request.
    Request(&'a RequestRecord<'a>),
    /// A connection.
    Tcp(&'a TcpRecord<'a>),
}

impl<'a> Line<'a> {
    fn request(self) -> Option<&'a RequestRecord<'a>> {
        match self {
            Self::Request(record) => Some(record),
            Self::Tcp(_) => None,
        }
    }

    fn tcp(self) -> Option<&'a TcpRecord<'a>> {
        match self {
            Self::Request(_) => None,
            Self::Tcp(record) => Some(record),
        }
    }

    fn connection(self) -> &'a Connection {
        match self {
            Self::Request(record) => record.connection,
            Self::Tcp(record) => record.connection,
        }
    }

    fn upstream(self) -> &'a UpstreamRecord {
        match self {
            Self::Request(record) => record.upstream,
            Self::Tcp(record) => record.upstream,
        }
    }

    fn flags(self) -> ResponseFlags {
        match self {
            Self::Request(record) => record.flags,
            Self::Tcp(record) => record.flags,
        }
    }
}

impl AccessLog {
    pub(super) fn new(model: &access_log::AccessLog, sinks: &Sinks) -> Result<Self, InvalidFormat> {
        Ok(Self {
            form: Form::compile(&model.format)?,
            sink: sinks.sink(&model.path),
            only_no_route: model.only_no_route,
        })
    }

    /// The response headers that its lines show.
    pub(super) fn response_headers(&self) -> Vec<HeaderName> {
        self.form.response_headers()
    }

    /// Whether `line` is to be logged.
    pub(super) fn wants(&self, line: &Line<'_>) -> bool {
        !self.only_no_route || line.flags().contains(ResponseFlags::NO_ROUTE_FOUND)
    }
}

#[cfg(test)]
mod tests;
