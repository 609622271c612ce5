//! Which protocol a service port speaks (Istio “protocol selection”).
//!
//! Decided once, when a Service becomes part of the world: `appProtocol`, else the port's name up to its first `-`, else
//! a well-known number, else the proxy has to look at the first bytes.

use mesh_model::cluster::UpstreamHttp;

/// Declared protocol of a service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 in plaintext.
    Http2,
    /// gRPC, or gRPC-Web.
    Grpc,
    /// Bytes.
    Tcp,
    /// TLS that the application terminates itself.
    Tls,
    /// Bytes of a protocol that HTTP listeners must never share a port with: the server speaks first.
    ServerFirst,
    /// Not declared: the first bytes decide.
    Auto,
}

/// How listeners treat a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Traffic {
    /// Requests.
    Http,
    /// Bytes.
    Tcp,
    /// Either; the proxy finds out.
    Auto,
}

/// Ports whose protocol needs no name: SMTP, DNS, MySQL, MongoDB as in Istio, and those where the server speaks first, so
/// that waiting for the client's first bytes would hang: FTP, SSH, POP3, IMAP.
const WELL_KNOWN_TCP: [u16; 8] = [25, 53, 3306, 27017, 21, 22, 110, 143];

impl Protocol {
    /// The protocol of a port; `None` if it does not run over TCP, so that the mesh leaves it alone.
    ///
    /// `transport`, `name` and `app_protocol` are the fields of a Kubernetes service port.
    pub fn select(
        port: u16,
        transport: Option<&str>,
        name: Option<&str>,
        app_protocol: Option<&str>,
    ) -> Option<Self> {
        if !matches!(transport, None | Some("TCP")) {
            return None;
        }
        match app_protocol {
            Some("kubernetes.io/h2c") => return Some(Self::Http2),
            Some("kubernetes.io/ws") => return Some(Self::Http),
            Some("kubernetes.io/wss") => return Some(Self::Tls),
            _ => {}
        }
        let word = app_protocol.or(name).unwrap_or_default();
        match Self::parse(word) {
            Some(Declared::Udp) => None,
            Some(Declared::Known(protocol)) => Some(protocol),
            None if WELL_KNOWN_TCP.contains(&port) => Some(Self::Tcp),
            None => Some(Self::Auto),
        }
    }

    fn parse(name: &str) -> Option<Declared> {
        let name = name.to_ascii_lowercase();
        // `grpc-web` holds the dash that ends a prefix.
        if name.starts_with("grpc-web") {
            return Some(Declared::Known(Self::Grpc));
        }
        let known = match name.split('-').next()? {
            "http" | "http_proxy" => Self::Http,
            "http2" => Self::Http2,
            "grpc" => Self::Grpc,
            "tcp" | "redis" => Self::Tcp,
            "https" | "tls" => Self::Tls,
            "mongo" | "mysql" => Self::ServerFirst,
            "udp" => return Some(Declared::Udp),
            _ => return None,
        };
        Some(Declared::Known(known))
    }

    /// How listeners treat it.
    pub fn traffic(self) -> Traffic {
        match self {
            Self::Http | Self::Http2 | Self::Grpc => Traffic::Http,
            Self::Tcp | Self::Tls | Self::ServerFirst => Traffic::Tcp,
            Self::Auto => Traffic::Auto,
        }
    }

    /// Which HTTP version is spoken to its endpoints.
    pub fn upstream_http(self) -> UpstreamHttp {
        match self {
            Self::Http2 | Self::Grpc => UpstreamHttp::Http2,
            Self::Auto => UpstreamHttp::Downstream,
            Self::Http | Self::Tcp | Self::Tls | Self::ServerFirst => UpstreamHttp::Http1,
        }
    }
}

enum Declared {
    Udp,
    Known(Protocol),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_order_of_istio() {
        for (port, transport, name, app_protocol, want) in [
            (80, None, None, None, Some(Protocol::Auto)),
            (80, Some("TCP"), Some("http"), None, Some(Protocol::Http)),
            (80, None, Some("HTTP-web"), None, Some(Protocol::Http)),
            (80, None, Some("http2-web"), None, Some(Protocol::Http2)),
            (80, None, Some("httpx"), None, Some(Protocol::Auto)),
            (80, None, Some("web"), None, Some(Protocol::Auto)),
            (80, None, Some("grpc-web-x"), None, Some(Protocol::Grpc)),
            (80, None, Some("grpc-x"), None, Some(Protocol::Grpc)),
            (443, None, Some("https"), None, Some(Protocol::Tls)),
            (443, None, Some("tls-db"), None, Some(Protocol::Tls)),
            (1, None, Some("tcp-http"), None, Some(Protocol::Tcp)),
            (1, None, Some("mysql"), None, Some(Protocol::ServerFirst)),
            (1, None, Some("redis"), None, Some(Protocol::Tcp)),
            (3306, None, Some("db"), None, Some(Protocol::Tcp)),
            (3306, None, Some("http"), None, Some(Protocol::Http)),
            (22, None, None, None, Some(Protocol::Tcp)),
            // appProtocol wins over the name, even if it says nothing
            (80, None, Some("http"), Some("tcp"), Some(Protocol::Tcp)),
            (
                80,
                None,
                Some("http"),
                Some("example.com/x"),
                Some(Protocol::Auto),
            ),
            (
                80,
                None,
                None,
                Some("kubernetes.io/h2c"),
                Some(Protocol::Http2),
            ),
            (
                80,
                None,
                None,
                Some("kubernetes.io/ws"),
                Some(Protocol::Http),
            ),
            (
                80,
                None,
                None,
                Some("kubernetes.io/wss"),
                Some(Protocol::Tls),
            ),
            (80, None, None, Some("http"), Some(Protocol::Http)),
            // not over TCP
            (53, Some("UDP"), Some("http"), None, None),
            (9, Some("SCTP"), None, None, None),
            (9, None, Some("udp-x"), None, None),
        ] {
            let got = Protocol::select(port, transport, name, app_protocol);
            assert_eq!(got, want, "{port} {transport:?} {name:?} {app_protocol:?}");
        }
    }
}
