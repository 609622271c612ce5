//! The discovery service: who may open a stream, and the tasks that serve them.

use super::{
    age::ConnectionAge,
    connections::Connections,
    stream::{self, Opening},
};
use crate::{
    ca::{
        caller::{Authenticator, Peer, Purpose},
        service::{Credentials, authenticate},
    },
    metrics::Metrics,
    push::pipeline::Publications,
};
use bytes::Bytes;
use mesh_runtime::{shutdown::Shutdown, tasks::Tasks};
use mesh_xds::ads::{
    Protocol,
    service::{Discovery, DiscoveryService, Requests, Responses},
};
use std::{sync::Arc, time::Duration};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// What all streams share.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Where pushes come from.
    pub publications: Publications,
    /// The streams that stand.
    pub connections: Arc<Connections>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Longest time that a client may take for one response.
    pub send_timeout: Duration,
    /// How old connections get; `None` for no limit.
    pub max_connection_age: Option<ConnectionAge>,
    /// Who we are, in every response.
    pub control_plane: Bytes,
    /// The tasks of the streams.
    pub tasks: Tasks,
    /// When streams should end.
    pub shutdown: Shutdown,
}

/// ADS on one port.
pub struct Ads {
    hub: Hub,
    authenticator: Option<Arc<Authenticator>>,
}

impl Ads {
    /// For a port where nobody is asked who it is.
    pub fn open(hub: Hub) -> DiscoveryService<Self> {
        DiscoveryService::new(Arc::new(Self {
            hub,
            authenticator: None,
        }))
    }

    /// For a port where everybody is.
    pub fn authenticated(hub: Hub, authenticator: Arc<Authenticator>) -> DiscoveryService<Self> {
        DiscoveryService::new(Arc::new(Self {
            hub,
            authenticator: Some(authenticator),
        }))
    }
}

#[tonic::async_trait]
impl Discovery for Ads {
    async fn stream(
        &self,
        protocol: Protocol,
        requests: tonic::Request<Requests>,
    ) -> Result<Responses, Status> {
        let caller = match &self.authenticator {
            None => None,
            Some(authenticator) => Some(
                authenticate(
                    authenticator,
                    Credentials::of(&requests),
                    Purpose::Configuration,
                )
                .await
                .inspect_err(|_| self.hub.metrics.authentication_failures.increment())?,
            ),
        };
        if self.hub.publications.borrow().is_none() {
            return Err(Status::unavailable(
                "not ready: the sources have not told everything yet, try again",
            ));
        }
        let peer = requests.extensions().get::<Peer>();
        let address = peer.map(|peer| peer.address);
        let age = peer.and_then(|peer| Some((peer.since, self.hub.max_connection_age?)));
        // One response in flight, and one that waits: what is more waits in the stream's own state, where it merges.
        let (send, responses) = tokio::sync::mpsc::channel(1);
        let opening = Opening {
            hub: self.hub.clone(),
            protocol,
            caller,
            address,
            until: age.map(|(since, age)| age.end_of_stream(since)),
        };
        self.hub.tasks.spawn(
            "xds stream",
            stream::serve(opening, requests.into_inner(), send),
        );
        Ok(Box::pin(ReceiverStream::new(responses)))
    }
}
