//! A copy of a client's body, for a mirror.
//!
//! It holds a bounded number of bytes. A mirror that does not take them in time loses its request, never the client its
//! own.

use super::Error;
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// Most bytes that wait for a mirror.
const MOST: usize = 1 << 20;

/// Where a copy is put in.
#[derive(Debug)]
pub(super) struct Tap(Rc<RefCell<State>>);

/// Where it is taken out.
#[derive(Debug)]
pub(super) struct Copy(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    trailers: Option<HeaderMap>,
    end: Option<End>,
    reader: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    // It broke off, or the mirror was too slow.
    Broken,
}

/// A tap and its copy.
pub(super) fn pair() -> (Tap, Copy) {
    let state = Rc::default();
    (Tap(Rc::clone(&state)), Copy(state))
}

impl Tap {
    /// Some of the body came.
    pub(super) fn push(&self, data: &Bytes) {
        let mut state = self.0.borrow_mut();
        if state.end.is_some() {
            return;
        }
        if state.bytes + data.len() > MOST {
            state.end = Some(End::Broken);
            state.waiting.clear();
        } else {
            state.bytes += data.len();
            state.waiting.push_back(data.clone());
        }
        state.wake();
    }

    /// Trailers came.
    pub(super) fn trailers(&self, trailers: &HeaderMap) {
        self.0.borrow_mut().trailers = Some(trailers.clone());
    }

    /// All of it came.
    pub(super) fn end(&self) {
        self.end_as(End::Whole);
    }

    fn end_as(&self, end: End) {
        let mut state = self.0.borrow_mut();
        state.end.get_or_insert(end);
        state.wake();
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.end_as(End::Broken);
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl Copy {
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = self.0.borrow_mut();
        if let Some(data) = state.waiting.pop_front() {
            state.bytes -= data.len();
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match state.end {
            Some(End::Broken) => Poll::Ready(Some(Err(Error::Superseded))),
            Some(End::Whole) => Poll::Ready(state.trailers.take().map(|t| Ok(Frame::trailers(t)))),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let state = self.0.borrow();
        state.end == Some(End::Whole) && state.waiting.is_empty() && state.trailers.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, future::poll_fn};

    fn next(copy: &mut Copy) -> Option<Option<Result<Bytes, ()>>> {
        let frame = poll_fn(|cx| copy.poll_frame(cx)).now_or_never()?;
        Some(frame.map(|f| f.map(|f| f.into_data().unwrap_or_default()).map_err(|_| ())))
    }

    #[test]
    fn what_is_put_in_comes_out() {
        let (tap, mut copy) = pair();
        assert_eq!(next(&mut copy), None, "it waits");
        tap.push(&Bytes::from_static(b"ab"));
        tap.push(&Bytes::from_static(b"c"));
        assert_eq!(next(&mut copy), Some(Some(Ok(Bytes::from_static(b"ab")))));
        tap.end();
        drop(tap);
        assert!(!copy.is_end_stream());
        assert_eq!(next(&mut copy), Some(Some(Ok(Bytes::from_static(b"c")))));
        assert!(copy.is_end_stream());
        assert_eq!(next(&mut copy), Some(None));
    }

    #[test]
    fn a_body_that_breaks_off_and_a_slow_mirror_end_the_copy() {
        let (tap, mut copy) = pair();
        drop(tap);
        assert_eq!(next(&mut copy), Some(Some(Err(()))));

        let (tap, mut copy) = pair();
        let piece = Bytes::from(vec![0; MOST / 2]);
        tap.push(&piece);
        tap.push(&piece);
        tap.push(&Bytes::from_static(b"x"));
        tap.end();
        assert_eq!(next(&mut copy), Some(Some(Err(()))));
        assert!(copy.0.borrow().waiting.is_empty(), "nothing is held");
    }
}
