//! A client of the echo app that is strict about what comes back: every byte of it, its version, its trailers, its end.
//!
//! It runs in a pod, does one thing, prints what it saw in one line, and fails if that is not what it should be.
//!
//! ```text
//! http     large bodies, many requests on one connection, gRPC with trailers
//! upgrade  a WebSocket's bytes both ways, and both ways to close it
//! tcp      bytes both ways, a half-close, a server that speaks first
//! ```

mod http;
mod tcp;
mod upgrade;

use anyhow::{Context, Result, ensure};
use std::{process::ExitCode, time::Duration};
use tokio::net::TcpStream;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to do.
    #[arg(value_enum)]
    talk: Talk,
    /// Host and port to connect to.
    to: String,
}

/// What it can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Talk {
    /// 8 MiB up and down over HTTP/1.1.
    LargeHttp1,
    /// 8 MiB up and down over HTTP/2.
    LargeHttp2,
    /// 100 requests one after the other and 20 at once, on one HTTP/2 connection.
    ManyHttp2,
    /// A gRPC stream of two messages, the second sent after the first was answered; trailers.
    Grpc,
    /// Half a MiB both ways after an upgrade; the client closes.
    Websocket,
    /// The same; the server closes.
    WebsocketServerCloses,
    /// 1 MiB both ways; the client closes its side and still hears the rest.
    Tcp,
    /// The server speaks first, and closes.
    TcpServerFirst,
}

impl Talk {
    /// Bytes of a TCP connection: from the client, to the client.
    pub(crate) fn tcp_bytes(self) -> Option<(u64, u64)> {
        match self {
            Self::Tcp => Some(tcp::echo_bytes()),
            Self::TcpServerFirst => Some(tcp::server_first_bytes()),
            _ => None,
        }
    }
}

/// Talks and prints what it saw.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let saw = runtime.block_on(async {
        let talk = tokio::time::timeout(PATIENCE, talk(&options));
        talk.await.context("not done in time")?
    })?;
    println!("{saw}");
    Ok(ExitCode::SUCCESS)
}

async fn talk(options: &Options) -> Result<String> {
    let to = options.to.as_str();
    let stream = TcpStream::connect(to)
        .await
        .with_context(|| format!("connecting to {to}"))?;
    stream.set_nodelay(true)?;
    match options.talk {
        Talk::LargeHttp1 => http::large(http::http1(stream).await?, to).await,
        Talk::LargeHttp2 => http::large(http::http2(stream).await?, to).await,
        Talk::ManyHttp2 => http::many(http::http2(stream).await?, to).await,
        Talk::Grpc => http::grpc(http::http2(stream).await?, to).await,
        Talk::Websocket => upgrade::client_closes(stream, to).await,
        Talk::WebsocketServerCloses => upgrade::server_closes(stream, to).await,
        Talk::Tcp => tcp::echo(stream).await,
        Talk::TcpServerFirst => tcp::server_first(stream).await,
    }
}

/// `length` bytes that repeat nowhere, and begin like no HTTP.
fn pattern(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(1).fill(&mut bytes);
    if let Some(first) = bytes.first_mut() {
        *first = 0;
    }
    bytes
}

fn same(got: &[u8], want: &[u8]) -> Result<()> {
    let different = got.iter().zip(want).position(|(a, b)| a != b);
    ensure!(different.is_none(), "byte {different:?} differs");
    ensure!(
        got.len() == want.len(),
        "{} bytes instead of {}",
        got.len(),
        want.len()
    );
    Ok(())
}
