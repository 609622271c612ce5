//! What the kubelet and Prometheus ask the application, asked on their behalf (Istio section 1.6).
//!
//! They have no certificate of the mesh, so under strict mutual TLS they could not reach it. Injection points them here
//! and leaves word in the environment where they wanted to go.

mod dial; //    to the application, past the rules that capture
mod grpc; //    gRPC's health check
mod http; //    a GET, with redirects as the kubelet follows them
mod metrics; // its own metrics, from one place or several
mod probe; //   what injection wrote down

use super::reply::Reply;
use crate::reason;
use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use mesh_model::env::{ISTIO_KUBE_APP_PROBERS, ISTIO_PROMETHEUS_ANNOTATIONS};
pub(super) use metrics::Pages;
use probe::{HttpGet, Metrics, Probe};
use std::{collections::HashMap, io, net::IpAddr, sync::atomic::AtomicU64, time::Duration};
use tokio::time::timeout;

/// How long the kubelet waits for a probe that does not say.
const PROBE: Duration = Duration::from_secs(1);
/// How long a hook may take, which the kubelet bounds itself.
const HOOK: Duration = Duration::from_secs(300);
/// Most of a probe's answer that is passed on.
const MOST_OF_PROBE: usize = 10 << 10;
/// What the paths of hooks begin with.
const HOOKS: &str = "/app-lifecycle/";

/// The application beside the proxy.
#[derive(Debug)]
pub struct Application {
    address: IpAddr,
    probes: HashMap<String, Probe>,
    places: Vec<HttpGet>,
    scrape_failures: AtomicU64,
}

/// A variable that is not what injection writes.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not what injection writes there")]
pub struct Invalid(&'static str, #[source] serde_json::Error);

/// Why the application was asked in vain.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("port {0} of the application")]
    Dial(u16, #[source] io::Error),
    #[error("HTTP with the application")]
    Http(#[source] hyper::Error),
    #[error("`{0}` can't be asked for")]
    Request(String, #[source] ::http::Error),
    #[error("the answer is longer than {0} bytes, or broke off")]
    Length(usize),
    #[error("the answer has status {0}")]
    Status(StatusCode),
    #[error("the application is not serving: {0}")]
    NotServing(String),
    #[error("the application did not answer within {0:?}")]
    Timeout(Duration),
    #[error("this kind of probe is not known")]
    Kind,
}

impl Application {
    /// The application at `address`, with what injection left for it in the environment that `variable` reads.
    ///
    /// # Errors
    /// If a variable is there but is not what injection writes.
    pub fn new(
        address: IpAddr,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Invalid> {
        let metrics: Option<Metrics> = read(ISTIO_PROMETHEUS_ANNOTATIONS, &variable)?;
        Ok(Self {
            address,
            probes: read(ISTIO_KUBE_APP_PROBERS, &variable)?.unwrap_or_default(),
            places: metrics.as_ref().map(metrics::places).unwrap_or_default(),
            scrape_failures: AtomicU64::new(0),
        })
    }

    /// Asks what the kubelet would have asked, and answers as the application does.
    pub(super) async fn probe(&self, path: &str, incoming: &HeaderMap) -> Reply {
        let Some(probe) = self.probes.get(path) else {
            let why = format!("no probe is known under {path}");
            return Reply::refuse(StatusCode::NOT_FOUND, why);
        };
        let usual = if path.starts_with(HOOKS) { HOOK } else { PROBE };
        let patience = probe.patience().unwrap_or(usual);
        match in_time(patience, self.ask(probe, incoming)).await {
            Ok((status, body)) => Reply::with_status(status, body),
            Err(failed) => {
                Reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, reason::one_line(&failed))
            }
        }
    }

    async fn ask(
        &self,
        probe: &Probe,
        incoming: &HeaderMap,
    ) -> Result<(StatusCode, Bytes), Failed> {
        match probe {
            Probe {
                http_get: Some(get),
                ..
            } => self.get_followed(get, incoming).await,
            Probe {
                tcp_socket: Some(tcp),
                ..
            } => {
                self.dial(tcp.port).await?;
                Ok((StatusCode::OK, Bytes::new()))
            }
            Probe {
                grpc: Some(grpc), ..
            } => {
                self.check_health(grpc).await?;
                Ok((StatusCode::OK, Bytes::new()))
            }
            _ => Err(Failed::Kind),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(
    name: &'static str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<T>, Invalid> {
    let text = variable(name).filter(|text| !text.is_empty());
    let read = text.map(|text| serde_json::from_str(&text)).transpose();
    read.map_err(|error| Invalid(name, error))
}

async fn in_time<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, Failed>>,
) -> Result<T, Failed> {
    let answered = timeout(patience, asked).await;
    answered.unwrap_or(Err(Failed::Timeout(patience)))
}

#[cfg(test)]
mod tests;
