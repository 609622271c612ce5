//! A control plane for tests: what arrives is handed to the test, and the test says what is answered.

use crate::identity::fake_ca::{FakeServer, Root, serve};
use mesh_xds::{
    ads::ResourceType,
    pb::{
        envoy::{
            config::core::v3::ControlPlane,
            service::discovery::v3::{
                DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
                Resource as Wire,
                aggregated_discovery_service_server::{
                    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
                },
            },
        },
        google::protobuf::Any,
    },
    resource::Resource,
};
use std::time::Duration;
use tokio::{
    sync::{Mutex, mpsc},
    time::timeout,
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming, service::Routes};

const SOON: Duration = Duration::from_secs(20);

/// One stream, seen from the server.
pub(crate) struct FakeStream {
    requests: Streaming<DeltaDiscoveryRequest>,
    responses: mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>,
    pub(crate) authorization: String,
}

struct Service(mpsc::Sender<FakeStream>);

#[tonic::async_trait]
impl AggregatedDiscoveryService for Service {
    type StreamAggregatedResourcesStream = ReceiverStream<Result<DiscoveryResponse, Status>>;
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;

    async fn stream_aggregated_resources(
        &self,
        _: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("delta only"))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let token = request.metadata().get("authorization");
        let authorization = token.expect("a token").to_str().expect("text").to_owned();
        let (responses, outgoing) = mpsc::channel(16);
        let stream = FakeStream {
            requests: request.into_inner(),
            responses,
            authorization,
        };
        self.0.send(stream).await.expect("the test lives");
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

/// The server.
pub(crate) struct FakeAds {
    streams: Mutex<mpsc::Receiver<FakeStream>>,
    pub(crate) server: FakeServer,
}

impl FakeAds {
    pub(crate) async fn serve(root: &Root) -> Self {
        Self::serve_at(root, 0).await
    }

    pub(crate) async fn serve_at(root: &Root, port: u16) -> Self {
        let (sender, streams) = mpsc::channel(16);
        let service = AggregatedDiscoveryServiceServer::new(Service(sender));
        Self {
            server: serve(root, Routes::new(service), port).await,
            streams: Mutex::new(streams),
        }
    }

    /// The next stream that a client opens.
    pub(crate) async fn stream(&self) -> FakeStream {
        let mut streams = self.streams.lock().await;
        let stream = timeout(SOON, streams.recv()).await.expect("in time");
        stream.expect("serving")
    }
}

/// A resource to send.
pub(crate) fn wire<R: Resource>(resource: &R, version: &str) -> Wire {
    raw(R::TYPE_URL, resource.name(), version, &resource.encode())
}

pub(crate) fn raw(type_url: &str, name: &str, version: &str, bytes: &[u8]) -> Wire {
    Wire {
        name: name.into(),
        version: version.into(),
        resource: Some(Any {
            type_url: type_url.into(),
            value: bytes.to_vec(),
        }),
        ..Wire::default()
    }
}

impl FakeStream {
    /// The next request.
    pub(crate) async fn request(&mut self) -> DeltaDiscoveryRequest {
        let request = timeout(SOON, self.requests.next()).await.expect("in time");
        request.expect("open").expect("no error")
    }

    /// The next request of a type; what comes before must be others' subscriptions.
    pub(crate) async fn request_of(&mut self, kind: ResourceType) -> DeltaDiscoveryRequest {
        loop {
            let request = self.request().await;
            if request.type_url == kind.type_url() {
                return request;
            }
        }
    }

    /// Sends resources and returns what the client says to that.
    pub(crate) async fn push(
        &mut self,
        kind: ResourceType,
        nonce: &str,
        resources: Vec<Wire>,
        removed: &[&str],
    ) -> DeltaDiscoveryRequest {
        self.send(kind, nonce, resources, removed).await;
        loop {
            let request = self.request_of(kind).await;
            if request.response_nonce == nonce {
                return request;
            }
        }
    }

    /// Sends resources.
    pub(crate) async fn send(
        &mut self,
        kind: ResourceType,
        nonce: &str,
        resources: Vec<Wire>,
        removed: &[&str],
    ) {
        let response = DeltaDiscoveryResponse {
            system_version_info: format!("system-{nonce}"),
            resources,
            type_url: kind.type_url().into(),
            removed_resources: removed.iter().map(|name| (*name).into()).collect(),
            nonce: nonce.into(),
            control_plane: Some(ControlPlane {
                identifier: "{\"Component\":\"istiod\",\"ID\":\"istiod-1\"}".into(),
            }),
            ..DeltaDiscoveryResponse::default()
        };
        self.responses.send(Ok(response)).await.expect("open");
    }

    /// Ends it with an error.
    pub(crate) async fn fail(self, status: Status) {
        self.responses.send(Err(status)).await.expect("open");
    }
}
