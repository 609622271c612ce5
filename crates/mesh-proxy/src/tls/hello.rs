//! What a ClientHello says, read before anything is decided: server name and offered application protocols.

use rustls::server::Acceptor;
use std::io::Cursor;

/// Length of a TLS record's header.
const RECORD_HEADER: usize = 5;
/// Content type of handshake records.
const HANDSHAKE: u8 = 22;
/// A hello longer than this is not waited for; Envoy's limit for it.
pub const MAX_HELLO: usize = 16 * 1024 + RECORD_HEADER;

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// Too few to tell.
    Incomplete,
    /// Not TLS.
    NotTls,
    /// TLS.
    Tls(ClientHello),
}

/// A ClientHello.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// Server name, lower case.
    pub server_name: Option<String>,
    /// Offered ALPN protocols, most wanted first. Those that are not UTF-8 are left out.
    pub alpn: Vec<String>,
}

/// Reads a hello from the first `bytes` of a connection. Whatever way they were cut into packets, the answer is the same.
pub fn read(bytes: &[u8]) -> Hello {
    if !looks_like_tls(bytes) {
        return Hello::NotTls;
    }
    if bytes.len() < RECORD_HEADER || bytes.len() < first_record(bytes) {
        return if bytes.len() < MAX_HELLO {
            Hello::Incomplete
        } else {
            Hello::NotTls
        };
    }
    let mut acceptor = Acceptor::default();
    let mut unread = Cursor::new(bytes);
    loop {
        // A Cursor does not fail; what the bytes are is judged by `accept`.
        let read = acceptor.read_tls(&mut unread).unwrap_or(0);
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                let alpn = hello.alpn().into_iter().flatten();
                return Hello::Tls(ClientHello {
                    server_name: hello.server_name().map(str::to_ascii_lowercase),
                    alpn: alpn
                        .filter_map(|p| std::str::from_utf8(p).ok().map(str::to_owned))
                        .collect(),
                });
            }
            Ok(None) if read > 0 => {}
            Ok(None) if bytes.len() < MAX_HELLO => return Hello::Incomplete,
            // Begins as TLS, but is no hello that TLS 1.2 or 1.3 knows: whoever serves it may.
            Ok(None) | Err(_) => return Hello::Tls(ClientHello::default()),
        }
    }
}

fn looks_like_tls(bytes: &[u8]) -> bool {
    let handshake = bytes.first().is_none_or(|b| *b == HANDSHAKE);
    let major_version = bytes.get(1).is_none_or(|b| *b == 3);
    handshake && major_version
}

fn first_record(bytes: &[u8]) -> usize {
    RECORD_HEADER + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]))
}
