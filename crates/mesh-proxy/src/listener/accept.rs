//! Accepts connections on one worker and shares them out.

use super::dispatch::{Accepted, Inboxes, Loads};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::sync::CancellationToken;

/// Descriptors kept for the admin interface, xDS, logs and upstream connections that are already wanted.
const RESERVED: usize = 64;
/// How long accepting pauses when descriptors are short.
const PAUSE: Duration = Duration::from_millis(50);

/// What an accepting loop needs.
#[derive(Clone, Debug)]
pub struct Acceptor {
    /// Number of the worker it runs on.
    pub worker: usize,
    /// How many connections each worker has.
    pub loads: Arc<Loads>,
    /// Ways to the workers.
    pub inboxes: Inboxes,
    /// Connections at which accepting pauses.
    pub limit: usize,
}

impl Acceptor {
    /// Accepts on `listener`, which stands for the address `socket`, until `stop`, and then what the kernel holds
    /// already, so that no client that was let in is turned away.
    pub async fn run(self, listener: TcpListener, socket: SocketAddr, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = self.next(&listener) => accepted,
                () = stop.cancelled() => break,
            };
            self.share(accepted, socket).await;
        }
        while let Some(accepted) = waiting(&listener).await {
            self.share(accepted, socket).await;
        }
    }

    /// Waits while there are too many connections, then for the next.
    async fn next(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(tokio::net::TcpStream, SocketAddr)> {
        while self.loads.total() >= self.limit {
            sleep(PAUSE).await;
        }
        listener.accept().await
    }

    async fn share(
        &self,
        accepted: io::Result<(tokio::net::TcpStream, SocketAddr)>,
        socket: SocketAddr,
    ) {
        match accepted.and_then(|(tcp, peer)| Ok((tcp.into_std()?, peer))) {
            Ok((tcp, peer)) => {
                let load = self.loads.take(self.worker);
                self.inboxes.give(Accepted {
                    tcp,
                    peer,
                    socket,
                    load,
                });
            }
            // The client left before it was accepted: nobody is waiting.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            // Most likely out of descriptors. Nothing but time helps, and ending the loop would end the pod's traffic.
            Err(error) => {
                tracing::warn!(%error, %socket, "accepting connections");
                sleep(PAUSE).await;
            }
        }
    }
}

/// The next connection that is there already.
async fn waiting(
    listener: &TcpListener,
) -> Option<io::Result<(tokio::net::TcpStream, SocketAddr)>> {
    let soon = Duration::from_millis(1);
    let next = tokio::time::timeout(soon, listener.accept()).await.ok()?;
    next.is_ok().then_some(next)
}

/// Connections that may be open at once: each takes two descriptors, and 80 % of those left over may be used.
pub fn connection_limit() -> usize {
    use nix::sys::resource::{Resource, getrlimit};
    let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    (descriptors.saturating_sub(RESERVED) / 5 * 4 / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::socket;
    use tokio::net::TcpStream;

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = socket::bind("127.0.0.1:0".parse().expect("address")).expect("bound");
        let address = listener.local_addr().expect("address");
        (
            TcpListener::from_std(listener).expect("registered"),
            address,
        )
    }

    #[tokio::test]
    async fn connections_wait_while_there_are_too_many_and_none_is_lost_at_the_end() {
        let (listener, address) = listening();
        let (inboxes, mut received) = Inboxes::new(1);
        let acceptor = Acceptor {
            worker: 0,
            loads: Loads::new(1),
            inboxes,
            limit: 1,
        };
        let stop = CancellationToken::new();
        let loads = Arc::clone(&acceptor.loads);
        let accepting = tokio::spawn(acceptor.run(listener, address, stop.clone()));
        let _one = TcpStream::connect(address).await.expect("connected");
        let _two = TcpStream::connect(address)
            .await
            .expect("queued by the kernel");
        let first = received[0].recv().await.expect("the first");
        sleep(PAUSE * 2).await;
        assert_eq!(
            (loads.total(), received[0].is_empty()),
            (1, true),
            "the limit holds"
        );
        drop(first);
        let _second = received[0]
            .recv()
            .await
            .expect("the second, once there is room");

        let _late = TcpStream::connect(address)
            .await
            .expect("queued by the kernel");
        stop.cancel();
        accepting.await.expect("ended");
        assert!(
            received[0].recv().await.is_some(),
            "what the kernel had let in is served"
        );
    }
}
