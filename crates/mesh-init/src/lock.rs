//! One run at a time in a network namespace.
//!
//! Looking and writing are two steps, and two runs in between each other would each undo the other's work. The lock is
//! on the namespace's own file in `/proc`: it needs no writable directory, holds for exactly those who share the tables,
//! and ends with its holder. Other programs do not know it; [`crate::apply`] reckons with them.

use std::fs::{File, TryLockError};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// The calling thread's network namespace.
const NAMESPACE: &str = "/proc/thread-self/ns/net";
/// How long to wait for another run, which takes a fraction of a second unless it waits itself.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// Held while looking and writing.
pub(crate) struct Lock(#[expect(dead_code, reason = "open, it holds the lock")] File);

impl Lock {
    /// Waits until no other run is in this namespace.
    ///
    /// # Errors
    /// If the namespace cannot be opened or locked, or another run does not come to its end.
    pub(crate) fn take() -> io::Result<Self> {
        let file = File::open(NAMESPACE)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "another run of mesh-init does not end",
                    ));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_waits_for_the_first() {
        let first = Lock::take().unwrap();
        let second = thread::spawn(|| Lock::take().map(|_| Instant::now()));
        thread::sleep(PAUSE * 10);
        let released = Instant::now();
        drop(first);
        assert!(second.join().unwrap().unwrap() >= released);
    }
}
