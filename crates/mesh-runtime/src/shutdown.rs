//! When to stop: one signal asks for an orderly end, a second one for an end at once.
//!
//! A [`Shutdown`] is handed to whatever runs; it says when, and leaves the order of stopping to the program.

use std::{future::Future, io, pin::pin};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Tells everyone when to stop. Clones are the same shutdown.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    forced: CancellationToken,
}

impl Shutdown {
    /// One that nothing has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs the program and passes on the signals that come meanwhile, until the program ends by itself.
    ///
    /// It is the program that reacts, to [`Shutdown::begun`] and [`Shutdown::forced`]; nothing is cut off here.
    pub async fn while_running<F: Future>(&self, mut signals: Signals, program: F) -> F::Output {
        let mut program = pin!(program);
        loop {
            tokio::select! {
                output = &mut program => return output,
                cause = signals.next() => self.request(cause),
            }
        }
    }

    /// Asks for the end: the first time for an orderly one, after that for one at once.
    pub fn request(&self, cause: &str) {
        if self.is_begun() {
            info!(cause, "stopping at once");
            self.forced.cancel();
        } else {
            info!(cause, "stopping; a second signal stops at once");
            self.begun.cancel();
        }
    }

    /// Whether the end has been asked for.
    pub fn is_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until the end is asked for.
    pub fn begun(&self) -> impl Future<Output = ()> + use<> {
        self.begun.clone().cancelled_owned()
    }

    /// Waits until it is to be at once.
    pub fn forced(&self) -> impl Future<Output = ()> + use<> {
        self.forced.clone().cancelled_owned()
    }
}

/// SIGTERM and SIGINT, which do not kill the process any more.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches both, from here to the end of the process.
    ///
    /// # Errors
    /// If they cannot be caught.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one and gives its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            Some(()) = self.terminate.recv() => "SIGTERM",
            Some(()) = self.interrupt.recv() => "SIGINT",
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const NOW: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn the_first_request_begins_and_the_second_forces() {
        let shutdown = Shutdown::new();
        let other = shutdown.clone();
        assert!(timeout(NOW, other.begun()).await.is_err());
        shutdown.request("test");
        assert!(other.is_begun());
        assert!(timeout(NOW, other.begun()).await.is_ok());
        assert!(timeout(NOW, other.forced()).await.is_err());
        shutdown.request("test");
        assert!(timeout(NOW, other.forced()).await.is_ok());
    }
}
