//! Tells HTTP/2 with prior knowledge from HTTP/1 by a connection's first bytes.

use crate::tls::Stream;
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::{io::AsyncReadExt, time::timeout};

/// What an HTTP/2 client sends first (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// HTTP version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// Reads until the version is certain. `None`: the connection ended, or was idle for longer than `idle`, before.
pub(super) async fn read(io: &mut Stream, idle: Option<Duration>) -> Option<(Version, Bytes)> {
    let mut begun = BytesMut::with_capacity(8 * 1024);
    loop {
        if let Some(version) = version(&begun) {
            return Some((version, begun.freeze()));
        }
        let read = io.read_buf(&mut begun);
        let n = match idle {
            Some(idle) => timeout(idle, read).await.ok()?,
            None => read.await,
        };
        if n.ok()? == 0 {
            return None;
        }
    }
}

// `None`: so far both are possible.
fn version(begun: &[u8]) -> Option<Version> {
    let n = begun.len().min(PREFACE.len());
    if begun[..n] != PREFACE[..n] {
        return Some(Version::Http1);
    }
    (n == PREFACE.len()).then_some(Version::Http2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_is_undecided_until_it_is_not() {
        for n in 0..PREFACE.len() {
            assert_eq!(version(&PREFACE[..n]), None, "{n}");
        }
        let more = [PREFACE, b"\0\0\0"].concat();
        assert_eq!(version(&more), Some(Version::Http2));
        assert_eq!(version(b"P"), None);
        assert_eq!(version(b"POST"), Some(Version::Http1));
        assert_eq!(version(b"GET"), Some(Version::Http1));
    }
}
