//! A client's body on its way to a server, kept for another try as long as it is small.

use super::{
    Error,
    tap::{self, Tap},
};
use crate::http::grpc::Messages;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};
use tokio::{sync::Notify, time::Instant};

/// Most bytes that are kept for another try.
pub(super) const KEPT: usize = 256 * 1024;

/// A client's body.
#[derive(Debug)]
pub(in crate::http) struct Upload {
    state: RefCell<State>,
    // Length, if the client said it.
    length: SizeHint,
    // Number of the try that reads it.
    attempt: Cell<u32>,
    received: Cell<u64>,
    // If gRPC messages are counted.
    messages: Cell<Option<Messages>>,
    completed_at: Cell<Option<Instant>>,
    active_at: Cell<Option<Instant>>,
    completed: Notify,
    broken: Cell<bool>,
}

#[derive(Debug)]
struct State {
    incoming: Incoming,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    trailers: Option<HeaderMap>,
    // Something was read that is not kept.
    lost: bool,
    keeping: bool,
    // For mirrors.
    taps: Vec<Tap>,
    reader: Option<Waker>,
}

impl Upload {
    /// `incoming`, of which nothing was read.
    pub(in crate::http) fn new(incoming: Incoming, counts_messages: bool) -> Rc<Self> {
        Rc::new(Self {
            length: incoming.size_hint(),
            state: RefCell::new(State {
                incoming,
                kept: vec![],
                kept_bytes: 0,
                trailers: None,
                lost: false,
                keeping: true,
                taps: vec![],
                reader: None,
            }),
            attempt: Cell::new(0),
            received: Cell::new(0),
            messages: Cell::new(counts_messages.then(Messages::default)),
            completed_at: Cell::new(None),
            active_at: Cell::new(None),
            completed: Notify::new(),
            broken: Cell::new(false),
        })
    }

    /// A copy of all that comes.
    pub(super) fn copy(&self) -> tap::Copy {
        let (tap, copy) = tap::pair();
        self.state.borrow_mut().taps.push(tap);
        copy
    }

    /// Its length, if the client said it.
    pub(super) fn length(&self) -> SizeHint {
        self.length
    }

    /// Bytes that the client has sent.
    pub(in crate::http) fn received(&self) -> u64 {
        self.received.get()
    }

    /// gRPC messages that the client has sent, if they are counted.
    pub(in crate::http) fn messages(&self) -> u64 {
        self.messages.get().map_or(0, |messages| messages.count())
    }

    /// Whether all that was read can be sent again.
    pub(in crate::http) fn can_replay(&self) -> bool {
        !self.state.borrow().lost && !self.broken.get()
    }

    /// Whether all of it came, and can be sent again.
    pub(in crate::http) fn is_kept(&self) -> bool {
        self.completed_at.get().is_some() && self.can_replay()
    }

    /// No other try will be made: nothing is kept any more. What is, goes when it was sent.
    pub(in crate::http) fn let_go(&self) {
        self.state.borrow_mut().keeping = false;
    }

    /// Whether the client's body broke off.
    pub(in crate::http) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Waits until the client has sent all of it.
    pub(in crate::http) async fn completed(&self) {
        while self.completed_at.get().is_none() {
            self.completed.notified().await;
        }
    }

    /// When some of it last came.
    pub(in crate::http) fn active_at(&self) -> Option<Instant> {
        self.active_at.get()
    }

    /// When the client had sent all of it.
    pub(in crate::http) fn completed_at(&self) -> Option<Instant> {
        self.completed_at.get()
    }

    fn poll_new(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = self.state.borrow_mut();
        let frame = match Pin::new(&mut state.incoming).poll_frame(cx) {
            Poll::Pending => {
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(None) => {
                state.end_taps();
                self.end();
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => {
                state.taps.clear();
                self.broken.set(true);
                return Poll::Ready(Some(Err(Error::Downstream(error))));
            }
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        self.active_at.set(Some(Instant::now()));
        if let Some(data) = frame.data_ref() {
            self.received.set(self.received.get() + data.len() as u64);
            if let Some(mut messages) = self.messages.get() {
                messages.data(data);
                self.messages.set(Some(messages));
            }
            state.taps.iter().for_each(|tap| tap.push(data));
            state.keep(data);
        } else if let Some(trailers) = frame.trailers_ref() {
            state.taps.iter().for_each(|tap| tap.trailers(trailers));
            if state.keeping {
                state.trailers = Some(trailers.clone());
            }
        }
        if state.incoming.is_end_stream() {
            state.end_taps();
            self.end();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn end(&self) {
        self.completed_at.set(Some(Instant::now()));
        self.completed.notify_waiters();
    }
}

impl State {
    fn end_taps(&mut self) {
        self.taps.drain(..).for_each(|tap| tap.end());
    }

    fn keep(&mut self, data: &Bytes) {
        if self.keeping && self.kept_bytes + data.len() <= KEPT {
            self.kept_bytes += data.len();
            self.kept.push(data.clone());
            return;
        }
        self.lost = true;
        self.keeping = false;
        self.kept = vec![];
    }
}

/// One try's view of an [`Upload`]: what was kept first, then what comes.
#[derive(Debug)]
pub(super) struct Reader {
    upload: Rc<Upload>,
    attempt: u32,
    // How much of what was kept was given.
    given: usize,
    given_bytes: u64,
    trailers_given: bool,
    gate: Option<Gate>,
}

impl Reader {
    pub(super) fn new(upload: &Rc<Upload>, gate: Option<Gate>) -> Self {
        let attempt = upload.attempt.get() + 1;
        upload.attempt.set(attempt);
        // An earlier try must notice that it is over.
        if let Some(earlier) = upload.state.borrow_mut().reader.take() {
            earlier.wake();
        }
        Self {
            upload: Rc::clone(upload),
            attempt,
            given: 0,
            given_bytes: 0,
            trailers_given: false,
            gate,
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.attempt != self.upload.attempt.get() {
            return Poll::Ready(Some(Err(Error::Superseded)));
        }
        match self.gate.as_ref().map(|gate| gate.look(cx)) {
            Some(Door::Shut) => return Poll::Pending,
            Some(Door::Locked) => return Poll::Ready(Some(Err(Error::Superseded))),
            Some(Door::Open) | None => self.gate = None,
        }
        if let Some(frame) = self.next_kept() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if self.upload.completed_at.get().is_some() {
            return Poll::Ready(None);
        }
        let frame = self.upload.poll_new(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.given = self.upload.state.borrow().kept.len();
            self.given_bytes += frame.data_ref().map_or(0, |d| d.len() as u64);
            self.trailers_given |= frame.is_trailers();
        }
        frame
    }

    fn next_kept(&mut self) -> Option<Frame<Bytes>> {
        let state = self.upload.state.borrow();
        if let Some(data) = state.kept.get(self.given) {
            self.given += 1;
            self.given_bytes += data.len() as u64;
            return Some(Frame::data(data.clone()));
        }
        let trailers = state.trailers.as_ref().filter(|_| !self.trailers_given)?;
        self.trailers_given = true;
        Some(Frame::trailers(trailers.clone()))
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let state = self.upload.state.borrow();
        self.upload.completed_at.get().is_some()
            && self.given >= state.kept.len()
            && (self.trailers_given || state.trailers.is_none())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self.upload.length.exact() {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.given_bytes)),
            None => SizeHint::default(),
        }
    }
}

/// Holds a body back until the server has said `100 Continue`. Opened from hyper's callback, which must be `Send`.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Gate(Arc<GateState>);

#[derive(Debug, Default)]
struct GateState {
    open: AtomicBool,
    closed: AtomicBool,
    waiting: AtomicWaker,
}

enum Door {
    Shut,
    Open,
    Locked,
}

impl Gate {
    /// Lets the body pass.
    pub(in crate::http) fn open(&self) {
        self.0.open.store(true, Ordering::Release);
        self.0.waiting.wake();
    }

    /// The body is not wanted any more, unless it has begun to pass.
    pub(in crate::http) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.waiting.wake();
    }

    fn look(&self, cx: &mut Context<'_>) -> Door {
        self.0.waiting.register(cx.waker());
        if self.0.open.load(Ordering::Acquire) {
            Door::Open
        } else if self.0.closed.load(Ordering::Acquire) {
            Door::Locked
        } else {
            Door::Shut
        }
    }
}
