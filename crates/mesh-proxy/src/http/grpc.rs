//! What the proxy knows of gRPC: its status codes, its deadline header, and what Envoy makes of an HTTP status.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::time::Duration;

pub(super) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(super) const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub(super) const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// `CANCELLED`.
pub(super) const CANCELLED: u32 = 1;
/// `DEADLINE_EXCEEDED`.
pub(super) const DEADLINE_EXCEEDED: u32 = 4;
/// `RESOURCE_EXHAUSTED`.
pub(super) const RESOURCE_EXHAUSTED: u32 = 8;
/// `INTERNAL`.
pub(super) const INTERNAL: u32 = 13;
/// `UNAVAILABLE`.
pub(super) const UNAVAILABLE: u32 = 14;

/// The status in headers or trailers.
pub(super) fn status(headers: &HeaderMap) -> Option<u32> {
    headers.get(STATUS)?.to_str().ok()?.parse().ok()
}

/// The status for an HTTP status (gRPC's `http-grpc-status-mapping.md`).
pub(super) fn from_http(status: StatusCode) -> u32 {
    match status.as_u16() {
        200 => 0,
        400 => INTERNAL,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => UNAVAILABLE,
        _ => 2,
    }
}

/// The HTTP status for a status, for clients that do not speak gRPC (as Envoy has it).
pub(super) fn to_http(status: u32) -> StatusCode {
    let code = match status {
        0 => 200,
        CANCELLED => 499,
        3 | 9 | 11 => 400,
        DEADLINE_EXCEEDED => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        RESOURCE_EXHAUSTED => 429,
        12 => 501,
        UNAVAILABLE => 503,
        16 => 401,
        _ => 500,
    };
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What an answer says of its server, as an HTTP status: that of gRPC counts if it is there with the headers.
pub(super) fn outcome<B>(is_grpc: bool, response: &http::Response<B>) -> u16 {
    let said = is_grpc.then(|| status(response.headers())).flatten();
    said.map_or(response.status(), to_http).as_u16()
}

/// The headers of a local reply.
pub(super) fn local_reply(headers: &mut HeaderMap, status: u32, message: &str) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(STATUS, HeaderValue::from(status));
    if let Ok(message) = HeaderValue::from_str(&percent_encoded(message))
        && !message.is_empty()
    {
        headers.insert(MESSAGE, message);
    }
}

// As `grpc-message` wants it: printable ASCII but `%` stays.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Counts messages in a body that comes in pieces: each has five bytes in front, a flag and its length.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    count: u64,
    front: [u8; 5],
    have: usize,
    skip: usize,
}

impl Messages {
    /// A piece of the body.
    pub(super) fn data(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (self.front.len() - self.have).min(bytes.len());
            self.front[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == self.front.len() {
                let [_, length @ ..] = self.front;
                self.skip = u32::from_be_bytes(length) as usize;
                self.have = 0;
                self.count += 1;
            }
        }
    }

    /// How many have begun.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

/// The deadline that the client sets: up to eight digits and a unit.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(n * 3600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read() {
        let read = |text: &str| {
            let value = HeaderValue::from_str(text).expect("a value");
            timeout(&[(TIMEOUT, value)].into_iter().collect())
        };
        assert_eq!(read("100m"), Some(Duration::from_millis(100)));
        assert_eq!(
            read("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3600))
        );
        for bad in ["", "m", "1", "1x", "999999999S", "+1S", "-1S", "1 S"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn messages_are_counted_whatever_the_pieces() {
        let message = |n: u8| [&[0, 0, 0, 0, n][..], &vec![7; n.into()]].concat();
        let body = [message(0), message(3), message(200), message(0)].concat();
        for size in [1, 2, 5, 7, body.len()] {
            let mut messages = Messages::default();
            body.chunks(size).for_each(|piece| messages.data(piece));
            assert_eq!(messages.count(), 4, "{size}");
        }
    }

    #[test]
    fn messages_are_encoded() {
        assert_eq!(percent_encoded("50% é\n"), "50%25 %C3%A9%0A");
    }
}
