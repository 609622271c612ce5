//! One request over a connection of its own, beside the path: what errands ask of the proxy, and probes of the
//! application. Pools, retries and limits of time are the caller's, or not wanted.

use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Sends `request` over `stream` in HTTP/1; what comes back is read by `read` while the connection lives.
///
/// # Errors
/// As `failed` makes them of what goes wrong with HTTP, and what `read` says.
pub(crate) async fn http1<S, B, T, E>(
    stream: S,
    request: Request<B>,
    failed: impl Fn(hyper::Error) -> E,
    read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, E>,
) -> Result<T, E>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(&failed)?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(&failed)?;
        read(response).await
    };
    while_driven(connection, answered).await
}

/// What `answered` comes to while `connection` is driven. The end of the connection may be the end of the answer;
/// whether it is, the answer knows.
pub(crate) async fn while_driven<T>(
    connection: impl Future,
    answered: impl Future<Output = T>,
) -> T {
    let driven = async {
        connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = answered => answer,
        never = driven => never,
    }
}
