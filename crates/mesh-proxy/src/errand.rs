//! Errands to the proxy that runs in this pod already: is it ready, what does it say, do this.
//!
//! Called by lifecycle hooks and by people, as a program of its own that ends with the answer. It speaks plain HTTP/1 on
//! loopback and shares nothing with the path.

pub mod request; // one question or order, its answer printed
pub mod wait; //    the same question until the answer is yes

use crate::exchange;
use bytes::Bytes;
use http::{Request, Response, header, uri::Authority};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use std::{io, time::Duration};
use tokio::net::TcpStream;

/// Most of an unsuccessful answer that is shown.
const MOST_OF_REASON: usize = 4 << 10;

/// Why an errand was in vain.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens there, or it can't be reached.
    #[error("connecting to {0}")]
    Connect(Authority, #[source] io::Error),
    /// What listens there does not speak HTTP, or broke off.
    #[error("HTTP with {0}")]
    Http(Authority, #[source] hyper::Error),
    /// The answer took too long.
    #[error("{0} did not answer in {1:?}")]
    Timeout(Authority, Duration),
    /// It said no.
    #[error("{0} answered {1}: {2}")]
    Status(Authority, http::StatusCode, String),
    /// The request can't be made.
    #[error("the request")]
    Request(#[source] http::Error),
    /// The answer could not be printed.
    #[error("printing the answer")]
    Print(#[source] io::Error),
    /// It was not ready in time.
    #[error("the proxy is not ready after {0:?}")]
    NotReady(Duration, #[source] Box<Error>),
}

/// Sends `request` to `authority`; what comes back is read by `read` while the connection lives.
async fn exchange<T>(
    authority: &Authority,
    mut request: Request<Full<Bytes>>,
    read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, Error>,
) -> Result<T, Error> {
    if let Ok(host) = authority.as_str().parse() {
        request.headers_mut().insert(header::HOST, host);
    }
    let failed = |error| Error::Http(authority.clone(), error);
    exchange::http1(dial(authority).await?, request, failed, read).await
}

async fn dial(authority: &Authority) -> Result<TcpStream, Error> {
    let host = authority.host();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await;
    stream.map_err(|error| Error::Connect(authority.clone(), error))
}

/// What was said with a refusal, as far as it is worth showing.
async fn refusal(authority: &Authority, response: Response<Incoming>) -> Error {
    let status = response.status();
    let body = Limited::new(response.into_body(), MOST_OF_REASON);
    let text = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let text = text.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    Error::Status(authority.clone(), status, text)
}

#[cfg(test)]
mod tests;
