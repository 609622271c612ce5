//! Shares accepted connections among the workers.
//!
//! Every worker listens on the same sockets. Whichever accepts a connection gives it to the worker that has the fewest,
//! most often itself: left to the kernel, a few long connections could all end up on one core.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::mpsc;

/// A connection that was accepted, on its way to its worker.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, registered with no runtime yet.
    pub tcp: std::net::TcpStream,
    /// The client.
    pub peer: SocketAddr,
    /// Address of the socket that accepted it.
    pub socket: SocketAddr,
    /// Counts it as its worker's while it lives.
    pub load: Load,
}

/// How many connections each worker has.
#[derive(Debug)]
pub struct Loads(Box<[AtomicUsize]>);

/// A connection counted as a worker's.
#[derive(Debug)]
pub struct Load {
    loads: Arc<Loads>,
    worker: usize,
}

impl Loads {
    /// No connections on any of `workers`.
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self((0..workers).map(|_| AtomicUsize::new(0)).collect()))
    }

    /// Counts one more on the worker that has the fewest; of several, on `preferred`, then on the first.
    pub fn take(self: &Arc<Self>, preferred: usize) -> Load {
        let load = |worker: &usize| (self.0[*worker].load(Relaxed), *worker != preferred);
        let worker = (0..self.0.len()).min_by_key(load).unwrap_or(preferred);
        self.0[worker].fetch_add(1, Relaxed);
        Load {
            loads: Arc::clone(self),
            worker,
        }
    }

    /// Connections of all workers.
    pub fn total(&self) -> usize {
        self.0.iter().map(|load| load.load(Relaxed)).sum()
    }
}

impl Load {
    /// The worker.
    pub fn worker(&self) -> usize {
        self.worker
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.loads.0[self.worker].fetch_sub(1, Relaxed);
    }
}

/// Where each worker gets the connections that another one accepted.
#[derive(Clone, Debug)]
pub struct Inboxes(Arc<[mpsc::UnboundedSender<Accepted>]>);

impl Inboxes {
    /// One inbox for each of `workers`, with their receiving ends in order.
    pub fn new(workers: usize) -> (Self, Vec<mpsc::UnboundedReceiver<Accepted>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..workers).map(|_| mpsc::unbounded_channel()).unzip();
        (Self(senders.into()), receivers)
    }

    /// Gives a connection to its worker. If that worker is gone, so is the process soon: the connection closes.
    pub fn give(&self, accepted: Accepted) {
        let _ = self.0[accepted.load.worker()].send(accepted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_connections_spread_over_the_workers() {
        let loads = Loads::new(2);
        // All accepted by the same worker, as may happen.
        let four: Vec<_> = (0..4).map(|_| loads.take(0)).collect();
        assert_eq!(
            four.iter().map(Load::worker).collect::<Vec<_>>(),
            [0, 1, 0, 1]
        );
        let two: Vec<_> = four.into_iter().filter(|load| load.worker() == 1).collect();
        assert_eq!((two.len(), loads.total()), (2, 2));
        assert_eq!(loads.take(1).worker(), 0, "the other has none");
        drop(two);
        assert_eq!(
            loads.take(1).worker(),
            1,
            "among equals, the one that accepted"
        );
    }
}
