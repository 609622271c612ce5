//! A server's body on its way to the client, with the connection that it comes on.

use super::Error;
use crate::{http::router::Flight, upstream::pool::Lease};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

/// A server's body.
#[derive(Debug)]
pub(in crate::http) struct Download {
    incoming: Incoming,
    // Given back at the end; dropped before, the connection or stream is closed.
    lease: Option<(Lease, Flight)>,
    deadline: Option<Pin<Box<Sleep>>>,
    // How long nothing may come.
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl Download {
    /// `incoming`, which comes on `lease`, must have ended by `deadline` and must not be idle for longer than `idle`.
    pub(in crate::http) fn new(
        incoming: Incoming,
        lease: Lease,
        flight: Flight,
        deadline: Option<Instant>,
        idle: Option<Duration>,
    ) -> Self {
        let mut download = Self {
            incoming,
            lease: Some((lease, flight)),
            deadline: deadline.map(|at| Box::pin(tokio::time::sleep_until(at))),
            idle: idle.map(|limit| (limit, Box::pin(tokio::time::sleep(limit)))),
        };
        download.end_if_ended();
        download
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some((limit, timer)) = &mut self.idle {
                    timer.as_mut().reset(Instant::now() + *limit);
                }
                self.end_if_ended();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                self.lease = None;
                Poll::Ready(Some(Err(Error::Upstream(error))))
            }
            Poll::Pending => self.poll_deadline(cx).map(|error| Some(Err(error))),
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let over = |timer: &mut Pin<Box<Sleep>>| timer.as_mut().poll(cx).is_ready();
        let timers = [
            self.deadline.as_mut(),
            self.idle.as_mut().map(|(_, timer)| timer),
        ];
        // All of them are asked, so that each wakes us.
        let over = timers.into_iter().flatten().map(over);
        if !over.fold(false, |any, over| any | over) {
            return Poll::Pending;
        }
        self.lease = None;
        Poll::Ready(Error::Timeout)
    }

    fn end_if_ended(&mut self) {
        if self.incoming.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some((lease, _)) = self.lease.take() {
            lease.finish();
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
