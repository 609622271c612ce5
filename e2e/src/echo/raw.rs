//! Bytes that are no HTTP: sent back as they come, with a last line that is written only once the other side has ended.

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// What a server that speaks first says.
pub(crate) const GREETING: &[u8] = b"220 speak\r\n";

/// The last line of an [`echo`] of `bytes`.
pub(crate) fn farewell(bytes: u64) -> String {
    format!("{bytes} bytes and an end\n")
}

/// Sends back what comes until it ends, then says how much it was, and closes.
pub(super) async fn echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<()> {
    let mut total = 0;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        stream.write_all(&buffer[..read]).await?;
        stream.flush().await?;
        total += read as u64;
    }
    // Seen by whoever wants to know that the end has arrived, also when nobody listens any more.
    println!("an end after {total} bytes");
    stream.write_all(farewell(total).as_bytes()).await?;
    Ok(stream.shutdown().await?)
}

/// Sends back `bytes` bytes, then closes, whatever the other side does.
pub(super) async fn echo_only(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    bytes: usize,
) -> Result<()> {
    let mut all = vec![0; bytes];
    stream.read_exact(&mut all).await?;
    stream.write_all(&all).await?;
    Ok(stream.shutdown().await?)
}

/// Speaks first, hears one line, repeats it, and closes.
pub(super) async fn greet(mut stream: TcpStream) -> Result<()> {
    stream.write_all(GREETING).await?;
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(stream.read_u8().await?);
    }
    stream.write_all(&line).await?;
    Ok(stream.shutdown().await?)
}
