//! The HTTP server of debug pages, readiness and metrics.
//!
//! Small on purpose: HTTP/1 only, few connections, short times. Nothing of the mesh's work depends on it.

use super::debug::Pages;
use axum::{Router, extract::ConnectInfo};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use mesh_runtime::{listen, shutdown::Shutdown};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Longest time for the head of a request to come.
const HEAD: Duration = Duration::from_secs(10);
/// Largest head of a request, in bytes: a token of the largest size, and the rest.
const MAX_HEAD: usize = 32 << 10;
/// Connections at once.
const MAX_CONNECTIONS: usize = 256;

/// Serves until stopped; open requests are then finished.
pub async fn serve(listener: TcpListener, pages: Arc<Pages>, shutdown: Shutdown) {
    let router = super::debug::router(pages);
    let (tasks, graceful) = (TaskTracker::new(), GracefulShutdown::new());
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let (stream, address) = tokio::select! {
            accepted = listen::accept(&listener) => accepted,
            () = shutdown.begun() => break,
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(%address, "too many connections to the debug pages, closed one");
            continue;
        };
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(MAX_HEAD)
            .serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(with_address(router.clone(), address)),
            );
        let connection = graceful.watch(connection);
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, %error, "a connection to the debug pages broke");
            }
            drop(place);
        });
    }
    graceful.shutdown().await;
    tasks.close();
    tasks.wait().await;
}

/// The router, with the peer's address in each request.
fn with_address(
    router: Router,
    address: SocketAddr,
) -> impl tower::Service<
    http::Request<hyper::body::Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future: Send + 'static,
> + Clone {
    router.map_request(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(address));
        request
    })
}

#[cfg(test)]
mod tests;
