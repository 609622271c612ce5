//! Raw bytes over TCP.

use super::{pattern, same};
use crate::echo::raw;
use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Bytes each way.
const BYTES: usize = 1 << 20;
/// The line for a server that speaks first.
const LINE: &[u8] = b"HELO there\r\n";

/// Bytes of [`echo`]: from the client, to the client.
pub(super) fn echo_bytes() -> (u64, u64) {
    let sent = BYTES as u64;
    (sent, sent + raw::farewell(sent).len() as u64)
}

/// Bytes of [`server_first`]: from the client, to the client.
pub(super) fn server_first_bytes() -> (u64, u64) {
    (LINE.len() as u64, (raw::GREETING.len() + LINE.len()) as u64)
}

/// Sends while it receives, closes its side, and hears what the server says after that.
pub(super) async fn echo(stream: TcpStream) -> Result<String> {
    let sent = pattern(BYTES);
    let (mut read, mut write) = stream.into_split();
    let send = async {
        write.write_all(&sent).await.context("sending")?;
        write.shutdown().await.context("closing our side")
    };
    let mut got = Vec::new();
    let receive = async { read.read_to_end(&mut got).await.context("receiving") };
    tokio::try_join!(send, receive)?;
    let farewell = raw::farewell(BYTES as u64);
    let mut want = sent;
    want.extend_from_slice(farewell.as_bytes());
    same(&got, &want)?;
    Ok(format!(
        "{BYTES} bytes both ways, half-closed, then {farewell:?}"
    ))
}

/// Says nothing before it was spoken to.
pub(super) async fn server_first(mut stream: TcpStream) -> Result<String> {
    let mut greeting = vec![0; raw::GREETING.len()];
    stream.read_exact(&mut greeting).await.context("greeting")?;
    same(&greeting, raw::GREETING)?;
    stream.write_all(LINE).await?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.context("answer")?;
    same(&rest, LINE)?;
    Ok("greeted first, answered, closed by the server".to_owned())
}
