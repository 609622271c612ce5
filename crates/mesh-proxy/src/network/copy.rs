//! The one two-way copy: raw TCP, and HTTP connections after an upgrade.
//!
//! Each direction ends by itself (half-close): when one side says that it has no more to say, the other is told, and the
//! copy goes on until both have said so, one of them fails, or nothing moved for the idle time.

use std::{
    cell::Cell,
    future::pending,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes},
    time::sleep,
};

/// Bytes held for each direction.
const BUFFER: usize = 16 * 1024;

/// How a copy ended.
#[derive(Debug)]
pub struct Ended {
    /// Bytes from the client.
    pub received: u64,
    /// Bytes to the client.
    pub sent: u64,
    /// Why.
    pub cause: Cause,
}

/// Why a copy ended.
#[derive(Debug)]
pub enum Cause {
    /// Both sides said that they were done.
    Done,
    /// Nothing moved for the idle time.
    Idle,
    /// A side failed.
    Failed(io::Error),
}

/// Copies both ways between the client (`downstream`) and the server (`upstream`), until both are done, one fails, or
/// nothing moved for `idle` (`None`: for ever).
pub async fn two_way<D, U>(downstream: &mut D, upstream: &mut U, idle: Option<Duration>) -> Ended
where
    D: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let (received, sent) = (Cell::new(0), Cell::new(0));
    let mut downstream = Counted {
        io: downstream,
        read: &received,
    };
    let mut upstream = Counted {
        io: upstream,
        read: &sent,
    };
    let cause = tokio::select! {
        copied = copy_bidirectional_with_sizes(&mut downstream, &mut upstream, BUFFER, BUFFER) => match copied {
            Ok(_) => Cause::Done,
            Err(error) => Cause::Failed(error),
        },
        () = nothing_moves(&received, &sent, idle) => Cause::Idle,
    };
    Ended {
        received: received.get(),
        sent: sent.get(),
        cause,
    }
}

/// Ends once both counters stood still for `idle`. Looks once in that time, so it may take up to twice as long.
async fn nothing_moves(received: &Cell<u64>, sent: &Cell<u64>, idle: Option<Duration>) {
    let Some(idle) = idle.filter(|idle| !idle.is_zero()) else {
        return pending().await;
    };
    loop {
        let before = (received.get(), sent.get());
        sleep(idle).await;
        if before == (received.get(), sent.get()) {
            return;
        }
    }
}

/// A side whose bytes are counted as they are read, so that the count is right however the copy ends.
struct Counted<'a, S> {
    io: &'a mut S,
    read: &'a Cell<u64>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut *self.io).poll_read(cx, buf);
        let more = buf.filled().len() - before;
        self.read.set(self.read.get() + more as u64);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn each_direction_ends_by_itself_and_is_counted() {
        let ((mut client, mut downstream), (mut upstream, mut server)) = (duplex(64), duplex(64));
        let peers = async {
            client.write_all(b"question").await.expect("written");
            client.shutdown().await.expect("half-closed");
            let mut asked = String::new();
            server
                .read_to_string(&mut asked)
                .await
                .expect("end of the question");
            server
                .write_all(b"the answer")
                .await
                .expect("written after the client was done");
            drop(server);
            let mut answered = String::new();
            client.read_to_string(&mut answered).await.expect("answer");
            (asked, answered)
        };
        let (ended, (asked, answered)) =
            tokio::join!(two_way(&mut downstream, &mut upstream, None), peers);
        assert!(matches!(ended.cause, Cause::Done), "{ended:?}");
        assert_eq!((ended.received, ended.sent), (8, 10));
        assert_eq!((&*asked, &*answered), ("question", "the answer"));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_but_traffic_keeps_it() {
        let ((mut client, mut downstream), (mut upstream, mut server)) = (duplex(64), duplex(64));
        let idle = Duration::from_secs(10);
        let talk = async {
            for _ in 0..5 {
                sleep(Duration::from_secs(8)).await;
                client.write_all(b"x").await.expect("written");
                server.read_exact(&mut [0]).await.expect("read");
            }
        };
        let start = tokio::time::Instant::now();
        let (ended, ()) = tokio::join!(two_way(&mut downstream, &mut upstream, Some(idle)), talk);
        assert!(
            matches!(ended.cause, Cause::Idle) && ended.received == 5,
            "{ended:?}"
        );
        assert!(
            start.elapsed() >= Duration::from_secs(50),
            "{:?}",
            start.elapsed()
        );
    }
}
