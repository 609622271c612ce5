//! What happens on a downstream connection, for its timeouts.
//!
//! One thread writes and reads it; it is atomic only because hyper wants the byte stream to be `Send`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// What happens on one connection.
#[derive(Debug)]
pub(in crate::http) struct Activity {
    began: Instant,
    streams: AtomicU32,
    // Microseconds since `began`.
    idle_since: AtomicU64,
    // The same and one; 0: no head is being received.
    head_since: AtomicU64,
    flooded: AtomicBool,
}

impl Activity {
    /// Of a connection that begins now.
    pub(in crate::http) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            streams: AtomicU32::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            flooded: AtomicBool::new(false),
        })
    }

    /// Bytes have come in.
    pub(super) fn received(&self) {
        if self.streams.load(Relaxed) == 0 && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.now() + 1, Relaxed);
        }
    }

    /// A flood of frames was cut.
    pub(super) fn flooded(&self) {
        self.flooded.store(true, Relaxed);
    }

    /// Whether one was.
    pub(super) fn was_flooded(&self) -> bool {
        self.flooded.load(Relaxed)
    }

    /// A request is complete up to its body.
    pub(in crate::http) fn stream_began(&self) {
        self.streams.store(self.streams.load(Relaxed) + 1, Relaxed);
        self.head_since.store(0, Relaxed);
    }

    /// A request is finished.
    pub(in crate::http) fn stream_ended(&self) {
        let left = self.streams.load(Relaxed) - 1;
        self.streams.store(left, Relaxed);
        if left == 0 {
            self.idle_since.store(self.now(), Relaxed);
        }
    }

    /// Since when the connection is without streams.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = self.streams.load(Relaxed) == 0;
        idle.then(|| self.began + Duration::from_micros(self.idle_since.load(Relaxed)))
    }

    /// Since when the head of a request is being received.
    pub(super) fn head_since(&self) -> Option<Instant> {
        let since = self.head_since.load(Relaxed).checked_sub(1)?;
        Some(self.began + Duration::from_micros(since))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
