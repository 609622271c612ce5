//! What an operator takes from its subject.

use super::{Subject, time::TimeFormat, value::Value};
use http::{HeaderMap, HeaderName, Version};
use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

/// A compiled operator.
#[derive(Debug)]
pub(super) enum Operator {
    StartTime(TimeFormat),
    RequestHeader(Headers),
    ResponseHeader(Headers),
    /// Always the same.
    Constant(Arc<str>),
    /// What a filter wrote: its name, and the keys down to the value.
    Metadata(Box<str>, Box<[Box<str>]>),
    /// What this data plane never has.
    Nothing,
    Plain(Plain),
}

/// A header, and another one that stands in for it.
#[derive(Debug)]
pub(super) struct Headers {
    first: Header,
    second: Option<Header>,
}

#[derive(Debug)]
enum Header {
    Method,
    Path,
    Authority,
    Named(HeaderName),
}

macro_rules! plain {
    ($($name:ident = $word:literal;)*) => {
        /// An operator without an argument.
        #[derive(Clone, Copy, Debug)]
        pub(super) enum Plain { $($name),* }

        impl Plain {
            fn of_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

plain! {
    Protocol = "PROTOCOL";
    ResponseCode = "RESPONSE_CODE";
    ResponseFlags = "RESPONSE_FLAGS";
    ResponseCodeDetails = "RESPONSE_CODE_DETAILS";
    ConnectionTerminationDetails = "CONNECTION_TERMINATION_DETAILS";
    UpstreamTransportFailureReason = "UPSTREAM_TRANSPORT_FAILURE_REASON";
    BytesReceived = "BYTES_RECEIVED";
    BytesSent = "BYTES_SENT";
    Duration = "DURATION";
    UpstreamHost = "UPSTREAM_HOST";
    UpstreamRemoteAddress = "UPSTREAM_REMOTE_ADDRESS";
    UpstreamCluster = "UPSTREAM_CLUSTER";
    UpstreamClusterRaw = "UPSTREAM_CLUSTER_RAW";
    UpstreamLocalAddress = "UPSTREAM_LOCAL_ADDRESS";
    UpstreamPeerUriSan = "UPSTREAM_PEER_URI_SAN";
    DownstreamLocalAddress = "DOWNSTREAM_LOCAL_ADDRESS";
    DownstreamLocalAddressWithoutPort = "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT";
    DownstreamLocalPort = "DOWNSTREAM_LOCAL_PORT";
    DownstreamRemoteAddress = "DOWNSTREAM_REMOTE_ADDRESS";
    DownstreamRemoteAddressWithoutPort = "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT";
    DownstreamRemotePort = "DOWNSTREAM_REMOTE_PORT";
    DownstreamDirectRemoteAddress = "DOWNSTREAM_DIRECT_REMOTE_ADDRESS";
    DownstreamPeerUriSan = "DOWNSTREAM_PEER_URI_SAN";
    DownstreamLocalUriSan = "DOWNSTREAM_LOCAL_URI_SAN";
    RequestedServerName = "REQUESTED_SERVER_NAME";
    RouteName = "ROUTE_NAME";
    ConnectionId = "CONNECTION_ID";
    GrpcStatusNumber = "GRPC_STATUS_NUMBER";
}

impl Operator {
    /// The operator of that name.
    ///
    /// # Errors
    /// Says what is not understood.
    pub(super) fn parse(name: &str, argument: Option<&str>) -> Result<Self, String> {
        let needed = || argument.ok_or_else(|| format!("{name} needs an argument"));
        match name {
            "START_TIME" => TimeFormat::compile(argument.unwrap_or_default()).map(Self::StartTime),
            "REQ" => Headers::parse(needed()?).map(Self::RequestHeader),
            "RESP" => Headers::parse(needed()?).map(Self::ResponseHeader),
            "DYNAMIC_METADATA" => {
                let mut words = needed()?.split(':').map(Box::from);
                let filter = words.next().unwrap_or_default();
                Ok(Self::Metadata(filter, words.collect()))
            }
            // Filters that would write it do not exist here.
            "FILTER_STATE" => needed().map(|_| Self::Nothing),
            "HOSTNAME" => Ok(Self::Constant(hostname())),
            _ => match (Plain::of_word(name), argument) {
                (Some(plain), None) => Ok(Self::Plain(plain)),
                (Some(_), Some(_)) => Err(format!("{name} takes no argument")),
                (None, _) => Err(format!("unknown operator {name}")),
            },
        }
    }

    /// The response headers that it shows.
    pub(super) fn response_headers(&self) -> impl Iterator<Item = &HeaderName> {
        let headers = match self {
            Self::ResponseHeader(headers) => Some(headers),
            _ => None,
        };
        let both = headers
            .into_iter()
            .flat_map(|h| [Some(&h.first), h.second.as_ref()]);
        both.flatten().filter_map(|header| match header {
            Header::Named(name) => Some(name),
            Header::Method | Header::Path | Header::Authority => None,
        })
    }

    pub(super) fn value<'a>(&'a self, subject: &Subject<'a>) -> Value<'a> {
        match self {
            Self::StartTime(format) => Value::Time(subject.start, format),
            Self::RequestHeader(headers) => headers.in_request(subject),
            Self::ResponseHeader(headers) => headers.in_response(subject),
            Self::Constant(text) => Value::Bytes(text.as_bytes()),
            Self::Metadata(filter, path) => {
                let metadata = subject.request.map(|request| request.metadata);
                let found = metadata.and_then(|m| m.get(filter, path.iter().map(|key| &**key)));
                found.map_or(Value::Absent, Value::Json)
            }
            Self::Nothing => Value::Absent,
            Self::Plain(plain) => plain.value(subject),
        }
    }
}

fn hostname() -> Arc<str> {
    static HOSTNAME: LazyLock<Arc<str>> = LazyLock::new(|| {
        let name = nix::sys::utsname::uname();
        name.map_or_else(
            |_| "-".into(),
            |name| name.nodename().to_string_lossy().into(),
        )
    });
    Arc::clone(&HOSTNAME)
}

impl Headers {
    fn parse(argument: &str) -> Result<Self, String> {
        let (first, second) = match argument.split_once('?') {
            Some((first, second)) => (first, Some(second)),
            None => (argument, None),
        };
        Ok(Self {
            first: Header::parse(first)?,
            second: second.map(Header::parse).transpose()?,
        })
    }

    fn in_request<'a>(&self, subject: &Subject<'a>) -> Value<'a> {
        let Some(request) = subject.request else {
            return Value::Absent;
        };
        let get = |header: &Header| match header {
            Header::Method => Some(request.method.as_str().as_bytes()),
            Header::Path => Some(request.path.as_bytes()),
            Header::Authority => Some(request.authority.as_bytes()).filter(|a| !a.is_empty()),
            Header::Named(name) => value_of(request.headers, name),
        };
        self.find(get)
    }

    fn in_response<'a>(&self, subject: &Subject<'a>) -> Value<'a> {
        let headers = subject.response.and_then(|response| response.headers);
        let get = |header: &Header| match (header, headers) {
            (Header::Named(name), Some(headers)) => value_of(headers, name),
            _ => None,
        };
        self.find(get)
    }

    fn find<'a>(&self, get: impl Fn(&Header) -> Option<&'a [u8]>) -> Value<'a> {
        let found = get(&self.first).or_else(|| self.second.as_ref().and_then(get));
        found.map_or(Value::Absent, Value::Bytes)
    }
}

fn value_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    headers.get(name).map(|value| value.as_bytes())
}

impl Header {
    fn parse(name: &str) -> Result<Self, String> {
        match name.to_ascii_lowercase().as_str() {
            ":method" => Ok(Self::Method),
            ":path" => Ok(Self::Path),
            ":authority" | "host" => Ok(Self::Authority),
            lower => match HeaderName::try_from(lower) {
                Ok(name) => Ok(Self::Named(name)),
                Err(_) => Err(format!("`{name}` is no name of a header that is kept")),
            },
        }
    }
}

impl Plain {
    fn value<'a>(self, subject: &Subject<'a>) -> Value<'a> {
        let (connection, upstream) = (subject.connection, subject.upstream);
        let text =
            |text: Option<&'a str>| text.map_or(Value::Absent, |t| Value::Bytes(t.as_bytes()));
        let word = |text: Option<&'a str>| text.map_or(Value::Absent, Value::Word);
        let address = |a: Option<SocketAddr>| a.map_or(Value::Absent, Value::Address);
        let number = |number: Option<u64>| number.map_or(Value::Absent, Value::Number);
        let (tls, ended) = (connection.tls.as_ref(), subject.ended);
        match self {
            Self::Protocol => text(subject.request.map(|r| protocol(r.version))),
            Self::ResponseCode => {
                let status = subject.response.and_then(|r| r.status);
                Value::Number(status.map_or(0, |s| s.as_u16().into()))
            }
            Self::ResponseFlags => Value::Flags(subject.flags),
            Self::ResponseCodeDetails => word(ended.and_then(|e| e.details)),
            Self::ConnectionTerminationDetails => word(ended.and_then(|e| e.termination_details)),
            Self::UpstreamTransportFailureReason => word(upstream.transport_failure.as_deref()),
            Self::BytesReceived => number(ended.map(|e| e.bytes_received)),
            Self::BytesSent => number(ended.map(|e| e.bytes_sent)),
            Self::Duration => {
                number(ended.map(|e| u64::try_from(e.duration.as_millis()).unwrap_or(u64::MAX)))
            }
            Self::UpstreamHost | Self::UpstreamRemoteAddress => address(upstream.host),
            Self::UpstreamCluster | Self::UpstreamClusterRaw => text(upstream.cluster.as_deref()),
            Self::UpstreamLocalAddress => address(upstream.local),
            Self::UpstreamPeerUriSan => text(upstream.peer_principal.as_deref()),
            Self::DownstreamLocalAddress => Value::Address(connection.destination),
            Self::DownstreamLocalAddressWithoutPort => Value::Ip(connection.destination.ip()),
            Self::DownstreamLocalPort => Value::Number(connection.destination.port().into()),
            Self::DownstreamRemoteAddress | Self::DownstreamDirectRemoteAddress => {
                Value::Address(connection.peer)
            }
            Self::DownstreamRemoteAddressWithoutPort => Value::Ip(connection.peer.ip()),
            Self::DownstreamRemotePort => Value::Number(connection.peer.port().into()),
            Self::DownstreamPeerUriSan => text(tls.and_then(|t| t.uri_san.as_deref())),
            Self::DownstreamLocalUriSan => text(tls.and_then(|t| t.local_uri_san.as_deref())),
            Self::RequestedServerName => text(connection.server_name.as_deref()),
            Self::RouteName => text(subject.request.and_then(|r| r.route)),
            Self::ConnectionId => Value::Number(connection.id),
            Self::GrpcStatusNumber => {
                let status = subject.response.and_then(|r| r.grpc_status);
                number(status.map(u64::from))
            }
        }
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}
