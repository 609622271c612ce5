//! gRPC's health check, `grpc.health.v1.Health/Check`.

use super::{Application, Failed, MOST_OF_PROBE, probe::Grpc};
use crate::exchange;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;

/// Bytes in front of a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// `SERVING`.
const SERVING: i32 = 1;

/// `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

impl Application {
    /// Succeeds if the service is serving.
    pub(super) async fn check_health(&self, grpc: &Grpc) -> Result<(), Failed> {
        let stream = TokioIo::new(self.dial(grpc.port).await?);
        let handshake = http2::handshake(TokioExecutor::new(), stream).await;
        let (mut sender, connection) = handshake.map_err(Failed::Http)?;
        let checked = async {
            let response = sender.send_request(self.request(grpc)?).await;
            let (head, body) = response.map_err(Failed::Http)?.into_parts();
            let body = Limited::new(body, MOST_OF_PROBE).collect().await;
            let body = body.map_err(|_| Failed::Length(MOST_OF_PROBE))?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            judge(&body.to_bytes(), &head.headers, &trailers)
        };
        exchange::while_driven(connection, checked).await
    }

    fn request(&self, grpc: &Grpc) -> Result<Request<Full<Bytes>>, Failed> {
        let authority = std::net::SocketAddr::new(self.address, grpc.port);
        let target = format!("http://{authority}/grpc.health.v1.Health/Check");
        let request = Request::post(target.as_str())
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers");
        let service = grpc.service.clone().unwrap_or_default();
        request
            .body(Full::new(framed(&HealthCheckRequest { service })))
            .map_err(|error| Failed::Request(target, error))
    }
}

fn framed(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(&message);
    frame.freeze()
}

fn judge(body: &[u8], headers: &HeaderMap, trailers: &HeaderMap) -> Result<(), Failed> {
    let message = body.get(PREFIX..).map(HealthCheckResponse::decode);
    match message {
        Some(Ok(HealthCheckResponse { status: SERVING })) => Ok(()),
        Some(Ok(HealthCheckResponse { status })) => {
            Err(Failed::NotServing(format!("status {status}")))
        }
        // Without a message the reason stands in the trailers, or in the headers if there is nothing else.
        _ => {
            let told = |name| trailers.get(name).or(headers.get(name));
            let told = |name| {
                told(name)
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default()
            };
            let (code, why) = (told("grpc-status"), told("grpc-message"));
            Err(Failed::NotServing(format!("grpc-status {code} {why}")))
        }
    }
}
