//! Tells a connection that it is to end, without asking at every wake-up.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A token that is looked at only when it has something to say.
pub(super) struct Drain {
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    bell: Arc<Bell>,
}

struct Bell {
    rung: AtomicBool,
    task: futures_util::task::AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Drain {
    pub(super) fn new(token: CancellationToken) -> Self {
        Self {
            cancelled: Box::pin(token.cancelled_owned()),
            bell: Arc::new(Bell {
                rung: AtomicBool::new(true),
                task: futures_util::task::AtomicWaker::new(),
            }),
        }
    }

    /// Ready once the token is cancelled. Not to be asked again then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.bell.task.register(cx.waker());
        if !self.bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.bell));
        self.cancelled
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
    }
}
