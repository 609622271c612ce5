//! A control plane in this process, on loopback, and clients of it.

use super::{ChannelSource, changes, node_id};
use crate::{
    config::Debounce,
    metrics::Metrics,
    push::pipeline::Pipeline,
    serve::{
        ads::{Ads, Hub},
        age::ConnectionAge,
        grpc::{self, ServerSettings},
    },
    snapshot::{ClusterIdentity, World},
    watch::{Folder, Source},
};
use mesh_runtime::{shutdown::Shutdown, tasks::Tasks};
use mesh_xds::{
    ads::{ResourceType, control_plane, service::client},
    pb::{
        envoy::{
            config::core::v3::Node,
            service::discovery::v3::{
                DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
            },
        },
        google::rpc,
    },
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, service::Routes};

/// Longest wait of a test.
const PATIENCE: Duration = Duration::from_secs(10);
/// After which nothing more is expected: several times the debounce.
const QUIET: Duration = Duration::from_millis(200);

pub(crate) struct Plane {
    pub(crate) source: ChannelSource,
    pub(crate) hub: Hub,
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Plane {
    /// One that has not synced.
    pub(crate) async fn unsynced() -> Self {
        Self::with_send_timeout(Duration::from_secs(20)).await
    }

    pub(crate) async fn with_send_timeout(send_timeout: Duration) -> Self {
        let (source, received) = ChannelSource::new();
        Self::start(source, received, send_timeout, None).await
    }

    /// One whose connections get so old.
    pub(crate) async fn aging(age: Duration) -> Self {
        let (source, received) = ChannelSource::new();
        let age = ConnectionAge::about(age);
        Self::start(source, received, PATIENCE, Some(age)).await
    }

    /// One that reads a folder.
    pub(crate) async fn of_folder(folder: Folder) -> Self {
        let plane = Self::start(ChannelSource::new().0, folder, PATIENCE, None).await;
        plane.published().await;
        plane
    }

    async fn start(
        source: ChannelSource,
        received: impl Source + 'static,
        send_timeout: Duration,
        max_connection_age: Option<ConnectionAge>,
    ) -> Self {
        let metrics = Arc::new(Metrics::default());
        let debounce = Debounce {
            after: Duration::from_millis(20),
            max: Duration::from_secs(1),
        };
        let world = World::empty(ClusterIdentity::default());
        let (pipeline, publications) = Pipeline::new(world, debounce, metrics.clone());
        let hub = Hub {
            publications,
            connections: Arc::default(),
            metrics,
            send_timeout,
            max_connection_age,
            control_plane: control_plane("test"),
            tasks: Tasks::new(),
            shutdown: Shutdown::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address");
        let settings = ServerSettings {
            max_connection_age,
            shutdown: hub.shutdown.clone(),
        };
        let routes = Routes::new(Ads::open(hub.clone()));
        let mut tasks = JoinSet::new();
        tasks.spawn(pipeline.run(received));
        tasks.spawn(async move {
            grpc::serve_plain(listener, routes, settings)
                .await
                .expect("served")
        });
        Self {
            source,
            hub,
            address,
            _tasks: tasks,
        }
    }

    /// One that serves `manifests`.
    pub(crate) async fn serving(manifests: &str) -> Self {
        let plane = Self::unsynced().await;
        plane.first(manifests).await;
        plane
    }

    pub(crate) async fn apply(&self, manifests: &str) {
        self.source.send(changes(manifests)).await;
    }

    /// Applies the first manifests, and waits until they are served.
    pub(crate) async fn first(&self, manifests: &str) {
        self.apply(manifests).await;
        self.published().await;
    }

    async fn published(&self) {
        let mut publications = self.hub.publications.clone();
        publications
            .wait_for(Option::is_some)
            .await
            .expect("running");
    }

    pub(crate) async fn delta(&self, pod: &str) -> Delta {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", self.address))
            .expect("address")
            .connect()
            .await
            .expect("connected");
        Delta::open(channel, node_id(pod, "10.0.1.1"))
            .await
            .expect("opened")
    }

    pub(crate) async fn sotw(&self, pod: &str) -> Sotw {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", self.address))
            .expect("address")
            .connect()
            .await
            .expect("connected");
        let (send, requests) = mpsc::channel(16);
        let mut node = Some(node(node_id(pod, "10.0.1.1")));
        let first = DiscoveryRequest {
            node: node.take(),
            type_url: ResourceType::Cluster.type_url().into(),
            ..Default::default()
        };
        send.send(first).await.expect("queued");
        let responses = client(channel)
            .stream_aggregated_resources(ReceiverStream::new(requests))
            .await
            .expect("opened");
        Sotw {
            send,
            responses: responses.into_inner(),
        }
    }
}

pub(crate) fn node(id: String) -> Node {
    Node {
        id,
        ..Default::default()
    }
}

/// A delta stream.
pub(crate) struct Delta {
    pub(crate) send: mpsc::Sender<DeltaDiscoveryRequest>,
    pub(crate) responses: Streaming<DeltaDiscoveryResponse>,
    node: Option<Node>,
}

impl Delta {
    /// Opens a stream. Nothing is sent yet.
    pub(crate) async fn open<C>(channel: C, id: String) -> Result<Self, Status>
    where
        C: tonic::client::GrpcService<tonic::body::Body>,
        C::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        C::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        <C::ResponseBody as http_body::Body>::Error:
            Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let (send, requests) = mpsc::channel(16);
        let responses = client(channel)
            .delta_aggregated_resources(ReceiverStream::new(requests))
            .await?;
        Ok(Self {
            send,
            responses: responses.into_inner(),
            node: Some(node(id)),
        })
    }

    pub(crate) async fn request(
        &mut self,
        kind: ResourceType,
        change: impl FnOnce(&mut DeltaDiscoveryRequest),
    ) {
        let mut request = DeltaDiscoveryRequest {
            node: self.node.take(),
            type_url: kind.type_url().into(),
            ..Default::default()
        };
        change(&mut request);
        self.send.send(request).await.expect("open");
    }

    pub(crate) async fn subscribe(&mut self, kind: ResourceType, names: &[&str]) {
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        self.request(kind, |r| r.resource_names_subscribe = names)
            .await;
    }

    /// The next response, acknowledged.
    pub(crate) async fn next(&mut self) -> DeltaDiscoveryResponse {
        let response = self.unacknowledged().await;
        let kind = ResourceType::from_type_url(&response.type_url).expect("a known type");
        let nonce = response.nonce.clone();
        self.request(kind, |r| r.response_nonce = nonce).await;
        response
    }

    pub(crate) async fn unacknowledged(&mut self) -> DeltaDiscoveryResponse {
        let message = tokio::time::timeout(PATIENCE, self.responses.message()).await;
        message
            .expect("a response in time")
            .expect("no error")
            .expect("an open stream")
    }

    pub(crate) async fn refuse(&mut self, response: &DeltaDiscoveryResponse, reason: &str) {
        let kind = ResourceType::from_type_url(&response.type_url).expect("a known type");
        let error = rpc::Status {
            code: 3,
            message: reason.into(),
            ..Default::default()
        };
        let nonce = response.nonce.clone();
        self.request(kind, |r| {
            r.response_nonce = nonce;
            r.error_detail = Some(error);
        })
        .await;
    }

    pub(crate) async fn status(&mut self) -> Status {
        let message = tokio::time::timeout(PATIENCE, self.responses.message()).await;
        message.expect("an end in time").expect_err("an error")
    }

    pub(crate) async fn assert_quiet(&mut self) {
        let more = tokio::time::timeout(QUIET, self.responses.message()).await;
        assert!(more.is_err(), "{more:?}");
    }
}

/// A state-of-the-world stream that has asked for clusters.
pub(crate) struct Sotw {
    send: mpsc::Sender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
}

impl Sotw {
    pub(crate) async fn request(
        &self,
        kind: ResourceType,
        names: &[&str],
        last: Option<&DiscoveryResponse>,
    ) {
        let request = DiscoveryRequest {
            type_url: kind.type_url().into(),
            resource_names: names.iter().map(|n| (*n).to_owned()).collect(),
            version_info: last.map(|l| l.version_info.clone()).unwrap_or_default(),
            response_nonce: last.map(|l| l.nonce.clone()).unwrap_or_default(),
            ..Default::default()
        };
        self.send.send(request).await.expect("open");
    }

    pub(crate) async fn next(&mut self) -> DiscoveryResponse {
        let message = tokio::time::timeout(PATIENCE, self.responses.message()).await;
        message
            .expect("a response in time")
            .expect("no error")
            .expect("an open stream")
    }

    pub(crate) async fn assert_quiet(&mut self) {
        let more = tokio::time::timeout(QUIET, self.responses.message()).await;
        assert!(more.is_err(), "{more:?}");
    }
}
