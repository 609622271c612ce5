//! What is asked, and what both sidecars should say of it.

use super::{
    Direction,
    cluster::{Cluster, DataPlane},
};
use crate::{client::Talk, netns::container};
use anyhow::{Result, ensure};
use clap::ValueEnum;
use std::process::Command;

/// A case.
pub(super) struct Case {
    /// What it is called.
    pub(super) name: &'static str,
    /// Port of the server.
    pub(super) port: Port,
    /// Who asks.
    pub(super) client: Client,
    /// What the client speaks.
    pub(super) downstream: Protocol,
    /// What the sidecars make of it, and the application hears.
    pub(super) upstream: Protocol,
    /// How often: requests, or connections if it is TCP.
    pub(super) times: u64,
    /// The answer's status.
    pub(super) status: u16,
    /// What the server says once the client has closed.
    pub(super) hears_the_end: bool,
}

/// A port of a Service.
#[derive(Clone, Copy)]
pub(super) struct Port {
    /// Number at the Service.
    pub(super) number: u16,
    /// Number at the pod.
    pub(super) target: u16,
    /// What the Service's name ends with.
    pub(super) suffix: &'static str,
}

/// What a sidecar takes a connection for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
    Grpc,
    Tcp,
}

impl Protocol {
    /// As the access log has it.
    pub(super) fn logged(self) -> Option<&'static str> {
        match self {
            Self::Http1 => Some("HTTP/1.1"),
            Self::Http2 | Self::Grpc => Some("HTTP/2"),
            Self::Tcp => None,
        }
    }

    /// As the metrics have it.
    pub(super) fn counted(self) -> &'static str {
        match self {
            Self::Http1 | Self::Http2 => "http",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        }
    }
}

/// Who asks.
#[derive(Clone, Copy)]
pub(super) enum Client {
    /// curl, with a flag that says which HTTP, as often as the case says, on one connection.
    Curl(&'static str),
    /// Our own.
    Ours(Talk),
}

const HTTP: Port = port(80, 8080, "");
const HTTP2: Port = port(81, 8081, "");
const GRPC: Port = port(82, 8082, "");
const TCP: Port = port(9000, 9000, "");
const GREETING: Port = port(9001, 9001, "");
const SNIFFED: Port = port(8090, 8090, "-sniffed");

const fn port(number: u16, target: u16, suffix: &'static str) -> Port {
    Port {
        number,
        target,
        suffix,
    }
}

const HTTP1_ONLY: Client = Client::Curl("--http1.1");
const PRIOR_KNOWLEDGE: Client = Client::Curl("--http2-prior-knowledge");

const fn case(name: &'static str, port: Port, client: Client, protocol: Protocol) -> Case {
    Case {
        name,
        port,
        client,
        downstream: protocol,
        upstream: protocol,
        times: 1,
        status: match protocol {
            Protocol::Tcp => 0,
            _ => 200,
        },
        hears_the_end: matches!(client, Client::Ours(Talk::Tcp | Talk::Websocket)),
    }
}

const fn upgrade(name: &'static str, talk: Talk) -> Case {
    Case {
        status: 101,
        ..case(name, HTTP, Client::Ours(talk), Protocol::Http1)
    }
}

/// All of them.
pub(super) const CASES: &[Case] = &[
    case("http/1.1 kept alive", HTTP, HTTP1_ONLY, Protocol::Http1).times(3),
    // Once: some releases of curl can't use a connection twice if they take its protocol for granted.
    case("http/2", HTTP2, PRIOR_KNOWLEDGE, Protocol::Http2),
    Case {
        upstream: Protocol::Http2,
        ..case("http/1.1 to http/2", HTTP2, HTTP1_ONLY, Protocol::Http1)
    },
    case(
        "http/2, many at once",
        HTTP2,
        Client::Ours(Talk::ManyHttp2),
        Protocol::Http2,
    )
    .times(120),
    case("grpc", GRPC, Client::Ours(Talk::Grpc), Protocol::Grpc),
    case(
        "http/1.1, 8 MiB",
        HTTP,
        Client::Ours(Talk::LargeHttp1),
        Protocol::Http1,
    ),
    case(
        "http/2, 8 MiB",
        HTTP2,
        Client::Ours(Talk::LargeHttp2),
        Protocol::Http2,
    ),
    upgrade("websocket", Talk::Websocket),
    upgrade("websocket, server closes", Talk::WebsocketServerCloses),
    case("tcp", TCP, Client::Ours(Talk::Tcp), Protocol::Tcp),
    case(
        "tcp, server first",
        GREETING,
        Client::Ours(Talk::TcpServerFirst),
        Protocol::Tcp,
    ),
    case("sniffed http/1.1", SNIFFED, HTTP1_ONLY, Protocol::Http1),
    case("sniffed http/2", SNIFFED, PRIOR_KNOWLEDGE, Protocol::Http2),
    case(
        "sniffed tcp",
        SNIFFED,
        Client::Ours(Talk::Tcp),
        Protocol::Tcp,
    ),
];

impl Case {
    const fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// What the server's sidecar hears from a client with this data plane.
    pub(super) fn heard(&self, client: DataPlane) -> Protocol {
        match client {
            DataPlane::None => self.downstream,
            DataPlane::MeshProxy | DataPlane::Envoy => self.upstream,
        }
    }

    /// Subset of the cluster that a client with this data plane sends it to. A plain Envoy can't choose what it offers
    /// by what it has sniffed, so what is not HTTP has a cluster of its own.
    pub(super) fn subset(&self, client: DataPlane) -> &'static str {
        let sniffed = self.port.number == SNIFFED.number && self.downstream == Protocol::Tcp;
        if sniffed && client == DataPlane::Envoy {
            "~tcp"
        } else {
            ""
        }
    }

    /// Bytes of a TCP connection: from the client, to the client.
    pub(super) fn tcp_bytes(&self) -> Option<(u64, u64)> {
        match self.client {
            Client::Ours(talk) => talk.tcp_bytes(),
            Client::Curl(_) => None,
        }
    }
}

impl Client {
    /// Talks and tells what it saw.
    pub(super) fn talk(
        self,
        cluster: &Cluster,
        direction: Direction,
        case: &Case,
    ) -> Result<String> {
        let to = cluster.address(direction, case.port)?;
        match self {
            Self::Curl(flag) => curl(cluster, direction, case, (flag, &to)),
            Self::Ours(talk) => {
                let talk = talk.to_possible_value();
                let talk = talk.as_ref().map_or("", |value| value.get_name());
                let mut client = Command::new(container::program("mesh-e2e"));
                let said = cluster.run(direction.client, client.args(["client", talk, &to]))?;
                Ok(said.trim().to_owned())
            }
        }
    }
}

/// Several requests on one connection. The application tells which HTTP it heard, and from whom.
fn curl(
    cluster: &Cluster,
    direction: Direction,
    case: &Case,
    (flag, to): (&str, &str),
) -> Result<String> {
    let url = format!("http://{to}/hello");
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "10", flag]);
    command.args([
        "-w",
        "answer: %{http_version} new connections: %{num_connects}\n",
    ]);
    command.args((0..case.times).map(|_| &url));
    let said = cluster.run(direction.client, &mut command)?;
    let version = match case.upstream {
        Protocol::Http1 => "HTTP/1.1",
        _ => "HTTP/2.0",
    };
    let answered = match case.downstream {
        Protocol::Http1 => "1.1",
        _ => "2",
    };
    let count = |text: &str| said.matches(text).count() as u64;
    ensure!(
        count(&format!("GET /hello {version}\n")) + count(&format!("GET {url} {version}\n"))
            == case.times,
        "the server heard no {version}: {said}"
    );
    ensure!(
        count(&format!("answer: {answered} new connections: 1\n")) == 1
            && count(&format!("answer: {answered} new connections: 0\n")) == case.times - 1,
        "not on one connection: {said}"
    );
    let peer = format!(
        ";URI=spiffe://cluster.local/ns/test/sa/{}\n",
        direction.client.name
    );
    let meshed = direction.client.plane != DataPlane::None;
    ensure!(
        count(&peer) == if meshed { case.times } else { 0 }
            && (meshed || count("x-forwarded-client-cert") == 0),
        "the server's sidecar names another client: {said}"
    );
    Ok(format!("{} × {version} on one connection", case.times))
}
