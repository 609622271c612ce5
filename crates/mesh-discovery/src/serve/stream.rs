//! One ADS stream: hears requests, follows pushes, sends what they come to.
//!
//! Around the protocol's state machine ([`mesh_xds::ads::Server`]) this is the part with time in it. A request goes
//! before the next step of a push; a push that comes while another is under way waits and merges with those that follow;
//! a client that takes nothing for too long is disconnected. A stream holds up no other: it has its own task, and what
//! it sends is shared.

use super::{
    ads::Hub,
    connections::{Entry, Newcomer},
    node::{Client, NodeError},
};
use crate::{
    ca::caller::Caller,
    push::{
        Published,
        plan::{Plan, Step},
    },
};
use mesh_xds::ads::{
    Ask, Heard, Protocol, Refusal, Request, ResourceType, Response, Server, SharedResource, Stamp,
    Verdict, service::Requests,
};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::StreamExt;
use tonic::Status;

/// Longest wait for the first request of a stream.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// What a stream begins with.
pub struct Opening {
    /// What all streams share.
    pub hub: Hub,
    /// Its protocol.
    pub protocol: Protocol,
    /// Who has opened it; `None` where nobody asks.
    pub caller: Option<Caller>,
    /// Where from.
    pub address: Option<SocketAddr>,
    /// When it should end, so that its proxy connects anew; `None` for never.
    pub until: Option<Instant>,
}

/// Istio's tools ask for debug pages under such types. Silence would leave them waiting.
const DEBUG_TYPES: &str = "istio.io/";

type Send = mpsc::Sender<Result<Response, Status>>;

/// Serves a stream to its end.
pub async fn serve(opening: Opening, requests: Requests, send: Send) {
    let stop = opening.hub.shutdown.begun();
    let ended = tokio::select! {
        ended = run(opening, requests, &send) => ended,
        () = stop => Err(Status::unavailable("this control plane is shutting down: connect again")),
    };
    if let Err(status) = ended {
        // If the client is gone, there is nobody to tell.
        let _ = send.try_send(Err(status));
    }
}

async fn run(opening: Opening, mut requests: Requests, send: &Send) -> Result<(), Status> {
    let first = tokio::time::timeout(FIRST_REQUEST, requests.next()).await;
    let first = first.map_err(|_| {
        Status::deadline_exceeded("no request came: the first one must carry the node")
    })?;
    let Some(first) = first else {
        return Ok(());
    };
    let until = opening.until;
    let mut stream = Stream::open(opening, &first?, send)?;
    tracing::info!(connection = stream.entry.id, address = ?stream.entry.address, protocol = ?stream.entry.protocol, "proxy connected");
    let ended = stream.run(requests, until).await;
    tracing::info!(
        connection = stream.entry.id,
        reason = ended.as_ref().err().map(Status::message),
        "proxy disconnected"
    );
    ended
}

struct Stream<'a> {
    hub: Hub,
    current: Arc<Published>,
    /// The push under way.
    plan: Option<Plan>,
    entry: Entry,
    send: &'a Send,
}

impl<'a> Stream<'a> {
    fn open(opening: Opening, first: &Request, send: &'a Send) -> Result<Self, Status> {
        let Opening {
            hub,
            protocol,
            caller,
            address,
            until: _,
        } = opening;
        let node = first.node().ok_or_else(|| status(&Refusal::MissingNode))?;
        let client = Client::new(node).map_err(|e| node_status(&e))?;
        let current = hub
            .publications
            .borrow()
            .clone()
            .ok_or_else(|| Status::unavailable("not ready"))?;
        if let Some(caller) = &caller {
            client.check(caller, &current.world).map_err(|e| {
                hub.metrics.authentication_failures.increment();
                node_status(&e)
            })?;
        }
        let identity = caller.map(|caller| caller.identity.to_string());
        let entry = hub.connections.enter(Newcomer {
            server: Server::new(protocol, fastrand::u64(..), hub.control_plane.clone()),
            client,
            address,
            identity,
            protocol,
        });
        let stream = Self {
            hub,
            current,
            plan: None,
            entry,
            send,
        };
        stream.hear(first)?;
        Ok(stream)
    }

    async fn run(&mut self, mut requests: Requests, until: Option<Instant>) -> Result<(), Status> {
        let end = tokio::time::sleep_until(until.unwrap_or_else(Instant::now));
        tokio::pin!(end);
        let mut publications = self.hub.publications.clone();
        // What was published since this stream has looked.
        self.adopt(&mut publications);
        self.answer_asked().await?;
        loop {
            tokio::select! {
                biased;
                request = requests.next() => match request {
                    None => return Ok(()),
                    Some(Err(status)) => return Err(status),
                    Some(Ok(request)) => {
                        self.hear(&request)?;
                        self.answer_asked().await?;
                    }
                },
                () = std::future::ready(()), if self.plan.is_some() => self.push_step().await?,
                () = &mut end, if until.is_some() => {
                    tracing::debug!(connection = self.entry.id, "the connection has reached its age");
                    return Ok(());
                }
                changed = publications.changed(), if self.plan.is_none() => match changed {
                    Ok(()) => self.adopt(&mut publications),
                    Err(_) => return Err(Status::unavailable("this control plane is shutting down: connect again")),
                },
            }
        }
    }

    /// Takes a request in; what it asks for is then waiting in the server.
    fn hear(&self, request: &Request) -> Result<(), Status> {
        match self.entry.server().on_request(request, SystemTime::now()) {
            Ok(heard) => {
                self.note(&heard);
                Ok(())
            }
            Err(Refusal::UnknownType(url)) if url.starts_with(DEBUG_TYPES) => {
                Err(Status::unimplemented(format!(
                    "{url} is not served over xDS: ask for /debug/syncz or its siblings by HTTP, on port 15014"
                )))
            }
            Err(refusal @ Refusal::UnknownType(_)) => {
                tracing::debug!(connection = self.entry.id, %refusal, "request ignored");
                Ok(())
            }
            Err(refusal) => Err(status(&refusal)),
        }
    }

    fn note(&self, heard: &Heard) {
        let (metrics, kind) = (&self.hub.metrics, heard.kind);
        match &heard.verdict {
            Verdict::Nack(rejection) => {
                metrics.xds_rejects.of(kind).increment();
                tracing::warn!(
                    connection = self.entry.id,
                    r#type = kind.short(),
                    code = rejection.code,
                    detail = rejection.detail,
                    "proxy refused a response"
                );
            }
            Verdict::Stale => metrics.xds_expired_nonce.of(kind).increment(),
            Verdict::Ack | Verdict::None => {}
        }
    }

    /// Turns to the newest push.
    fn adopt(&mut self, publications: &mut crate::push::pipeline::Publications) {
        let Some(newest) = publications.borrow_and_update().clone() else {
            return;
        };
        let change = newest.change_since(self.current.generation);
        if !change.is_empty() {
            self.hub
                .metrics
                .proxy_queue_time
                .record(newest.published_at.elapsed());
            self.plan = Some(Plan::of(&change, &self.entry.client.proxy, &newest.world));
        }
        self.current = newest;
    }

    /// One step of the push under way; after the last one, what is gone is taken away.
    async fn push_step(&mut self) -> Result<(), Status> {
        match self.plan.as_mut().and_then(Plan::next_step) {
            Some(step) => {
                if let Some(ask) = self.ask_of(&step) {
                    self.answer(&ask).await?;
                    // Endpoints of clusters that were sent just now.
                    self.answer_forced().await?;
                }
                Ok(())
            }
            None => {
                self.plan = None;
                self.withdraw().await?;
                self.hub
                    .metrics
                    .proxy_convergence_time
                    .record(self.current.changed_at.elapsed());
                Ok(())
            }
        }
    }

    fn ask_of(&self, step: &Step) -> Option<Ask> {
        let server = self.entry.server();
        match step {
            Step::All(kind) => server.refresh(*kind),
            Step::EndpointsOf(hosts) => {
                let of_hosts = |name: &&str| host_of(name).is_some_and(|host| hosts.contains(host));
                let names: Vec<&str> = server
                    .names(ResourceType::Endpoint)
                    .filter(of_hosts)
                    .collect();
                server.refresh_names(ResourceType::Endpoint, names)
            }
        }
    }

    async fn answer_asked(&self) -> Result<(), Status> {
        self.answer_forced().await?;
        if self.plan.is_none() {
            self.withdraw().await?;
        }
        Ok(())
    }

    async fn answer_forced(&self) -> Result<(), Status> {
        loop {
            let Some(ask) = self.entry.server().asked() else {
                return Ok(());
            };
            self.answer(&ask).await?;
        }
    }

    async fn answer(&self, ask: &Ask) -> Result<(), Status> {
        let started = Instant::now();
        let responses = self.responses(ask).map_err(|e| status(&e))?;
        if responses.is_empty() {
            return Ok(());
        }
        for response in responses {
            self.send(response).await?;
        }
        self.hub
            .metrics
            .xds_push_time
            .of(ask.kind())
            .0
            .record(started.elapsed());
        Ok(())
    }

    fn responses(&self, ask: &Ask) -> Result<Vec<Response>, Refusal> {
        let (proxy, kind) = (&self.entry.client.proxy, ask.kind());
        let mut server = self.entry.server();
        let resources = match ask.names() {
            Some(names) => self.current.resources(proxy, kind, names),
            None => self.current.resources(proxy, kind, server.names(kind)),
        };
        server.answer(ask, &resources, &self.stamp())
    }

    /// Takes away what is gone, when all additions have been sent.
    async fn withdraw(&self) -> Result<(), Status> {
        loop {
            let Some(last) = self.entry.server().withdraw(&self.stamp()) else {
                return Ok(());
            };
            self.send(last).await?;
        }
    }

    async fn send(&self, response: Response) -> Result<(), Status> {
        let (metrics, kind) = (&self.hub.metrics, response.kind);
        let bytes = response
            .resources
            .iter()
            .map(SharedResource::wire_len)
            .sum();
        let started = Instant::now();
        match self
            .send
            .send_timeout(Ok(response), self.hub.send_timeout)
            .await
        {
            Ok(()) => {
                metrics.xds_pushes.of(kind).increment();
                metrics.xds_config_size_bytes.of(kind).0.record_bytes(bytes);
                metrics.xds_send_time.record(started.elapsed());
                Ok(())
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => {
                Err(Status::cancelled("the client is gone"))
            }
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                metrics.xds_send_timeouts.increment();
                tracing::warn!(connection = self.entry.id, timeout = ?self.hub.send_timeout, "proxy takes no response, disconnected");
                Err(Status::deadline_exceeded(
                    "a response was not taken in time",
                ))
            }
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            version: self.current.version.to_string(),
            now: SystemTime::now(),
        }
    }
}

/// The host in a cluster's name. The cheap half of `ClusterName::parts`: this runs for every name of every stream.
fn host_of(cluster: &str) -> Option<&str> {
    cluster.rsplit_once('|').map(|(_, host)| host)
}

fn status(refusal: &Refusal) -> Status {
    match refusal {
        Refusal::MissingNode | Refusal::WrongProtocol | Refusal::UnknownType(_) => {
            Status::invalid_argument(refusal.to_string())
        }
        Refusal::TooLarge { .. } => Status::resource_exhausted(refusal.to_string()),
    }
}

fn node_status(error: &NodeError) -> Status {
    match error {
        NodeError::Id(_) => Status::invalid_argument(error.to_string()),
        NodeError::Namespace { .. }
        | NodeError::ServiceAccount { .. }
        | NodeError::Pod { .. }
        | NodeError::PodAccount { .. } => Status::permission_denied(error.to_string()),
    }
}
