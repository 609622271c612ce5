//! The gRPC service `envoy.service.discovery.v3.AggregatedDiscoveryService` over [`Request`] and [`Response`].
//!
//! Thin glue around tonic: both methods become one stream of requests and one of responses. It exists because the
//! generated server owns every resource that it sends; see the encoded messages. Holds no state and makes no decision.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::{
    Status, Streaming,
    body::Body,
    codegen::{
        Body as HttpBody, BoxFuture, Service, StdError, async_trait, http,
        tokio_stream::{Stream, StreamExt},
    },
    server::{Grpc, NamedService, StreamingService},
};
use tonic_prost::ProstCodec;

use super::{
    EncodedDeltaResponse, EncodedResponse, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, Protocol,
    Request, Response,
};
use crate::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DiscoveryRequest,
    aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
};

/// The requests of one stream.
pub type Requests = Pin<Box<dyn Stream<Item = Result<Request, Status>> + Send>>;
/// The responses of one stream.
pub type Responses = Pin<Box<dyn Stream<Item = Result<Response, Status>> + Send>>;

/// What a control plane implements.
#[async_trait]
pub trait Discovery: Send + Sync + 'static {
    /// Serves one stream. The request's metadata and extensions are those of the call.
    ///
    /// # Errors
    /// `UNAVAILABLE` while there is nothing to serve yet, `UNAUTHENTICATED` and so on: the stream does not begin.
    async fn stream(
        &self,
        protocol: Protocol,
        requests: tonic::Request<Requests>,
    ) -> Result<Responses, Status>;
}

/// The service to hand to tonic's server.
#[derive(Debug)]
pub struct DiscoveryService<T>(Arc<T>);

impl<T> DiscoveryService<T> {
    /// Serves `discovery`.
    pub fn new(discovery: Arc<T>) -> Self {
        Self(discovery)
    }
}

/// A client of the same service with our limits, for the proxy's side of the stream.
pub fn client<C>(channel: C) -> AggregatedDiscoveryServiceClient<C>
where
    C: tonic::client::GrpcService<Body>,
    C::Error: Into<StdError>,
    C::ResponseBody: HttpBody<Data = bytes::Bytes> + Send + 'static,
    <C::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(MAX_RESPONSE_BYTES)
}

impl<T> Clone for DiscoveryService<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> NamedService for DiscoveryService<T> {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

impl<T, B> Service<http::Request<B>> for DiscoveryService<T>
where
    T: Discovery,
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let discovery = Arc::clone(&self.0);
        match request.uri().path() {
            "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources" => {
                Box::pin(async move {
                    let codec = ProstCodec::<EncodedResponse, DiscoveryRequest>::default();
                    Ok(limited(codec).streaming(Sotw(discovery), request).await)
                })
            }
            "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources" => {
                Box::pin(async move {
                    let codec =
                        ProstCodec::<EncodedDeltaResponse, DeltaDiscoveryRequest>::default();
                    Ok(limited(codec).streaming(Delta(discovery), request).await)
                })
            }
            _ => Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) }),
        }
    }
}

fn limited<C: tonic::codec::Codec>(codec: C) -> Grpc<C> {
    Grpc::new(codec)
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(MAX_RESPONSE_BYTES)
}

struct Sotw<T>(Arc<T>);

impl<T: Discovery> StreamingService<DiscoveryRequest> for Sotw<T> {
    type Response = EncodedResponse;
    type ResponseStream = Encoded<EncodedResponse>;
    type Future = BoxFuture<tonic::Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: tonic::Request<Streaming<DiscoveryRequest>>) -> Self::Future {
        serve(Arc::clone(&self.0), Protocol::Sotw, request)
    }
}

struct Delta<T>(Arc<T>);

impl<T: Discovery> StreamingService<DeltaDiscoveryRequest> for Delta<T> {
    type Response = EncodedDeltaResponse;
    type ResponseStream = Encoded<EncodedDeltaResponse>;
    type Future = BoxFuture<tonic::Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: tonic::Request<Streaming<DeltaDiscoveryRequest>>) -> Self::Future {
        serve(Arc::clone(&self.0), Protocol::Delta, request)
    }
}

type Encoded<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

fn serve<T, Q, M>(
    discovery: Arc<T>,
    protocol: Protocol,
    request: tonic::Request<Streaming<Q>>,
) -> BoxFuture<tonic::Response<Encoded<M>>, Status>
where
    T: Discovery,
    Q: Into<Request> + Send + 'static,
    M: From<Response> + 'static,
{
    Box::pin(async move {
        let requests =
            request.map(|stream| Box::pin(stream.map(|item| item.map(Into::into))) as Requests);
        let responses = discovery.stream(protocol, requests).await?;
        Ok(tonic::Response::new(
            Box::pin(responses.map(|item| item.map(M::from))) as Encoded<M>,
        ))
    })
}
