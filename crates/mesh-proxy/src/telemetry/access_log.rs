//! Access logs: a format is compiled once, a line is formatted into the worker's buffer, buffers are written by a thread
//! of their own.
//!
//! A line is always one line. Whatever a client sent is escaped in it: line ends, quotes, control characters, bytes that
//! are no UTF-8.

mod buffer; // a worker's lines
mod format; // text with operators, or JSON of such texts
mod sink; //   files, and the thread that writes them

pub(super) use buffer::Buffers;
pub(super) use sink::Sinks;

use sink::SinkId;

use super::{
    RequestRecord, TcpRecord,
    substitution::{EndedView, InvalidFormat, RequestView, ResponseView, Subject},
};
use crate::flag::ResponseFlags;
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
    fn flags(self) -> ResponseFlags {
        match self {
            Self::Request(record) => record.flags,
            Self::Tcp(record) => record.flags,
        }
    }

    fn subject(self) -> Subject<'a> {
        match self {
            Self::Request(record) => of_request(record),
            Self::Tcp(record) => of_connection(record),
        }
    }
}

fn of_request<'a>(record: &'a RequestRecord<'a>) -> Subject<'a> {
    Subject {
        connection: record.connection,
        start: record.start,
        request: Some(RequestView {
            method: record.method,
            path: record.path,
            authority: record.authority,
            version: record.version,
            headers: record.request_headers,
            route: record.route,
            metadata: record.metadata,
        }),
        response: Some(ResponseView {
            headers: record.response_headers,
            status: record.status,
            grpc_status: record.grpc_status,
        }),
        upstream: record.upstream,
        flags: record.flags,
        ended: Some(EndedView {
            duration: record.duration,
            details: Some(&record.details),
            termination_details: None,
            bytes_received: record.bytes_received,
            bytes_sent: record.bytes_sent,
        }),
    }
}

fn of_connection<'a>(record: &'a TcpRecord<'a>) -> Subject<'a> {
    Subject {
        connection: record.connection,
        start: record.start,
        request: None,
        response: None,
        upstream: record.upstream,
        flags: record.flags,
        ended: Some(EndedView {
            duration: record.duration,
            details: record.details.as_deref(),
            termination_details: record.termination_details.as_deref(),
            bytes_received: record.bytes_received,
            bytes_sent: record.bytes_sent,
        }),
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
