//! A connection from a place of one's choice, and what came of it.

use crate::netns::pod::Pod;
use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};
use std::{
    fmt,
    fs::File,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
    time::Duration,
};

/// How long anything may take to be answered or closed.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than any page has.
const MOST_BYTES: u64 = 16 << 20;

/// Where a connection begins.
#[derive(Clone, Copy)]
pub(super) enum Visitor<'a> {
    /// Outside of all pods, where nothing is captured.
    Outside,
    /// An application of this pod.
    In(&'a Pod),
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was not taken, or ended without a byte.
    Closed,
    /// Status of an HTTP response, and all that came with it.
    Answered(u16, String),
    /// Bytes that are no HTTP.
    Bytes(Vec<u8>),
}

impl Visitor<'_> {
    /// Sends `bytes` to `to` and reads all that comes.
    ///
    /// # Errors
    /// If the connection neither ends nor is answered to its end in time.
    pub(super) fn send(self, to: SocketAddr, bytes: &[u8]) -> Result<Outcome> {
        let network = match self {
            Self::Outside => None,
            Self::In(pod) => Some(File::open(format!("/proc/{}/ns/net", pod.pid()))?),
        };
        // A thread of its own, because a network namespace belongs to a thread.
        let talk = move || {
            if let Some(network) = network {
                setns(&network, CloneFlags::CLONE_NEWNET)?;
            }
            talk(to, bytes)
        };
        let answer = thread::scope(|scope| scope.spawn(talk).join());
        let answer = answer.map_err(|_| anyhow::anyhow!("the visitor panicked"))?;
        answer.with_context(|| format!("{self} to {to}"))
    }

    /// Sends a request without a body.
    pub(super) fn ask(self, to: SocketAddr, line: &str, headers: &[&str]) -> Result<Outcome> {
        let mut request = format!("{line} HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n");
        for header in headers {
            request.push_str(&format!("{header}\r\n"));
        }
        request.push_str("\r\n");
        self.send(to, request.as_bytes())
    }
}

fn talk(to: SocketAddr, bytes: &[u8]) -> Result<Outcome> {
    let mut stream = match TcpStream::connect_timeout(&to, PATIENCE) {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(Outcome::Closed),
        Err(error) => bail!("connecting: {error}"),
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    // It may be refused before all of it is written.
    let _ = stream.write_all(bytes);
    if !bytes.ends_with(b"\r\n\r\n") {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    match stream.take(MOST_BYTES).read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => bail!("neither closed nor answered within {PATIENCE:?}: {error}"),
    }
    Ok(read(answer))
}

fn read(answer: Vec<u8>) -> Outcome {
    if answer.is_empty() {
        return Outcome::Closed;
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    match status {
        Some(status) => Outcome::Answered(status, text.into_owned()),
        None => Outcome::Bytes(answer),
    }
}

impl Outcome {
    /// Whether nobody behind the port was asked: closed, or a proxy's word that there is nobody (503), or that this is
    /// not done here (403, as to CONNECT).
    pub(super) fn is_refusal(&self) -> bool {
        *self == Self::Closed || matches!(self.status(), Some(403 | 503))
    }

    /// The status, if it was answered.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(status, _) => Some(*status),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Answered(status, _) => write!(f, "{status}"),
            Self::Bytes(bytes) => write!(f, "{} bytes that are no HTTP", bytes.len()),
        }
    }
}

impl fmt::Display for Visitor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside => f.write_str("outside"),
            Self::In(pod) => f.write_str(pod.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_told_apart() {
        assert_eq!(read(Vec::new()), Outcome::Closed);
        let text = "HTTP/1.1 403 Forbidden\r\n\r\n";
        assert_eq!(read(text.into()).status(), Some(403));
        assert!(read(Vec::new()).is_refusal() && read(text.into()).is_refusal());
        assert!(!read(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()).is_refusal());
        assert_eq!(read(b"abc".to_vec()), Outcome::Bytes(b"abc".to_vec()));
    }
}
