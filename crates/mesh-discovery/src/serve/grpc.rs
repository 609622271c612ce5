//! The gRPC servers: one set of services, over plaintext or over TLS.

use super::{age::ConnectionAge, connection::Connection, tls};
use crate::ca::server_certificate::ServerCertificate;
use mesh_runtime::{listen, shutdown::Shutdown};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{service::Routes, transport::Server};

/// How often a quiet connection is asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long it may take to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Concurrent calls on one connection: one stream of ADS and some certificates are usual.
const MAX_STREAMS: u32 = 250;
/// Largest header list, in bytes: a token of the largest size that is taken, and the rest.
const MAX_HEADERS: u32 = 64 << 10;

/// What is common to all servers.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// How old a connection gets; `None` for no limit.
    pub max_connection_age: Option<ConnectionAge>,
    /// When to stop.
    pub shutdown: Shutdown,
}

/// Serves in plaintext until stopped.
///
/// # Errors
/// If the HTTP/2 server cannot go on.
pub async fn serve_plain(
    listener: TcpListener,
    routes: Routes,
    settings: ServerSettings,
) -> Result<(), tonic::transport::Error> {
    let (send, ready) = mpsc::channel(64);
    let accepting = accept_plain(listener, send);
    let serving = serve(ready, routes, settings);
    tokio::pin!(serving);
    tokio::select! {
        () = accepting => serving.await,
        done = &mut serving => done,
    }
}

/// Serves over TLS until stopped.
///
/// # Errors
/// If the HTTP/2 server cannot go on.
pub async fn serve_tls(
    listener: TcpListener,
    certificate: Arc<ServerCertificate>,
    trust_domain: Arc<str>,
    routes: Routes,
    settings: ServerSettings,
) -> Result<(), tonic::transport::Error> {
    let (send, ready) = mpsc::channel(64);
    let accepting = tls::accept(listener, certificate, trust_domain, send);
    let serving = serve(ready, routes, settings);
    tokio::pin!(serving);
    tokio::select! {
        () = accepting => serving.await,
        done = &mut serving => done,
    }
}

async fn accept_plain(
    listener: TcpListener,
    ready: mpsc::Sender<io::Result<Connection<TcpStream>>>,
) {
    loop {
        let (stream, address) = tokio::select! {
            accepted = listen::accept(&listener) => accepted,
            () = ready.closed() => return,
        };
        if ready
            .send(Ok(Connection::anonymous(stream, address)))
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn serve<S>(
    ready: mpsc::Receiver<io::Result<Connection<S>>>,
    routes: Routes,
    settings: ServerSettings,
) -> Result<(), tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(MAX_HEADERS)
        .max_concurrent_streams(MAX_STREAMS);
    if let Some(age) = settings.max_connection_age {
        // With a grace beside it tonic says nothing before it cuts off (0.14); the streams end by themselves.
        server = server.max_connection_age(age.goaway());
    }
    server
        .add_routes(routes)
        .serve_with_incoming_shutdown(ReceiverStream::new(ready), settings.shutdown.begun())
        .await
}
