//! Connections: accept, shake hands, serve; each in a task of its own and within limits.
//!
//! At the end the listener takes connections for a while longer, until the cluster's load balancing knows; then what is
//! open is asked to finish (GOAWAY, `connection: close`) and nothing is cut off.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use mesh_runtime::{listen, shutdown::Shutdown};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::{metrics::Metrics, places::Places};

/// Longest handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Longest time for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// Requests at once on one connection.
const MAX_STREAMS: u32 = 250;
/// Silence after which an HTTP/2 peer has to show that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A port that is served.
pub struct Port {
    /// The socket.
    pub listener: TcpListener,
    /// TLS; `None` for the monitoring port.
    pub tls: Option<Arc<ServerConfig>>,
    /// What answers.
    pub router: Router,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// How long new connections are taken after the end was asked for.
    pub lame_duck: Duration,
}

impl Port {
    /// Serves until the end.
    pub async fn serve(self, shutdown: Shutdown) {
        let (tasks, graceful) = (TaskTracker::new(), GracefulShutdown::new());
        let places = Places::default();
        let end = async {
            shutdown.begun().await;
            sleep(self.lame_duck).await;
        };
        tokio::pin!(end);
        loop {
            let (stream, address) = tokio::select! {
                accepted = listen::accept(&self.listener) => accepted,
                () = &mut end => break,
            };
            let Some(place) = places.take(address.ip()) else {
                tracing::warn!(address = %address.ip(), "too many connections, closed one");
                continue;
            };
            let (router, watcher) = (self.router.clone(), graceful.watcher());
            let (tls, metrics) = (self.tls.clone(), self.metrics.clone());
            tasks.spawn(async move {
                let served = match tls {
                    None => serve(stream, router, watcher).await,
                    Some(tls) => match shake_hands(stream, tls).await {
                        Ok(stream) => serve(stream, router, watcher).await,
                        Err(error) => {
                            metrics.handshake_failures.increment();
                            Err(error)
                        }
                    },
                };
                if let Err(error) = served {
                    tracing::debug!(%error, "a connection broke");
                }
                drop(place);
            });
        }
        drop(self.listener);
        graceful.shutdown().await;
        tasks.close();
        tasks.wait().await;
    }
}

async fn shake_hands(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream)).await?
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) -> io::Result<()> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .max_concurrent_streams(MAX_STREAMS);
    let service = TowerToHyperService::new(router);
    let connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    watcher.watch(connection).await.map_err(io::Error::other)
}
