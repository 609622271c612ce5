//! What happened to one request, from its first header to the last byte of its response.
//!
//! Gathered by everything on the way, told to telemetry once, at the end.

use super::{
    body::{Error, Upload},
    canonical::Canonical,
    downstream::Downstream,
    grpc,
    local_reply::LocalReply,
    manager::Table,
    route::{Action, Route},
};
use crate::{
    flag::ResponseFlags,
    policy::metadata::DynamicMetadata,
    telemetry::{
        RequestRecord, UpstreamRecord, Workload,
        substitution::{RequestView, ResponseView, Style, Subject, Template},
    },
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Version, request::Parts, uri::PathAndQuery,
};
use http_body::Frame;
use serde_json::Value;
use std::{
    borrow::Cow,
    cell::{Cell, Ref, RefCell},
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, Sleep, sleep_until};

/// One request and its response.
pub(super) struct Exchange {
    pub(super) downstream: Rc<Downstream>,
    pub(super) began: Instant,
    /// What the request drew: all shares of requests are judged by this one number.
    pub(super) random: u64,
    start: SystemTime,
    method: Method,
    version: Version,
    facts: RefCell<Facts>,
    bytes_sent: Cell<u64>,
    // Of an upgrade; those of a body are counted there.
    bytes_received: Cell<u64>,
    closes: Cell<bool>,
    // When something last came from the server.
    active_at: Cell<Instant>,
    // `None`: it may be idle for ever.
    idle_limit: Cell<Option<Duration>>,
    // Tries so far.
    attempts: Cell<u32>,
    // It is answered by what it may ask.
    preflight: Cell<bool>,
}

/// What is found out on the way.
#[derive(Default)]
struct Facts {
    authority: Option<HeaderValue>,
    // As it came, until it is decided what it means.
    path: Option<PathAndQuery>,
    is_grpc: bool,
    route: Option<(Table, (u32, u32))>,
    upload: Option<Rc<Upload>>,
    request_headers: HeaderMap,
    response_headers: Option<HeaderMap>,
    status: Option<StatusCode>,
    grpc_status: Option<u32>,
    flags: ResponseFlags,
    details: Option<Cow<'static, str>>,
    upstream: Rc<UpstreamRecord>,
    peer: Option<Rc<Workload>>,
    operation: Option<HeaderValue>,
    metadata: DynamicMetadata,
    // Of another origin, which may ask.
    origin: Option<HeaderValue>,
    // Of the response, if they are counted.
    messages: Option<grpc::Messages>,
}

impl Exchange {
    /// A request has arrived.
    pub(super) fn begin(downstream: Rc<Downstream>, parts: &Parts) -> Rc<Self> {
        downstream.activity.stream_began();
        let began = Instant::now();
        Rc::new(Self {
            idle_limit: Cell::new(downstream.manager.stream_idle_timeout),
            attempts: Cell::new(0),
            preflight: Cell::new(false),
            downstream,
            began,
            random: fastrand::u64(..),
            active_at: Cell::new(began),
            start: SystemTime::now(),
            method: parts.method.clone(),
            version: parts.version,
            facts: RefCell::new(Facts {
                path: parts.uri.path_and_query().cloned(),
                ..Facts::default()
            }),
            bytes_sent: Cell::new(0),
            bytes_received: Cell::new(0),
            closes: Cell::new(false),
        })
    }

    /// What filters have written.
    pub(super) fn metadata(&self) -> Ref<'_, DynamicMetadata> {
        Ref::map(self.facts.borrow(), |facts| &facts.metadata)
    }

    /// A filter writes a value.
    pub(super) fn write_metadata(&self, filter: &str, key: impl Into<String>, value: Value) {
        let metadata = &mut self.facts.borrow_mut().metadata;
        metadata.set(filter, key, value);
    }

    /// Whether only the head of a response is wanted.
    pub(super) fn wants_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// HTTP version of the client.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// What the request asks for was decided.
    pub(super) fn decided(&self, canonical: &Canonical) {
        let mut facts = self.facts.borrow_mut();
        facts.authority = Some(canonical.authority.clone());
        facts.path = Some(canonical.path.clone());
        facts.is_grpc = canonical.is_grpc;
        let counted = canonical.is_grpc && self.downstream.manager.counts_messages;
        facts.messages = counted.then(grpc::Messages::default);
    }

    /// The server is asked for something else.
    pub(super) fn rewritten(&self, wanted: &Canonical) {
        let mut facts = self.facts.borrow_mut();
        facts.authority = Some(wanted.authority.clone());
        facts.path = Some(wanted.path.clone());
    }

    /// A page of another origin asks, and may.
    pub(super) fn comes_from(&self, origin: &HeaderValue) {
        self.facts.borrow_mut().origin = Some(origin.clone());
    }

    /// A page of another origin is told what it may ask: its route changes nothing of that.
    pub(super) fn tells_preflight(&self) {
        self.preflight.set(true);
    }

    /// Whether one is.
    pub(super) fn is_preflight(&self) -> bool {
        self.preflight.get()
    }

    /// Whether its route sends requests on.
    pub(super) fn is_forwarded(&self) -> bool {
        let facts = self.facts.borrow();
        let route = facts.route.as_ref();
        let route = route.and_then(|(table, found)| Some(table.get()?.route(*found)));
        route.is_some_and(|route| matches!(route.action, Action::Forward(_)))
    }

    /// The origin of the page that asks, if it may.
    pub(super) fn origin(&self) -> Option<HeaderValue> {
        self.facts.borrow().origin.clone()
    }

    /// Whether gRPC messages are counted.
    pub(super) fn counts_messages(&self) -> bool {
        self.facts.borrow().messages.is_some()
    }

    /// Whether the request is gRPC, as far as that was decided.
    pub(super) fn is_grpc(&self) -> bool {
        self.facts.borrow().is_grpc
    }

    /// A route was found.
    pub(super) fn routed(&self, table: &Table, found: (u32, u32)) {
        self.facts.borrow_mut().route = Some((table.clone(), found));
    }

    /// The route that was found, with its table.
    pub(super) fn route(&self) -> Option<(Table, (u32, u32))> {
        self.facts.borrow().route.clone()
    }

    /// Fills in the value of a header. The headers that are being changed are not with the exchange; the request's are
    /// once it has been answered.
    pub(super) fn fill(
        &self,
        template: &Template,
        request: Option<&HeaderMap>,
        response: Option<(StatusCode, &HeaderMap)>,
    ) -> Vec<u8> {
        let facts = self.facts.borrow();
        let route = facts.route.as_ref();
        let route = route.and_then(|(t, f)| Some(t.get()?.route(*f)));
        let subject = Subject {
            connection: &self.downstream.connection,
            start: self.start,
            request: Some(RequestView {
                method: &self.method,
                path: facts.path.as_ref().map_or("", PathAndQuery::as_str),
                authority: text(facts.authority.as_ref()),
                version: self.version,
                headers: request.unwrap_or(&facts.request_headers),
                route: route.map(Route::name),
                metadata: &facts.metadata,
            }),
            response: response.map(|(status, headers)| ResponseView {
                headers: Some(headers),
                status: Some(status),
                grpc_status: facts.grpc_status,
            }),
            upstream: &facts.upstream,
            flags: facts.flags,
            ended: None,
        };
        let mut value = Vec::new();
        template.push(&mut value, &subject, Style::Header);
        value
    }

    /// The request has a body.
    pub(super) fn uploads(&self, upload: &Rc<Upload>) {
        self.facts.borrow_mut().upload = Some(Rc::clone(upload));
    }

    /// Keeps the request's headers, as they were sent on.
    pub(super) fn keep(&self, headers: HeaderMap) {
        self.facts.borrow_mut().request_headers = headers;
    }

    /// A connection was chosen, or failed.
    pub(super) fn left_by(&self, upstream: Rc<UpstreamRecord>) {
        self.facts.borrow_mut().upstream = upstream;
    }

    /// The peer said who it is.
    pub(super) fn met(&self, peer: Rc<Workload>) {
        self.facts.borrow_mut().peer = Some(peer);
    }

    /// An HTTP/1 connection is to be closed after the response.
    pub(super) fn close(&self) {
        self.closes.set(true);
    }

    /// Whether the request has come in whole.
    pub(super) fn is_complete(&self) -> bool {
        let facts = self.facts.borrow();
        (facts.upload.as_ref()).is_none_or(|upload| upload.completed_at().is_some())
    }

    /// When something last came, from either side.
    fn active_at(&self) -> Instant {
        let facts = self.facts.borrow();
        let upload = facts.upload.as_ref().and_then(|u| u.active_at());
        upload.map_or(self.active_at.get(), |at| at.max(self.active_at.get()))
    }

    /// From now on the stream may be idle for so long; `None`: for ever.
    pub(super) fn limit_idleness(&self, limit: Option<Duration>) {
        self.idle_limit.set(limit);
    }

    /// Waits until nothing has come for too long. To be asked whenever the request's own story goes on: its limit may have
    /// changed by then.
    pub(super) async fn idle(&self) {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            loop {
                let Some(limit) = self.idle_limit.get() else {
                    timer = None;
                    return Poll::Pending;
                };
                let due = self.active_at() + limit;
                if due <= Instant::now() {
                    return Poll::Ready(());
                }
                let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
                if timer.deadline() != due {
                    timer.as_mut().reset(due);
                }
                ready!(timer.as_mut().poll(cx));
            }
        })
        .await;
    }

    /// The try of that number, from 1, begins.
    pub(super) fn tries(&self, number: u32) {
        self.attempts.set(number);
    }

    /// Tries so far.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts.get()
    }

    /// Whether it is.
    pub(super) fn closes(&self) -> bool {
        self.closes.get()
    }

    /// The response is to name this operation.
    pub(super) fn operates(&self, operation: Option<&HeaderValue>) {
        self.facts.borrow_mut().operation = operation.cloned();
    }

    /// The operation that the response is to name.
    pub(super) fn operation(&self) -> Option<HeaderValue> {
        self.facts.borrow().operation.clone()
    }

    /// Whether it did.
    pub(super) fn has_met(&self) -> bool {
        self.facts.borrow().peer.is_some()
    }

    /// Adds a flag.
    pub(super) fn flag(&self, flag: ResponseFlags) {
        self.facts.borrow_mut().flags.insert(flag);
    }

    /// A server answered.
    pub(super) fn answered(&self, details: &'static str) {
        self.facts.borrow_mut().details = Some(Cow::Borrowed(details));
    }

    /// We answer by ourselves.
    pub(super) fn replied(&self, reply: &LocalReply) {
        let mut facts = self.facts.borrow_mut();
        facts.flags.insert(reply.flags());
        facts.details = Some(reply.details());
    }

    /// The response goes to the client.
    pub(super) fn responds(&self, status: StatusCode, headers: &HeaderMap) {
        let mut facts = self.facts.borrow_mut();
        facts.status = Some(status);
        if facts.is_grpc {
            facts.grpc_status = grpc::status(headers);
        }
        let wanted = self.downstream.manager.observers.response_headers();
        let shown = wanted
            .iter()
            .filter_map(|n| Some((n.clone(), headers.get(n)?.clone())));
        facts.response_headers = Some(shown.collect());
    }

    fn finish(&self, end: End) {
        self.downstream.activity.stream_ended();
        let mut facts = self.facts.borrow_mut();
        if end == End::ClientLeft {
            let flag = ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION;
            facts.flags.insert(flag);
            facts.details = Some(Cow::Borrowed("downstream_remote_disconnect"));
        }
        let facts = &*facts;
        let route = facts
            .route
            .as_ref()
            .and_then(|(t, f)| Some(t.get()?.route(*f)));
        let record = RequestRecord {
            connection: &self.downstream.connection,
            start: self.start,
            duration: self.began.elapsed(),
            method: &self.method,
            path: facts.path.as_ref().map_or("", PathAndQuery::as_str),
            version: self.version,
            authority: text(facts.authority.as_ref()),
            request_headers: &facts.request_headers,
            response_headers: facts.response_headers.as_ref(),
            status: facts.status,
            grpc_status: facts.grpc_status,
            is_grpc: facts.is_grpc,
            flags: facts.flags,
            details: facts.details.clone().unwrap_or(Cow::Borrowed("-")),
            bytes_received: self.bytes_received.get()
                + facts.upload.as_ref().map_or(0, |u| u.received()),
            bytes_sent: self.bytes_sent.get(),
            messages: facts.messages.map(|responses| {
                let requests = facts.upload.as_ref().map_or(0, |u| u.messages());
                (requests, responses.count())
            }),
            route: route.map(Route::name),
            metadata: &facts.metadata,
            upstream: &facts.upstream,
            peer: facts.peer.as_deref(),
        };
        #[cfg(test)]
        tests::seen(&record);
        let Downstream {
            worker, manager, ..
        } = &*self.downstream;
        worker.telemetry.request(&record, &manager.observers);
    }
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The response came through, or broke off on the server's side.
    Responded,
    /// The client left before.
    ClientLeft,
}

/// Ends its exchange when dropped. Goes with the response: into its body, or into the tunnel that it opens.
pub(super) struct Finish {
    exchange: Rc<Exchange>,
    end: End,
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl Finish {
    /// For a request that has just begun.
    pub(super) fn new(exchange: Rc<Exchange>) -> Self {
        Self {
            exchange,
            end: End::ClientLeft,
            idle: None,
        }
    }

    /// How long the stream may be idle.
    pub(super) fn idle_limit(&self) -> Option<Duration> {
        self.exchange.idle_limit.get()
    }

    /// From now on the response's body is limited in its idleness, if the stream is.
    pub(super) fn limit_idleness(&mut self) {
        self.idle = self
            .idle_limit()
            .map(|limit| (limit, Box::pin(tokio::time::sleep(limit))));
    }

    /// Ready once nothing has come for too long.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((limit, timer)) = &mut self.idle else {
            return Poll::Pending;
        };
        loop {
            std::task::ready!(timer.as_mut().poll(cx));
            let due = self.exchange.active_at() + *limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }

    /// All of the response went out.
    pub(super) fn complete(&mut self) {
        self.end = End::Responded;
    }

    /// A part of the response goes out.
    pub(super) fn sent(&mut self, frame: &Frame<Bytes>) {
        if self.idle.is_some() {
            self.exchange.active_at.set(Instant::now());
        }
        if let Some(data) = frame.data_ref() {
            self.sent_bytes(data.len() as u64);
            if let Some(messages) = &mut self.exchange.facts.borrow_mut().messages {
                messages.data(data);
            }
        } else if let Some(trailers) = frame.trailers_ref() {
            let mut facts = self.exchange.facts.borrow_mut();
            if facts.is_grpc {
                facts.grpc_status = grpc::status(trailers);
            }
        }
    }

    /// So many bytes of the response went out.
    pub(super) fn sent_bytes(&mut self, n: u64) {
        let sent = &self.exchange.bytes_sent;
        sent.set(sent.get() + n);
    }

    /// So many bytes came after an upgrade.
    pub(super) fn received_bytes(&mut self, n: u64) {
        let received = &self.exchange.bytes_received;
        received.set(received.get() + n);
    }

    /// The response broke off.
    pub(super) fn failed(&mut self, error: &Error) {
        let (flag, details) = match error {
            Error::Timeout => (ResponseFlags::UPSTREAM_REQUEST_TIMEOUT, "response_timeout"),
            Error::Idle => (ResponseFlags::STREAM_IDLE_TIMEOUT, "stream_idle_timeout"),
            Error::Upstream(cause) if is_reset(cause) => (
                ResponseFlags::UPSTREAM_REMOTE_RESET,
                "upstream_reset_after_response_started{remote_reset}",
            ),
            Error::Upstream(cause) if breaks_off(cause) => (
                ResponseFlags::UPSTREAM_PROTOCOL_ERROR,
                "upstream_reset_after_response_started{protocol_error}",
            ),
            Error::Upstream(_) => (
                ResponseFlags::UPSTREAM_CONNECTION_TERMINATION,
                "upstream_reset_after_response_started{connection_termination}",
            ),
            Error::Downstream(_) | Error::Superseded => return,
        };
        self.complete();
        let mut facts = self.exchange.facts.borrow_mut();
        facts.flags.insert(flag);
        facts.details = Some(Cow::Borrowed(details));
    }
}

// The connection was closed in the middle of a body.
fn breaks_off(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error);
    let io = cause.and_then(|e| e.downcast_ref::<std::io::Error>());
    error.is_incomplete_message()
        || io.is_some_and(|io| io.kind() == std::io::ErrorKind::UnexpectedEof)
}

fn is_reset(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error);
    cause
        .and_then(|e| e.downcast_ref::<h2::Error>())
        .is_some_and(|e| e.is_reset())
}

impl std::fmt::Debug for Finish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finish").field("end", &self.end).finish()
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        self.exchange.finish(self.end);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What telemetry was told of a request.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Seen {
        pub(crate) path: String,
        pub(crate) version: http::Version,
        pub(crate) status: Option<u16>,
        pub(crate) grpc_status: Option<u32>,
        pub(crate) flags: String,
        pub(crate) details: String,
        pub(crate) bytes: (u64, u64),
        pub(crate) messages: Option<(u64, u64)>,
        pub(crate) route: Option<String>,
        pub(crate) cluster: Option<String>,
        pub(crate) host: Option<std::net::SocketAddr>,
        pub(crate) peer: Option<String>,
    }

    thread_local! {
        static SEEN: RefCell<Vec<Seen>> = const { RefCell::new(vec![]) };
    }

    pub(super) fn seen(record: &RequestRecord<'_>) {
        let seen = Seen {
            path: record.path.to_owned(),
            version: record.version,
            status: record.status.map(|s| s.as_u16()),
            grpc_status: record.grpc_status,
            flags: record.flags.to_string(),
            details: record.details.clone().into_owned(),
            bytes: (record.bytes_received, record.bytes_sent),
            messages: record.messages,
            route: record.route.map(str::to_owned),
            cluster: record.upstream.cluster.as_deref().map(str::to_owned),
            host: record.upstream.host,
            peer: record.peer.map(|p| p.name.to_string()),
        };
        SEEN.with_borrow_mut(|all| all.push(seen));
    }

    /// All that telemetry was told of on this thread since the last call.
    pub(crate) fn take() -> Vec<Seen> {
        SEEN.take()
    }
}
