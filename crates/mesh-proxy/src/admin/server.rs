//! The accept loop of the admin sockets: few connections at once, none of them idle for ever.
//!
//! What is asked here is asked by kubelets, scrapers and people; whoever opens more connections than those do waits.

use super::{Facts, Surface, reply::Body};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible, future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// Connections of one socket at once.
const MOST_CONNECTIONS: usize = 100;
/// How long a request's head may take to arrive, and how long a connection may stay without a request.
const HEAD: Duration = Duration::from_secs(30);
/// How long to wait where accepting fails, as it does while there are no file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves `surface` on `listener` until `shutdown`; requests that are being answered then are finished.
///
/// To be called inside a runtime with timers and I/O. Returns when the last connection has ended; its caller decides
/// how long to wait for that.
///
/// # Errors
/// If the socket can't be used.
pub async fn serve(
    listener: std::net::TcpListener,
    surface: Surface,
    facts: Arc<Facts>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let closing = CancellationToken::new();
    let (mut connections, mut shutdown) = (JoinSet::new(), pin!(shutdown));
    loop {
        tokio::select! {
            (stream, peer, permit) = accept(&listener, &room) => {
                let facts = Arc::clone(&facts);
                connections.spawn(connection(stream, peer, permit, surface, facts, closing.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = &mut shutdown => break,
        }
    }
    drop(listener);
    closing.cancel();
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let permit = Arc::clone(room).acquire_owned().await;
        match (permit, listener.accept().await) {
            (Ok(permit), Ok((stream, peer))) => return (stream, peer, permit),
            (_, Err(error)) => {
                tracing::debug!(%error, "accepting on an admin socket");
                sleep(PAUSE).await;
            }
            // Nobody closes the semaphore.
            (Err(_), Ok(_)) => std::future::pending().await,
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    _permit: OwnedSemaphorePermit,
    surface: Surface,
    facts: Arc<Facts>,
    closing: CancellationToken,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let facts = Arc::clone(&facts);
        async move { Ok::<Response<Body>, Infallible>(surface.answer(request, peer, facts).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection of the admin interface");
    }
}
