//! HTTP on one connection, made by hyper's own connection types so that nothing is pooled, retried or negotiated.

use super::{pattern, same};
use crate::echo::http::MIRROR;
use anyhow::{Context as _, Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    Request, Response, StatusCode, Version,
    body::{Frame, Incoming},
    client::conn::{http1, http2},
    header::{CONTENT_TYPE, HOST, TE},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{net::TcpStream, sync::mpsc, task::JoinSet};

/// Bytes of a large body.
const LARGE: usize = 8 << 20;
/// Requests one after the other.
const SEQUENTIAL: usize = 100;
/// Requests at once.
const CONCURRENT: usize = 20;

type Body = Either<Full<Bytes>, Messages>;

/// A body that goes out while it is written.
pub(super) struct Messages(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.poll_recv(cx);
        next.map(|message| message.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// One connection, whose driver ends with the process.
pub(super) enum Connection {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// HTTP/1.1 on `stream`.
pub(super) async fn http1(stream: TcpStream) -> Result<Connection> {
    let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(Connection::Http1(connection))
}

/// HTTP/2 on `stream`, known beforehand.
pub(super) async fn http2(stream: TcpStream) -> Result<Connection> {
    let (connection, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(Connection::Http2(connection))
}

impl Connection {
    fn version(&self) -> Version {
        match self {
            Self::Http1(_) => Version::HTTP_11,
            Self::Http2(_) => Version::HTTP_2,
        }
    }

    /// The answer to `request`, which is one with status 200 in the version of the request.
    async fn ask(&mut self, request: Request<Body>) -> Result<Response<Incoming>> {
        let response = match self {
            Self::Http1(connection) => connection.send_request(request).await?,
            Self::Http2(connection) => connection.send_request(request).await?,
        };
        let (status, version) = (response.status(), response.version());
        if status != StatusCode::OK {
            let body = response.into_body().collect().await?.to_bytes();
            anyhow::bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        ensure!(version == self.version(), "answered in {version:?}");
        Ok(response)
    }

    fn request(&self, to: &str, path: &str) -> Result<hyper::http::request::Builder> {
        let request = Request::post(match self {
            Self::Http1(_) => path.to_owned(),
            Self::Http2(_) => format!("http://{to}{path}"),
        });
        Ok(match self {
            Self::Http1(_) => request.header(HOST, to),
            Self::Http2(_) => request,
        })
    }
}

/// A large body up, and the same down.
pub(super) async fn large(mut connection: Connection, to: &str) -> Result<String> {
    let sent = Bytes::from(pattern(LARGE));
    let body = Either::Left(Full::new(sent.clone()));
    let request = connection.request(to, MIRROR)?.body(body)?;
    let response = connection.ask(request).await?;
    let got = response.into_body().collect().await?.to_bytes();
    same(&got, &sent)?;
    Ok(format!("{LARGE} bytes up and down"))
}

/// Many on one connection, first one by one, then all at once.
pub(super) async fn many(mut connection: Connection, to: &str) -> Result<String> {
    for number in 0..SEQUENTIAL {
        mirrored(&mut connection, to, number).await?;
    }
    let Connection::Http2(sender) = connection else {
        anyhow::bail!("only HTTP/2 carries many at once")
    };
    let mut running = JoinSet::new();
    for number in 0..CONCURRENT {
        let (mut connection, to) = (Connection::Http2(sender.clone()), to.to_owned());
        running.spawn(async move { mirrored(&mut connection, &to, number).await });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(format!("{SEQUENTIAL} in turn, {CONCURRENT} at once"))
}

async fn mirrored(connection: &mut Connection, to: &str, number: usize) -> Result<()> {
    let sent = Bytes::from(format!("request {number}"));
    let body = Either::Left(Full::new(sent.clone()));
    let request = connection.request(to, MIRROR)?.body(body)?;
    let response = connection
        .ask(request)
        .await
        .with_context(|| format!("request {number}"))?;
    same(&response.into_body().collect().await?.to_bytes(), &sent)
}

/// A stream of two messages in lockstep, which only works if nothing between holds one back.
pub(super) async fn grpc(mut connection: Connection, to: &str) -> Result<String> {
    let (messages, body) = mpsc::channel(1);
    let request = connection
        .request(to, "/echo.Echo/Stream")?
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers");
    let first = message(&pattern(1000));
    messages.send(first.clone()).await?;
    let response = connection
        .ask(request.body(Either::Right(Messages(body)))?)
        .await?;
    let mut body = response.into_body();
    same(&receive(&mut body, first.len()).await?, &first)?;
    let second = message(&pattern(100_000));
    messages.send(second.clone()).await?;
    drop(messages);
    same(&receive(&mut body, second.len()).await?, &second)?;
    let end = body.collect().await?;
    let trailers = end.trailers().context("no trailers")?;
    let status = trailers.get("grpc-status").context("no grpc-status")?;
    ensure!(status == "0", "grpc-status: {status:?}");
    Ok(format!(
        "two messages in lockstep, trailer grpc-status {status:?}"
    ))
}

/// A gRPC message: no compression, its length, its bytes.
fn message(bytes: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + bytes.len());
    framed.put_u8(0);
    framed.put_u32(bytes.len() as u32);
    framed.put_slice(bytes);
    framed.freeze()
}

async fn receive(body: &mut Incoming, length: usize) -> Result<Bytes> {
    let mut got = BytesMut::new();
    while got.len() < length {
        let frame = body.frame().await.context("the body ends early")??;
        if let Ok(data) = frame.into_data() {
            got.put(data);
        }
    }
    Ok(got.freeze())
}
