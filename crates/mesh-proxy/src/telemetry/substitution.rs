//! Text with operators, such as `%REQ(X-A)%`: of log lines, and of headers that routes add.
//!
//! It is parsed once. What it is about may have ended, as what a log line tells, or may still be under way: then what is
//! not known yet is absent. An absent value is `-` in a text log, `null` in JSON, and nothing in a header.

mod escape; //   hostile bytes
mod operator; // what an operator takes from its subject
mod template; // text with operators
mod time; //     `%START_TIME%`
mod value; //    what it found, and how that is printed

pub use template::InvalidFormat;

pub(crate) use escape::Style;
pub(crate) use template::Template;

pub(super) use escape::push as escape;
pub(super) use template::Piece;

use super::UpstreamRecord;
use crate::{connection::Connection, flag::ResponseFlags, policy::metadata::DynamicMetadata};
use http::{HeaderMap, Method, StatusCode, Version};
use std::time::{Duration, SystemTime};

/// What a text is about: a request or a connection.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// The connection.
    pub(crate) connection: &'a Connection,
    /// When it began.
    pub(crate) start: SystemTime,
    /// `None`: bytes, not requests.
    pub(crate) request: Option<RequestView<'a>>,
    /// `None`: there is none yet.
    pub(crate) response: Option<ResponseView<'a>>,
    /// Where it left to.
    pub(crate) upstream: &'a UpstreamRecord,
    /// Response flags so far.
    pub(crate) flags: ResponseFlags,
    /// `None`: it has not ended.
    pub(crate) ended: Option<EndedView<'a>>,
}

/// A request.
#[derive(Clone, Copy)]
pub(crate) struct RequestView<'a> {
    /// Method.
    pub(crate) method: &'a Method,
    /// Path, with its query.
    pub(crate) path: &'a str,
    /// Host as the client sent it.
    pub(crate) authority: &'a str,
    /// HTTP version of the client.
    pub(crate) version: Version,
    /// Headers.
    pub(crate) headers: &'a HeaderMap,
    /// Name of its route.
    pub(crate) route: Option<&'a str>,
    /// What filters wrote about it.
    pub(crate) metadata: &'a DynamicMetadata,
}

/// A response.
#[derive(Clone, Copy)]
pub(crate) struct ResponseView<'a> {
    /// Headers, at least those that are shown.
    pub(crate) headers: Option<&'a HeaderMap>,
    /// Status.
    pub(crate) status: Option<StatusCode>,
    /// gRPC status, from headers or trailers.
    pub(crate) grpc_status: Option<u32>,
}

/// An end.
#[derive(Clone, Copy)]
pub(crate) struct EndedView<'a> {
    /// How long it took.
    pub(crate) duration: Duration,
    /// `%RESPONSE_CODE_DETAILS%`.
    pub(crate) details: Option<&'a str>,
    /// `%CONNECTION_TERMINATION_DETAILS%`.
    pub(crate) termination_details: Option<&'a str>,
    /// Bytes from the client.
    pub(crate) bytes_received: u64,
    /// Bytes to the client.
    pub(crate) bytes_sent: u64,
}
