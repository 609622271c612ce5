//! Whether the first bytes of a connection are HTTP, and which.

/// Longest request line that is waited for.
const MAX_LINE: usize = 64 * 1024;
/// Longest method that is taken for one (the longest registered has 17 letters).
const MAX_METHOD: usize = 32;
/// The start of the HTTP/2 connection preface, up to its first line's end (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// What the first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestLine {
    /// Too few to tell.
    Incomplete,
    /// Something else.
    NotHttp,
    /// HTTP, by the name that filter chains match.
    Http(&'static str),
}

pub(super) fn read(bytes: &[u8]) -> RequestLine {
    let compared = bytes.len().min(PREFACE.len());
    if bytes[..compared] == PREFACE[..compared] {
        return if compared == PREFACE.len() {
            RequestLine::Http("h2c")
        } else {
            RequestLine::Incomplete
        };
    }
    let method = bytes
        .iter()
        .take(MAX_METHOD + 1)
        .position(|b| !is_token(*b));
    match method {
        None if bytes.len() <= MAX_METHOD => RequestLine::Incomplete,
        Some(end) if end > 0 && bytes[end] == b' ' => version(bytes),
        _ => RequestLine::NotHttp,
    }
}

/// The version at the end of the request line.
fn version(bytes: &[u8]) -> RequestLine {
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else {
        return if bytes.len() < MAX_LINE {
            RequestLine::Incomplete
        } else {
            RequestLine::NotHttp
        };
    };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    if line.ends_with(b" HTTP/1.1") {
        RequestLine::Http("http/1.1")
    } else if line.ends_with(b" HTTP/1.0") {
        RequestLine::Http("http/1.0")
    } else {
        RequestLine::NotHttp
    }
}

/// Characters of a method (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{RequestLine::*, *};

    #[test]
    fn tells_http_from_everything_else() {
        for (bytes, want) in [
            (&b""[..], Incomplete),
            (b"GE", Incomplete),
            (b"GET / HTTP/1.1", Incomplete),
            (b"GET / HTTP/1.1\r\n", Http("http/1.1")),
            (b"GET /a?b HTTP/1.0\r\nHost: x\r\n\r\n", Http("http/1.0")),
            (b"PURGE / HTTP/1.1\n", Http("http/1.1")),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http("h2c")),
            (b"PRI * HT", Incomplete),
            (b"GET / HTTP/3.0\r\n", NotHttp),
            (b"GET /\r\n", NotHttp),
            (b" GET / HTTP/1.1\r\n", NotHttp),
            (b"\x16\x03\x01", NotHttp),
            (b"\0\0\0\x08", NotHttp),
            (b"EHLO mail\r\n", NotHttp),
            (b"abcdefghijklmnopqrstuvwxyzabcdefghij", NotHttp),
        ] {
            assert_eq!(read(bytes), want, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_waited_for_for_ever() {
        let mut line = b"GET /".to_vec();
        line.resize(MAX_LINE, b'a');
        assert_eq!(read(&line), NotHttp);
    }
}
