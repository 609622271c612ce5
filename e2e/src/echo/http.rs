//! What the application says in HTTP.
//!
//! An upgrade is granted, and its bytes are sent back; gRPC messages are sent back as they come, with trailers; who asks for
//! its health, as a kubelet does in gRPC, hears that it serves; a body sent to [`MIRROR`] is sent back; any other request is
//! described.

use super::{Application, REQUEST_NUMBER, raw};
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, UPGRADE},
    http::request::Parts,
};
use hyper_util::rt::TokioIo;
use std::io::Write;

/// Path at which a body is sent back.
pub(crate) const MIRROR: &str = "/mirror";
/// What a gRPC probe calls.
const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// A frame with `grpc.health.v1.HealthCheckResponse { status: SERVING }`.
const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";
/// Header of an upgrade: the server closes after so many bytes.
pub(crate) const CLOSE_AFTER: HeaderName = HeaderName::from_static("x-close-after");

type Body = BoxBody<Bytes, hyper::Error>;

/// Answers one request.
pub(super) async fn answer(
    application: std::sync::Arc<Application>,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    record(&application, &request)?;
    if request.headers().contains_key(UPGRADE) {
        return upgrade(request);
    }
    let content = request.headers().get(CONTENT_TYPE);
    if content.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        return match request.uri().path() {
            HEALTH => grpc(Full::from(SERVING).map_err(|never| match never {})),
            _ => grpc(request.into_body()),
        };
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let (kind, body) = if head.uri.path() == MIRROR {
        ("application/octet-stream", body)
    } else {
        let text = describe(&application, &head, body.len());
        ("text/plain", text.into())
    };
    Ok(Response::builder()
        .header(CONTENT_TYPE, kind)
        .body(whole(body))?)
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

fn record(application: &Application, request: &Request<Incoming>) -> Result<()> {
    let (Some(ledger), Some(number)) = (&application.ledger, request.headers().get(REQUEST_NUMBER))
    else {
        return Ok(());
    };
    let mut line = number.as_bytes().to_vec();
    line.push(b'\n');
    let mut ledger = ledger
        .lock()
        .map_err(|_| anyhow::anyhow!("the ledger is broken"))?;
    Ok(ledger.write_all(&line)?)
}

fn describe(application: &Application, head: &Parts, body: usize) -> String {
    let mut text = format!(
        "{}\n{} {} {:?}\n",
        application.name, head.method, head.uri, head.version
    );
    for (name, value) in &head.headers {
        text.push_str(&format!(
            "{name}: {}\n",
            String::from_utf8_lossy(value.as_bytes())
        ));
    }
    text.push_str(&format!("body: {body} bytes\n"));
    text
}

/// Frames go back as they come: a client that waits for the answer to its first message gets it before its second.
fn grpc(
    body: impl hyper::body::Body<Data = Bytes, Error = hyper::Error> + Send + Sync + 'static,
) -> Result<Response<Body>> {
    let trailers = HeaderMap::from_iter([
        (
            HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        ),
        (
            HeaderName::from_static("grpc-message"),
            HeaderValue::from_static("echoed"),
        ),
    ]);
    let body = body.with_trailers(async move { Some(Ok(trailers)) });
    Ok(Response::builder()
        .header(CONTENT_TYPE, "application/grpc")
        .body(body.boxed())?)
}

fn upgrade(mut request: Request<Incoming>) -> Result<Response<Body>> {
    let protocol = request.headers()[UPGRADE].clone();
    let close_after = match request.headers().get(CLOSE_AFTER) {
        Some(bytes) => Some(bytes.to_str()?.parse().context("x-close-after")?),
        None => None,
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let talk = async {
            let mut stream = TokioIo::new(upgraded.await?);
            match close_after {
                Some(bytes) => raw::echo_only(&mut stream, bytes).await,
                None => raw::echo(&mut stream).await,
            }
        };
        // A broken connection is its client's business.
        if let Err(error) = talk.await {
            eprintln!("an upgraded connection: {error:#}");
        }
    });
    Ok(Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, protocol)
        .body(whole(Bytes::new()))?)
}
