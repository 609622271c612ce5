//! The orderly end of connections, by direction: what is told to drain finishes its request and then closes.

use mesh_model::name::Direction;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio_util::sync::CancellationToken;

/// Tokens that filter chains are children of.
#[derive(Debug, Default)]
pub struct Drain {
    inbound: CancellationToken,
    outbound: CancellationToken,
    is_last: AtomicBool,
}

impl Drain {
    /// Cancelled when the connections of that direction are to end; without a direction, those of both.
    pub fn token(&self, direction: Option<Direction>) -> &CancellationToken {
        match direction {
            Some(Direction::Inbound) => &self.inbound,
            Some(Direction::Outbound) | None => &self.outbound,
        }
    }

    /// Tells inbound connections to end. New ones are still taken, and end after their first request.
    pub fn drain_inbound(&self) {
        self.inbound.cancel();
    }

    /// Tells all connections to end.
    pub fn drain_all(&self) {
        self.inbound.cancel();
        self.outbound.cancel();
    }

    /// The pod says that its work is done, or that it saw to its clients: at the end of the process nobody is waited for
    /// who might still come.
    pub fn expect_nobody(&self) {
        self.is_last.store(true, Relaxed);
    }

    /// Whether nobody is expected any more.
    pub fn expects_nobody(&self) -> bool {
        self.is_last.load(Relaxed)
    }

    /// Whether inbound connections were told to end.
    pub fn is_inbound_draining(&self) -> bool {
        self.inbound.is_cancelled()
    }
}
