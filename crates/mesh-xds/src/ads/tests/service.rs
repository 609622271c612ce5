//! The gRPC glue, in process: real encoding on both sides, no socket.

use std::sync::Arc;

use tonic::codegen::{
    async_trait,
    tokio_stream::{self, StreamExt},
};

use super::*;
use crate::ads::service::{Discovery, DiscoveryService, Requests, Responses, client as connect};

/// Answers every request with one cluster, or refuses the stream.
struct Plane {
    ready: bool,
}

#[async_trait]
impl Discovery for Plane {
    async fn stream(
        &self,
        protocol: Protocol,
        requests: tonic::Request<Requests>,
    ) -> Result<Responses, tonic::Status> {
        if !self.ready {
            return Err(tonic::Status::unavailable("caches are not synchronised"));
        }
        let mut server = Server::new(protocol, 1, control_plane("plane"));
        let who = requests
            .metadata()
            .get("who")
            .map(|value| value.to_str().unwrap().to_owned());
        Ok(Box::pin(requests.into_inner().map(move |request| {
            server
                .on_request(&request?, at(1))
                .map_err(|refusal| tonic::Status::invalid_argument(refusal.to_string()))?;
            let ask = server
                .asked()
                .ok_or_else(|| tonic::Status::internal("nothing asked"))?;
            let name = who.clone().unwrap_or_default();
            let mut sent = server
                .answer(&ask, &resources(ask.kind(), &[&name]), &stamp("v1"))
                .unwrap();
            Ok(sent.remove(0))
        })))
    }
}

fn called<T>(requests: Vec<T>) -> tonic::Request<impl tokio_stream::Stream<Item = T>> {
    let mut request = tonic::Request::new(tokio_stream::iter(requests));
    request.metadata_mut().insert("who", "a".parse().unwrap());
    request
}

#[tokio::test]
async fn both_methods_reach_the_plane_and_come_back() {
    let plane = Arc::new(Plane { ready: true });
    let mut client = connect(DiscoveryService::new(plane));
    let url = ResourceType::Cluster.type_url().to_owned();

    let first = DeltaDiscoveryRequest {
        node: node(),
        type_url: url.clone(),
        ..Default::default()
    };
    let mut stream = client
        .delta_aggregated_resources(called(vec![first]))
        .await
        .unwrap()
        .into_inner();
    let response = stream.next().await.unwrap().unwrap();
    assert_eq!(
        (
            response.resources[0].name.as_str(),
            response.type_url.as_str()
        ),
        ("a", url.as_str())
    );
    assert_eq!(response.resources[0].resource.as_ref().unwrap().value, b"1");
    assert_eq!(response.control_plane.unwrap().identifier, "plane");
    assert!(stream.next().await.is_none());

    let first = DiscoveryRequest {
        node: node(),
        type_url: url.clone(),
        ..Default::default()
    };
    let mut stream = client
        .stream_aggregated_resources(called(vec![first]))
        .await
        .unwrap()
        .into_inner();
    let response = stream.next().await.unwrap().unwrap();
    assert_eq!(
        (
            response.resources[0].type_url.as_str(),
            response.version_info.as_str()
        ),
        (url.as_str(), "v1")
    );
}

#[tokio::test]
async fn a_refusal_ends_the_stream_with_its_reason() {
    let mut client = connect(DiscoveryService::new(Arc::new(Plane { ready: true })));
    let nameless = DeltaDiscoveryRequest {
        type_url: ResourceType::Cluster.type_url().into(),
        ..Default::default()
    };
    let mut stream = client
        .delta_aggregated_resources(called(vec![nameless]))
        .await
        .unwrap()
        .into_inner();
    let status = stream.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(
        status.message(),
        "the first request of a stream must carry node.id"
    );
}

#[tokio::test]
async fn a_plane_that_is_not_ready_is_unavailable() {
    let mut client = connect(DiscoveryService::new(Arc::new(Plane { ready: false })));
    let status = client
        .delta_aggregated_resources(called(vec![]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn a_request_above_the_limit_ends_the_stream() {
    let mut client = connect(DiscoveryService::new(Arc::new(Plane { ready: true })));
    let large = DeltaDiscoveryRequest {
        node: node(),
        type_url: ResourceType::Cluster.type_url().into(),
        resource_names_subscribe: vec!["x".repeat(MAX_REQUEST_BYTES)],
        ..Default::default()
    };
    let mut stream = client
        .delta_aggregated_resources(called(vec![large]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        stream.next().await.unwrap().unwrap_err().code(),
        tonic::Code::OutOfRange
    );
}
