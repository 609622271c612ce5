//! What injection wrote down of a probe, a hook or a scrape: Kubernetes' own fields, with ports as numbers.

use serde::Deserialize;
use std::time::Duration;

/// Where metrics are if nothing says so.
const METRICS_PATH: &str = "/metrics";
/// As [`METRICS_PATH`], the port.
const METRICS_PORT: u16 = 80;

/// A probe, or a hook.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Probe {
    pub(super) http_get: Option<HttpGet>,
    pub(super) tcp_socket: Option<TcpSocket>,
    pub(super) grpc: Option<Grpc>,
    #[serde(default)]
    timeout_seconds: u32,
}

/// Any answer but an error.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HttpGet {
    #[serde(default)]
    pub(super) path: String,
    pub(super) port: u16,
    #[serde(default)]
    pub(super) scheme: String,
    #[serde(default)]
    pub(super) http_headers: Vec<Header>,
}

/// A header that the probe sets; the kubelet sends it to us, too.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: String,
}

/// A connection that is accepted.
#[derive(Debug, Deserialize)]
pub(super) struct TcpSocket {
    pub(super) port: u16,
}

/// gRPC's health check.
#[derive(Debug, Deserialize)]
pub(super) struct Grpc {
    pub(super) port: u16,
    pub(super) service: Option<String>,
}

/// Prometheus' annotations of the pod.
#[derive(Debug, Deserialize)]
pub(super) struct Metrics {
    #[serde(default)]
    scrape: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    port: String,
    #[serde(default)]
    scheme: String,
    #[serde(default)]
    targets: Vec<Target>,
}

/// One of several places.
#[derive(Debug, Deserialize)]
struct Target {
    port: String,
    path: String,
}

impl Probe {
    /// How long it may take, if it says so.
    pub(super) fn patience(&self) -> Option<Duration> {
        (self.timeout_seconds > 0).then(|| Duration::from_secs(self.timeout_seconds.into()))
    }
}

impl HttpGet {
    /// Whether it is asked over TLS.
    pub(super) fn is_https(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("https")
    }

    /// The path, which may have been written without its slash.
    pub(super) fn target(&self) -> String {
        match self.path.starts_with('/') {
            true => self.path.clone(),
            false => format!("/{}", self.path),
        }
    }

    /// The host that the probe sets itself.
    pub(super) fn own_host(&self) -> Option<&str> {
        let mut headers = self.http_headers.iter();
        let host = headers.find(|header| header.name.eq_ignore_ascii_case("host"))?;
        Some(&host.value)
    }
}

impl Metrics {
    /// Where to scrape: what the pod lists, else what the older annotations say; or a text that should be a port.
    pub(super) fn places(&self) -> Vec<Result<HttpGet, &str>> {
        if self.scrape == "false" {
            return Vec::new();
        }
        if self.targets.is_empty() {
            return vec![place(&self.port, &self.path, &self.scheme)];
        }
        let targets = self.targets.iter();
        targets
            .map(|target| place(&target.port, &target.path, ""))
            .collect()
    }
}

/// A page; what is empty is what is usual.
fn place<'a>(port: &'a str, path: &str, scheme: &str) -> Result<HttpGet, &'a str> {
    let path = match path {
        "" => METRICS_PATH,
        path => path,
    };
    let port = match port.trim() {
        "" => METRICS_PORT,
        number => number.parse().map_err(|_| port)?,
    };
    Ok(HttpGet {
        path: path.to_owned(),
        port,
        scheme: scheme.to_owned(),
        http_headers: Vec::new(),
    })
}
