//! Beside the path: what configures it. One stream of Envoy's aggregated discovery after another, delta protocol.
//!
//! What is received is decoded, put in force and acknowledged, resource by resource; what can't be executed is refused
//! with its reason and leaves the old one in force. A lost stream changes nothing. What was received is kept as it came,
//! for whoever asks what the configuration is.

pub mod node; //     who we say we are
pub mod store; //    what was received, as it came
pub mod target; //   what it is put into
pub mod progress; // whether it is enough to be ready

mod apply; //      received → decoded → in force
mod references; // what clusters and listeners ask for in turn

pub(crate) use apply::Applier;
pub use progress::Progress;
pub use store::Store;
pub use target::Target;

use crate::{
    config::Settings,
    identity::{Backoff, ControlPlane, Own, control_plane, control_plane::Error},
};
use mesh_xds::{
    ads::{self, Client, Protocol, Request, ResourceType, ResponseError, service},
    pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse},
};
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// The client of a control plane.
pub struct Xds<T> {
    plane: ControlPlane,
    own: Own,
    /// Whether the next stream shows our certificate: the last one could not be had because nobody could check our token.
    shows_own: bool,
    client: Client,
    applier: Applier<T>,
    store: Arc<Store>,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    ControlPlane(#[from] Error),
    #[error("{0} ended the stream")]
    Closed(String),
}

impl Ended {
    fn explain(&self) -> String {
        match self {
            Self::ControlPlane(error) => error.explain(),
            Self::Closed(_) => self.to_string(),
        }
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Self::ControlPlane(error) if error.is_refusal())
    }

    fn is_unavailable(&self) -> bool {
        matches!(self, Self::ControlPlane(error) if error.is_unavailable())
    }
}

impl<T: Target> Xds<T> {
    /// A client of the control plane that `settings` name, which puts what it receives into `target` and `store`.
    /// `own` is our certificate, for when tokens can't be checked.
    pub fn new(settings: &Settings, own: Own, target: Arc<T>, store: Arc<Store>) -> Self {
        let plane = control_plane(&settings.discovery_address, settings);
        Self {
            own,
            ..Self::of(plane, settings, target, store)
        }
    }

    fn of(plane: ControlPlane, settings: &Settings, target: Arc<T>, store: Arc<Store>) -> Self {
        let mut client = Client::new(Protocol::Delta, node::node(settings));
        client.watch_all(ResourceType::Cluster);
        client.watch_all(ResourceType::Listener);
        if settings.captures_dns {
            client.watch_all(ResourceType::NameTable);
        }
        Self {
            plane,
            own: Own::default(),
            shows_own: false,
            client,
            applier: Applier::new(target, Arc::clone(&store)),
            store,
        }
    }

    /// Runs for ever, over as many streams as it takes.
    pub async fn run(mut self) {
        let mut unreachable = Backoff::unreachable();
        let mut refused = Backoff::refused();
        loop {
            let ended = self.stream().await;
            let was_useful = self.store.connection().is_connected;
            self.client.disconnected();
            self.store.disconnected(ended.explain());
            self.shows_own = ended.is_unavailable() && !was_useful && !self.shows_own;
            if was_useful {
                (unreachable, refused) = (Backoff::unreachable(), Backoff::refused());
            }
            let pause = match ended.is_refusal() {
                true => refused.pause(),
                false => unreachable.pause(),
            };
            tracing::warn!(?pause, "no configuration stream: {}", ended.explain());
            tokio::time::sleep(pause).await;
        }
    }

    /// One stream, from its beginning to its end.
    async fn stream(&mut self) -> Ended {
        match self.try_stream().await {
            Ok(ended) | Err(ended) => ended,
        }
    }

    async fn try_stream(&mut self) -> Result<Ended, Ended> {
        let own = self.own.valid().filter(|_| self.shows_own);
        let channel = self.plane.connect_as(own).await?;
        let (outgoing, requests) = unbounded_channel();
        let requests = UnboundedReceiverStream::new(requests);
        let request = self.plane.request(requests).await?;
        // A server may wait for our first word before it says anything.
        self.client.connected();
        self.say(&outgoing);
        let response = service::client(channel)
            .delta_aggregated_resources(request)
            .await;
        let mut responses = response.map_err(|s| self.plane.refused(s))?.into_inner();
        tracing::info!(server = self.plane.address(), "configuration stream open");
        loop {
            let response = responses.message().await;
            let Some(response) = response.map_err(|s| self.plane.refused(s))? else {
                return Ok(Ended::Closed(self.plane.address().to_owned()));
            };
            self.hear(response);
            self.say(&outgoing);
        }
    }

    /// Says all that there is to say.
    fn say(&mut self, outgoing: &UnboundedSender<DeltaDiscoveryRequest>) {
        while let Some(request) = self.client.next_request() {
            if let Request::Delta(request) = request {
                // If nobody takes it any more, the stream is about to end.
                let _ = outgoing.send(request);
            }
        }
    }

    fn hear(&mut self, response: DeltaDiscoveryResponse) {
        let plane = response.control_plane.as_ref();
        self.store.connected(plane.map(|p| p.identifier.as_str()));
        match self.client.on_response(response) {
            Ok((update, ticket)) => {
                let refused = self.applier.apply(&update);
                report(&update, &refused);
                self.ask_for_what_is_referred_to();
                self.client.complete(ticket, &refused);
                let version = self.client.version(update.kind);
                self.store
                    .answered(update.kind, version, self.client.stats(update.kind));
            }
            Err(error) => {
                tracing::warn!("{error}");
                if let ResponseError::Malformed { kind, .. } = error {
                    let version = self.client.version(kind);
                    self.store.answered(kind, version, self.client.stats(kind));
                }
            }
        }
    }

    fn ask_for_what_is_referred_to(&mut self) {
        for (kind, change) in self.applier.references() {
            self.client
                .subscribe(kind, change.added.iter().map(String::as_str));
            self.client
                .unsubscribe(kind, change.removed.iter().map(String::as_str));
        }
    }
}

fn report(update: &ads::Update, refused: &[ads::Refused]) {
    let kind = update.kind.short();
    tracing::debug!(
        kind,
        version = update.version,
        added = update.added.len(),
        removed = update.removed.len(),
        refused = refused.len(),
        "update"
    );
    for refused in refused {
        tracing::warn!(kind, name = refused.name, "refused: {}", refused.reason);
    }
    for name in &update.ignored {
        tracing::debug!(kind, name, "sent without being asked for, left out");
    }
}

#[cfg(test)]
pub(crate) mod fake_ads;
#[cfg(test)]
pub(crate) mod tests;
