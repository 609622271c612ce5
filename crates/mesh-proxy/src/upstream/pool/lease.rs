//! A connection lent to one request.

use super::{
    super::failure::{Failure, FailureKind},
    Pool, Protocol,
    connection::{Facts, Idle, Multiplexed},
};
use crate::{http::Body, telemetry::UpstreamRecord};
use http::{Request, Response, header};
use hyper::{body::Incoming, client::conn::http1};
use std::{rc::Rc, sync::Arc, time::Duration};

/// A connection lent to one request. Dropped before its response has ended, an HTTP/1 connection closes.
#[derive(Debug)]
pub struct Lease {
    kind: Kind,
    facts: Rc<Facts>,
    reused: bool,
}

#[derive(Debug)]
enum Kind {
    Http1 {
        sender: http1::SendRequest<Body>,
        pool: Rc<Pool>,
    },
    Http2(Rc<Multiplexed>),
    // Given back.
    Returned,
}

/// A request that was not answered.
#[derive(Debug)]
pub struct SendError {
    /// Why.
    pub failure: Failure,
    /// The request, if nothing of it was used.
    pub request: Option<Request<Body>>,
}

impl Lease {
    pub(super) fn http1(pool: &Rc<Pool>, connection: Idle, reused: bool) -> Self {
        let Idle { sender, facts } = connection;
        Self {
            kind: Kind::Http1 {
                sender,
                pool: Rc::clone(pool),
            },
            facts,
            reused,
        }
    }

    pub(super) fn http2(connection: &Rc<Multiplexed>) -> Self {
        let reused = connection.facts.idle_for().is_none();
        connection.streams.set(connection.streams.get() + 1);
        connection.facts.used();
        Self {
            kind: Kind::Http2(Rc::clone(connection)),
            facts: Rc::clone(&connection.facts),
            reused,
        }
    }

    // For a connection that nobody wanted after all.
    pub(super) fn into_idle(mut self) -> Option<Idle> {
        match std::mem::replace(&mut self.kind, Kind::Returned) {
            Kind::Http1 { sender, .. } => Some(Idle {
                sender,
                facts: Rc::clone(&self.facts),
            }),
            other => {
                self.kind = other;
                None
            }
        }
    }

    /// HTTP version spoken on it.
    pub fn protocol(&self) -> Protocol {
        match self.kind {
            Kind::Http2(_) => Protocol::Http2,
            Kind::Http1 { .. } | Kind::Returned => Protocol::Http1,
        }
    }

    /// Where it goes, as records tell it.
    pub fn record(&self) -> &Rc<UpstreamRecord> {
        &self.facts.record
    }

    /// URI SAN of the peer's certificate.
    pub fn peer(&self) -> Option<&Arc<str>> {
        self.facts.record.peer_principal.as_ref()
    }

    /// Whether a request used the connection before.
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    /// Sends `request` and waits for the head of its response.
    ///
    /// # Errors
    /// If the connection fails, or the peer does not speak HTTP.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, SendError> {
        let witness = Arc::clone(&self.facts.witness);
        let result = match &mut self.kind {
            Kind::Http1 { sender, .. } => {
                self.facts.used();
                witness.begin();
                sender.try_send_request(request).await
            }
            Kind::Http2(connection) => connection.sender.clone().try_send_request(request).await,
            Kind::Returned => {
                return Err(SendError {
                    failure: Failure::unsent(FailureKind::LocalReset),
                    request: Some(request),
                });
            }
        };
        result.map_err(|mut error| {
            let request = error.take_message();
            let error = error.into_error();
            let failure = match self.protocol() {
                Protocol::Http1 => http1_failure(&error, request.is_some() || witness.is_unread()),
                Protocol::Http2 => http2_failure(&error, request.is_some()),
            };
            if failure.kind == FailureKind::ConnectionTermination {
                self.retire();
            }
            SendError { failure, request }
        })
    }

    // The connection takes no further request, even if its end has not been noticed everywhere.
    fn retire(&self) {
        if let Kind::Http2(connection) = &self.kind {
            connection.is_retired.set(true);
        }
    }

    /// Gives the connection back, the response having ended.
    pub fn finish(mut self) {
        // A stream is given back as the lease is dropped, whichever way it ended.
        if matches!(self.kind, Kind::Http2(_)) {
            return;
        }
        if let Kind::Http1 { sender, pool } = std::mem::replace(&mut self.kind, Kind::Returned) {
            let connection = Idle {
                sender,
                facts: Rc::clone(&self.facts),
            };
            give_back(pool, connection);
        }
    }

    /// Notes what the host says of how long it keeps idle connections (`Keep-Alive: timeout=`).
    pub fn learn(&self, headers: &http::HeaderMap) {
        if let Kind::Http1 { pool, .. } = &self.kind
            && let Some(value) = headers.get("keep-alive")
            && let Some(kept) = keep_alive(value)
        {
            pool.learn_keep_alive(kept);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Kind::Http2(connection) = &self.kind {
            connection.stream_ended();
        }
    }
}

fn keep_alive(value: &header::HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let seconds = text
        .split(',')
        .find_map(|p| p.trim().strip_prefix("timeout="))?;
    let seconds = seconds.trim().parse().ok().filter(|s| *s > 0)?;
    Some(Duration::from_secs(seconds))
}

// hyper's task may have to be polled once more before it takes the next request.
fn give_back(pool: Rc<Pool>, mut connection: Idle) {
    connection.facts.unused();
    if connection.is_closed() {
        return;
    }
    if connection.sender.is_ready() {
        return pool.offer(connection);
    }
    tokio::task::spawn_local(async move {
        if connection.sender.ready().await.is_ok() {
            pool.offer(connection);
        }
    });
}

fn http1_failure(error: &hyper::Error, unsent: bool) -> Failure {
    let kind = if error.is_user() || error.is_body_write_aborted() {
        FailureKind::LocalReset
    } else if error.is_parse() {
        FailureKind::ProtocolError
    } else {
        FailureKind::ConnectionTermination
    };
    Failure {
        kind,
        transport: None,
        unsent,
    }
}

fn http2_failure(error: &hyper::Error, unsent: bool) -> Failure {
    let cause = std::error::Error::source(error).and_then(|e| e.downcast_ref::<h2::Error>());
    let Some(cause) = cause else {
        let kind = if error.is_user() {
            FailureKind::LocalReset
        } else {
            FailureKind::ConnectionTermination
        };
        return Failure {
            kind,
            transport: None,
            unsent,
        };
    };
    let refused = cause.is_remote() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
    // The library reports a peer's GOAWAY only on streams above its last stream id, and on those it did not begin.
    let beyond_goaway = cause.is_remote() && cause.is_go_away();
    let kind = if refused && cause.is_reset() {
        FailureKind::RemoteRefusedStream
    } else if cause.is_reset() && cause.is_remote() {
        FailureKind::RemoteReset
    } else if cause.is_io() || beyond_goaway {
        FailureKind::ConnectionTermination
    } else if cause.is_library() {
        FailureKind::ProtocolError
    } else {
        FailureKind::LocalReset
    };
    Failure {
        kind,
        transport: None,
        unsent: unsent || refused || beyond_goaway,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alive_is_read() {
        for (text, want) in [
            ("timeout=5", Some(5)),
            ("max=3, timeout=7", Some(7)),
            ("max=3", None),
            ("timeout=x", None),
            ("timeout=0", None),
        ] {
            let value = header::HeaderValue::from_static(text);
            assert_eq!(keep_alive(&value), want.map(Duration::from_secs), "{text}");
        }
    }
}
