//! Whether the peer can have read what was written: the proof that a request is safe to send again.
//!
//! A server may close an idle connection in the moment in which we send a request on it. Nothing was read then, and the
//! request may go to another connection, even if its method is not idempotent; but it takes a proof. Two are accepted:
//! no byte was handed to the connection since the request began; or the peer sent its FIN without having received a byte
//! of it (a FIN acknowledges what came before), and a server that has closed its side can't answer, and acts on nothing
//! that it may still read. A reset proves nothing: its acknowledgement is not looked at by the kernel.

use crate::tls::Stream;
use nix::{getsockopt_impl, libc, sockopt_impl, sys::socket::getsockopt};
use std::{
    io,
    mem::offset_of,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// As much of `tcp_info` as every kernel since 4.19 knows, in words: newer fields would make the size a matter of the
/// kernel's version.
type InfoWords = [u64; offset_of!(libc::tcp_info, tcpi_bytes_retrans) / 8 + 1];
const BYTES_ACKED: usize = offset_of!(libc::tcp_info, tcpi_bytes_acked) / 8;
const BYTES_SENT: usize = offset_of!(libc::tcp_info, tcpi_bytes_sent) / 8;
const BYTES_RETRANS: usize = offset_of!(libc::tcp_info, tcpi_bytes_retrans) / 8;

sockopt_impl!(
    /// Counters of a TCP connection.
    TcpInfo,
    GetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    InfoWords
);

/// What is known about one connection. One thread writes and reads it; it is atomic only because hyper wants the byte
/// stream to be `Send`.
#[derive(Debug, Default)]
pub(super) struct Witness {
    // Bytes handed to the connection since the request began, before encryption.
    written: AtomicU64,
    received: AtomicU64,
    end: AtomicU64,
}

// Values of `end`: beyond `CLOSED`, the peer closed its side and so many bytes more were not acknowledged then.
const OPEN: u64 = 0;
const FAILED: u64 = 1;
const CLOSED: u64 = 2;

impl Witness {
    /// Of a new connection.
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A request begins.
    pub(super) fn begin(&self) {
        self.written.store(0, Relaxed);
        self.received.store(0, Relaxed);
    }

    /// Whether it is proven that the peer has read nothing of the request that began last.
    pub(super) fn is_unread(&self) -> bool {
        let written = self.written.load(Relaxed);
        self.received.load(Relaxed) == 0
            && match self.end.load(Relaxed) {
                OPEN | FAILED => written == 0,
                // Encryption only adds to the bytes: where so many are missing, not one record was complete.
                closed => closed - CLOSED >= written,
            }
    }

    /// Whether the peer closed the connection in good order.
    pub(super) fn peer_closed(&self) -> bool {
        self.end.load(Relaxed) >= CLOSED
    }

    fn closed(&self, io: &Stream) {
        let unacknowledged = getsockopt(io.tcp(), TcpInfo).map_or(0, |i| unacknowledged(&i));
        self.end.store(CLOSED + unacknowledged, Relaxed);
    }
}

// Of all bytes ever sent, those that were never acknowledged. The SYN counts as one that was.
fn unacknowledged(info: &InfoWords) -> u64 {
    let sent = info[BYTES_SENT].saturating_sub(info[BYTES_RETRANS]);
    sent.saturating_sub(info[BYTES_ACKED].saturating_sub(1))
}

/// A connection that tells its [`Witness`] what passes.
#[derive(Debug)]
pub(super) struct Witnessed {
    io: Stream,
    witness: Arc<Witness>,
}

impl Witnessed {
    /// Wraps `io`.
    pub(super) fn new(io: Stream, witness: Arc<Witness>) -> Self {
        Self { io, witness }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = &result {
            add(&self.witness.written, *n);
        }
        result
    }
}

fn add(counter: &AtomicU64, n: usize) {
    counter.store(counter.load(Relaxed) + n as u64, Relaxed);
}

impl AsyncRead for Witnessed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining() > 0;
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        match &result {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                add(&self.witness.received, buf.filled().len() - before);
            }
            Poll::Ready(Ok(())) if room => self.witness.closed(&self.io),
            Poll::Ready(Err(_)) => self.witness.end.store(FAILED, Relaxed),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        result
    }
}

impl AsyncWrite for Witnessed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        time::sleep,
    };

    const REQUEST: &[u8] = b"POST / HTTP/1.1\r\n\r\n";

    /// A connection on which one request was answered, the witness, and the server's end.
    async fn used() -> (Witnessed, Arc<Witness>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (ours, mut theirs) = (ours.expect("connected"), theirs.expect("accepted").0);
        let witness = Witness::new();
        let mut ours = Witnessed::new(Stream::plain(ours), Arc::clone(&witness));
        ours.write_all(REQUEST).await.expect("sent");
        let mut request = [0; REQUEST.len()];
        theirs.read_exact(&mut request).await.expect("received");
        theirs.write_all(b"answer").await.expect("answered");
        let mut answer = [0; 6];
        ours.read_exact(&mut answer).await.expect("received");
        witness.begin();
        (ours, witness, theirs)
    }

    async fn end(ours: &mut Witnessed) {
        let _ = ours.read(&mut [0; 10]).await;
    }

    #[tokio::test]
    async fn nothing_written_is_nothing_read() {
        let (mut ours, witness, theirs) = used().await;
        drop(theirs);
        end(&mut ours).await;
        assert!(witness.is_unread() && witness.peer_closed());
    }

    #[tokio::test]
    async fn what_crosses_the_servers_fin_is_unread() {
        let (mut ours, witness, theirs) = used().await;
        drop(theirs);
        ours.write_all(REQUEST)
            .await
            .expect("the FIN does not hinder it");
        sleep(Duration::from_millis(20)).await;
        end(&mut ours).await;
        assert!(witness.is_unread());
    }

    #[tokio::test]
    async fn what_was_acknowledged_may_have_been_read() {
        let (mut ours, witness, mut theirs) = used().await;
        ours.write_all(REQUEST).await.expect("sent");
        let mut request = [0; REQUEST.len()];
        theirs.read_exact(&mut request).await.expect("received");
        drop(theirs);
        end(&mut ours).await;
        assert!(!witness.is_unread());
    }

    #[tokio::test]
    async fn a_reset_proves_nothing() {
        let (mut ours, witness, theirs) = used().await;
        ours.write_all(REQUEST).await.expect("sent");
        // Unread bytes: the kernel resets.
        drop(theirs);
        end(&mut ours).await;
        assert!(!witness.is_unread());
    }

    #[tokio::test]
    async fn an_answer_that_began_proves_the_contrary() {
        let (mut ours, witness, mut theirs) = used().await;
        theirs.write_all(b"x").await.expect("sent");
        ours.read_exact(&mut [0]).await.expect("received");
        drop(theirs);
        end(&mut ours).await;
        assert!(!witness.is_unread());
    }
}
