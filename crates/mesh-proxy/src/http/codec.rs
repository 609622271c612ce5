//! Bytes to requests and back: one downstream connection, HTTP/1 or HTTP/2.
//!
//! The version is what ALPN negotiated, else what the client's first bytes are. Everything about framing is hyper's; what
//! it does not limit (the time for a head, idle connections, floods of control frames) is limited here.

mod activity;
mod drain;
mod executor;
mod frame_budget;
mod io;
mod preface;

pub(super) use activity::Activity;
pub use executor::LocalExec;

use self::{drain::Drain, frame_budget::FrameBudget, io::Watched, preface::Version};
use super::{Manager, downstream::Downstream, stream::answer};
use crate::{
    connection::Connection,
    tls::{Rewind, Stream},
    worker::Worker,
};
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh_model::name::Direction;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

/// Most headers of an HTTP/1 request.
const MAX_HEADERS: usize = 200;
/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Most bytes that an HTTP/1 connection buffers.
const MAX_BUFFER: usize = 256 * 1024;
/// How long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that drains may be idle. Not at once: a client that sends a request in that moment would lose it.
const DRAINED_IDLE: Duration = Duration::from_secs(5);
/// HTTP/2: streams that a client may have open.
const MAX_STREAMS_INBOUND: u32 = 250;
/// HTTP/2: the same for the application beside us.
const MAX_STREAMS_OUTBOUND: u32 = 1024;
/// HTTP/2: bytes that a client may send on one stream before we read on, and on all of a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// HTTP/2: streams that we may have to reset for a client's errors.
const MAX_ERROR_RESETS: usize = 100;

/// Serves one downstream connection to its end. `drain`: the connection is to end after what is in flight.
pub async fn serve(
    mut io: Stream,
    connection: Rc<Connection>,
    manager: Arc<Manager>,
    worker: Rc<Worker>,
    drain: CancellationToken,
) {
    let alpn = connection.tls.as_ref().and_then(|tls| tls.alpn.as_deref());
    let (version, begun) = match alpn {
        Some("h2") => (Version::Http2, bytes::Bytes::new()),
        Some("http/1.1" | "http/1.0") => (Version::Http1, bytes::Bytes::new()),
        _ => match preface::read(&mut io, manager.idle_timeout).await {
            Some(read) => read,
            None => return,
        },
    };
    let id = connection.id;
    let downstream = Downstream::new(connection, manager, worker);
    let io = Rewind::new(begun, io);
    let result = match version {
        Version::Http1 => serve_http1(io, Rc::clone(&downstream), drain).await,
        Version::Http2 => serve_http2(io, Rc::clone(&downstream), drain).await,
    };
    if let Err(error) = result {
        tracing::debug!(connection = id, %error, "downstream connection");
        count(&downstream, &error);
    }
}

/// Why a connection ended otherwise than by a side's will.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("HTTP")]
    Http(#[source] hyper::Error),
    #[error("the head of a request did not come in time")]
    HeadTimeout,
    #[error("the connection was idle")]
    Idle,
}

fn count(downstream: &Downstream, error: &Error) {
    let counters = &downstream.manager.counters;
    let counter = match error {
        Error::HeadTimeout => counters.head_timeout,
        Error::Idle => counters.idle_timeout,
        Error::Http(_) if downstream.activity.was_flooded() => counters.flood,
        Error::Http(error) if is_protocol_error(error) => counters.protocol_error,
        Error::Http(_) => return,
    };
    downstream.worker.telemetry.add(counter, 1);
}

fn is_protocol_error(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|e| e.downcast_ref::<h2::Error>());
    error.is_parse() || cause.is_some_and(|e| e.is_library())
}

async fn serve_http1(
    io: Rewind<Stream>,
    downstream: Rc<Downstream>,
    drain: CancellationToken,
) -> Result<(), Error> {
    let service = {
        let downstream = Rc::clone(&downstream);
        service_fn(move |request| answer(Rc::clone(&downstream), request))
    };
    let io = TokioIo::new(Watched::new(io, Arc::clone(&downstream.activity), None));
    let connection = http1::Builder::new()
        .preserve_header_case(downstream.manager.preserve_header_case)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_BUFFER)
        .header_read_timeout(None)
        .timer(TokioTimer::new())
        .serve_connection(io, service)
        .with_upgrades();
    // The next response says `Connection: close`.
    let drains = |_: Pin<&mut _>| downstream.is_draining.set(true);
    drive(pin!(connection), &downstream, drain, drains).await
}

async fn serve_http2(
    io: Rewind<Stream>,
    downstream: Rc<Downstream>,
    drain: CancellationToken,
) -> Result<(), Error> {
    let service = {
        let downstream = Rc::clone(&downstream);
        service_fn(move |request| answer(Rc::clone(&downstream), request))
    };
    let streams = match downstream.connection.direction {
        Some(Direction::Outbound) => MAX_STREAMS_OUTBOUND,
        _ => MAX_STREAMS_INBOUND,
    };
    let budget = Some(FrameBudget::default());
    let io = TokioIo::new(Watched::new(io, Arc::clone(&downstream.activity), budget));
    let connection = http2::Builder::new(LocalExec)
        .max_concurrent_streams(streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEAD as u32)
        .max_send_buf_size(MAX_BUFFER)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .timer(TokioTimer::new())
        .serve_connection(io, service);
    let drains = |connection: Pin<&mut _>| {
        downstream.is_draining.set(true);
        http2::Connection::graceful_shutdown(connection);
    };
    drive(pin!(connection), &downstream, drain, drains).await
}

// Runs a connection until it ends, its time is up, or it has drained.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    downstream: &Downstream,
    drain: CancellationToken,
    drains: impl Fn(Pin<&mut C>),
) -> Result<(), Error> {
    let mut clock = Clock::default();
    let mut drain = Drain::new(drain);
    poll_fn(|cx| {
        if !downstream.is_draining.get() && drain.poll(cx).is_ready() {
            drains(connection.as_mut());
        }
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(result.map_err(Error::Http));
        }
        let passed = clock.poll_passed(|| due(downstream), cx);
        passed.map(|()| Err(late(downstream)))
    })
    .await
}

// When the connection ends if nothing happens until then.
fn due(downstream: &Downstream) -> Option<Instant> {
    let activity = &downstream.activity;
    let head = activity.head_since().map(|since| since + HEAD_TIMEOUT);
    let limit = if downstream.is_draining.get() {
        Some(DRAINED_IDLE)
    } else {
        downstream.manager.idle_timeout
    };
    let idle = activity
        .idle_since()
        .zip(limit)
        .map(|(since, limit)| since + limit);
    head.into_iter().chain(idle).min()
}

fn late(downstream: &Downstream) -> Error {
    match downstream.activity.head_since() {
        Some(since) if since.elapsed() >= HEAD_TIMEOUT => Error::HeadTimeout,
        _ => Error::Idle,
    }
}

/// A timer that is set only when it would fire too late, and looks again when it fires: a busy connection does not move
/// it at every request.
#[derive(Default)]
struct Clock(Option<Pin<Box<Sleep>>>);

impl Clock {
    // Ready once `due` has passed.
    fn poll_passed(&mut self, due: impl Fn() -> Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(at) = due() else {
                return Poll::Pending;
            };
            let timer = self
                .0
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            if timer.deadline() > at {
                timer.as_mut().reset(at);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if at <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}
