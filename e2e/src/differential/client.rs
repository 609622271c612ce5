//! Asks, and writes down the answer.

use super::{case::Request, seen::Seen};
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so much silence an answer to raw bytes is complete.
const QUIET: Duration = Duration::from_millis(400);

/// The client of a plane.
pub(super) struct Client {
    to: SocketAddr,
    connection: Option<Connection>,
}

enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    pub(super) fn new(port: u16) -> Self {
        Self {
            to: ([127, 0, 0, 1], port).into(),
            connection: None,
        }
    }

    /// Asks, and notes the answer under `name`.
    pub(super) async fn ask(
        &mut self,
        request: &Request,
        name: &str,
        seen: &mut Seen,
    ) -> Result<()> {
        sleep(Duration::from_millis(request.pause_ms)).await;
        if let Some(raw) = &request.raw {
            let answer = self.raw(raw.as_bytes()).await?;
            seen.raw(name, &answer);
            return Ok(());
        }
        match timeout(PATIENCE, self.http(request)).await {
            Ok(Ok((head, body))) => seen.answer(name, &head, &body),
            Ok(Err(error)) => {
                self.connection = None;
                seen.note(&format!("{name}.broken"), broken(&error));
            }
            Err(_) => {
                self.connection = None;
                seen.note(&format!("{name}.broken"), "no answer");
            }
        }
        Ok(())
    }

    async fn raw(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.to).await?;
        stream.set_nodelay(true)?;
        // It may be closed while we write.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let mut patience = PATIENCE;
        loop {
            match timeout(patience, stream.read_buf(&mut answer)).await {
                Ok(Ok(0)) => {
                    answer.extend_from_slice(b"[end]");
                    return Ok(answer);
                }
                Ok(Ok(_)) => patience = QUIET,
                Ok(Err(_)) => {
                    answer.extend_from_slice(b"[reset]");
                    return Ok(answer);
                }
                Err(_) => return Ok(answer),
            }
        }
    }

    async fn http(&mut self, request: &Request) -> Result<(http::response::Parts, Answered)> {
        if !request.same_connection || self.connection.is_none() {
            self.connection = Some(connect(self.to, request.http2).await?);
        }
        let connection = self.connection.as_mut().context("a connection")?;
        let host = request.headers.iter().find(|(name, _)| name == "host");
        let host = host.map_or("test", |(_, value)| value.as_str());
        let uri = match request.http2 {
            true => format!("http://{host}{}", request.path),
            false => request.path.clone(),
        };
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(uri);
        if !request.http2 {
            builder = builder.header("host", host);
        }
        for (name, value) in request.headers.iter().filter(|(name, _)| name != "host") {
            builder = builder.header(name, value);
        }
        let request = builder.body(Full::new(Bytes::from(request.body.clone())))?;
        let response = match connection {
            Connection::Http1(connection) => connection.send_request(request).await?,
            Connection::Http2(connection) => connection.send_request(request).await?,
        };
        let (head, body) = response.into_parts();
        Ok((head, answered(body).await))
    }
}

/// What came after the head.
pub(super) struct Answered {
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<http::HeaderMap>,
    /// It broke off.
    pub(super) broken: bool,
}

async fn answered(mut body: Incoming) -> Answered {
    let mut answered = Answered {
        body: Vec::new(),
        trailers: None,
        broken: false,
    };
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => match frame.into_data() {
                Ok(data) => answered.body.extend_from_slice(&data),
                Err(frame) => answered.trailers = frame.into_trailers().ok(),
            },
            Err(_) => {
                answered.broken = true;
                break;
            }
        }
    }
    answered
}

async fn connect(to: SocketAddr, in_http2: bool) -> Result<Connection> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let io = TokioIo::new(stream);
    Ok(if in_http2 {
        let (connection, driver) = http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(driver);
        Connection::Http2(connection)
    } else {
        let (connection, driver) = http1::handshake(io).await?;
        tokio::spawn(driver);
        Connection::Http1(connection)
    })
}

/// In words that do not depend on timing.
fn broken(error: &anyhow::Error) -> &'static str {
    match error.downcast_ref::<hyper::Error>() {
        Some(error) if error.is_parse() => "no HTTP",
        _ => "connection ended",
    }
}
