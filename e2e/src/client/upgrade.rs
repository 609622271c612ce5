//! A WebSocket's handshake, then raw bytes: frames are no business of anyone between the two ends.

use super::{pattern, same};
use crate::echo::{http::CLOSE_AFTER, raw};
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Bytes each way.
const BYTES: usize = 512 * 1024;

/// Upgrades, exchanges, closes.
pub(super) async fn client_closes(mut stream: TcpStream, to: &str) -> Result<String> {
    handshake(&mut stream, to, "").await?;
    exchange(&mut stream).await?;
    stream.shutdown().await?;
    // The server's last words may or may not come through: an upgraded connection knows no half-close everywhere.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.context("the end")?;
    let farewell = raw::farewell(BYTES as u64);
    ensure!(
        rest.is_empty() || rest == farewell.as_bytes(),
        "{}",
        rest.escape_ascii()
    );
    Ok(format!("101, {BYTES} bytes both ways, closed"))
}

/// Upgrades, exchanges, and hears the server close.
pub(super) async fn server_closes(mut stream: TcpStream, to: &str) -> Result<String> {
    handshake(&mut stream, to, &format!("{CLOSE_AFTER}: {BYTES}\r\n")).await?;
    exchange(&mut stream).await?;
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest));
    end.await.context("the server's close does not arrive")??;
    same(&rest, b"")?;
    Ok(format!(
        "101, {BYTES} bytes both ways, closed by the server"
    ))
}

/// Asks for the upgrade and reads no byte more than its answer.
async fn handshake(stream: &mut TcpStream, to: &str, more: &str) -> Result<()> {
    let request = format!(
        "GET /chat HTTP/1.1\r\nHost: {to}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.context("no answer to the upgrade")?);
    }
    let answer = String::from_utf8(answer)?.to_ascii_lowercase();
    ensure!(
        answer.starts_with("http/1.1 101 ") && answer.contains("upgrade: websocket"),
        "{answer}"
    );
    Ok(())
}

async fn exchange(stream: &mut TcpStream) -> Result<()> {
    let sent = pattern(BYTES);
    let mut got = vec![0; BYTES];
    let (mut read, mut write) = stream.split();
    tokio::try_join!(read.read_exact(&mut got), write.write_all(&sent))?;
    same(&got, &sent)
}
