//! The server's side of one ADS stream.
//!
//! Hears requests, knows what the client is subscribed to and what it was sent, and builds responses from what its
//! owner supplies. Stands between the stream and the owner's snapshot; decides nothing about which resources exist.

mod ask;
mod heard;
mod record;
mod watch;

use std::{collections::BTreeSet, time::SystemTime};

use bytes::Bytes;

use self::watch::{Changes, DeltaChanges, Difference, Watch};
use super::{MAX_RESPONSE_BYTES, Protocol, Request, ResourceType, Response, SharedResource};
pub use ask::{Ask, Stamp};
pub use heard::{Heard, Interest, Verdict};
pub use record::{Rejection, SyncState, TypeStatus};

/// Why a request cannot be served, or a response not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The first request of a stream has to say who asks. Ends the stream, `INVALID_ARGUMENT`.
    #[error("the first request of a stream must carry node.id")]
    MissingNode,
    /// A type that we do not serve. Nothing is answered; the stream may go on, since the other types are in order.
    #[error("type URL `{0}` is not served here")]
    UnknownType(String),
    /// A request of the other protocol. Ends the stream, `INVALID_ARGUMENT`.
    #[error("a request of another protocol than the stream's")]
    WrongProtocol,
    /// A response that no client would take. Ends the stream, `RESOURCE_EXHAUSTED`.
    #[error("{} response of {bytes} bytes, more than {MAX_RESPONSE_BYTES}", .kind.short())]
    TooLarge {
        /// The type of the response.
        kind: ResourceType,
        /// Its size, or that of its largest resource.
        bytes: usize,
    },
}

/// One stream's state.
#[derive(Debug)]
pub struct Server {
    protocol: Protocol,
    stream: u64,
    serial: u64,
    control_plane: Bytes,
    identified: bool,
    watches: [Option<Watch>; ResourceType::ALL.len()],
}

impl Server {
    /// A new stream. `stream` is a random number, the part of every nonce that no other stream has;
    /// `control_plane` comes from [`super::control_plane`].
    pub fn new(protocol: Protocol, stream: u64, control_plane: Bytes) -> Self {
        Self {
            protocol,
            stream,
            serial: 0,
            control_plane,
            identified: false,
            watches: Default::default(),
        }
    }

    /// Takes a request and says what it meant. Answers are then waiting in [`Server::asked`].
    ///
    /// # Errors
    /// [`Refusal`]; no subscription is changed then.
    pub fn on_request(&mut self, request: &Request, now: SystemTime) -> Result<Heard, Refusal> {
        let named = request.node().is_some_and(|node| !node.id.is_empty());
        if !self.identified && !named {
            return Err(Refusal::MissingNode);
        }
        self.identified = true;
        let kind = ResourceType::from_type_url(request.type_url())
            .ok_or_else(|| Refusal::UnknownType(request.type_url().into()))?;
        let changes = match (self.protocol, request) {
            (Protocol::Sotw, Request::Sotw(request)) => Changes::Exactly(&request.resource_names),
            (Protocol::Delta, Request::Delta(request)) => Changes::Delta(DeltaChanges {
                subscribe: &request.resource_names_subscribe,
                unsubscribe: &request.resource_names_unsubscribe,
                held: &request.initial_resource_versions,
            }),
            _ => return Err(Refusal::WrongProtocol),
        };
        let watch = &mut self.watches[kind.index()];
        let fresh = watch.is_none();
        let watch = watch.get_or_insert_with(|| Watch::new(kind));
        // A nonce of an earlier stream says nothing here.
        let nonce = if fresh { "" } else { request.nonce() };
        if watch.record.is_current(nonce) {
            watch.caught_up();
        }
        let verdict = watch.record.judge(nonce, request.error(), now);
        let interest = match changes {
            Changes::Delta(changes) if fresh => watch.open(&changes),
            Changes::Delta(changes) => watch.change(&changes),
            Changes::Exactly(names) => watch.restate(names, fresh, nonce),
        };
        Ok(Heard {
            kind,
            verdict,
            interest,
        })
    }

    /// The next answer that is due, in push order.
    pub fn asked(&self) -> Option<Ask> {
        ResourceType::ALL.into_iter().find_map(|kind| {
            let watch = self.watch(kind)?;
            let all = watch.due || (!watch.forced.is_empty() && self.sends_whole(watch));
            (all || !watch.forced.is_empty()).then(|| Ask {
                kind,
                names: (!all).then(|| watch.forced.clone()),
            })
        })
    }

    /// An ask for everything of a type, for a push; `None` if the client is not subscribed.
    pub fn refresh(&self, kind: ResourceType) -> Option<Ask> {
        self.watch(kind).map(|_| Ask { kind, names: None })
    }

    /// An ask for those of `names` that the client is subscribed to, for a push of a few changed resources.
    pub fn refresh_names<'a>(
        &self,
        kind: ResourceType,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Option<Ask> {
        let watch = self.watch(kind)?;
        let names: BTreeSet<Box<str>> = names
            .into_iter()
            .filter(|name| watch.wants(name))
            .map(Into::into)
            .collect();
        if names.is_empty() {
            return None;
        }
        Some(Ask {
            kind,
            names: (!self.sends_whole(watch)).then_some(names),
        })
    }

    /// The names that a client has asked for one by one.
    pub fn names(&self, kind: ResourceType) -> impl Iterator<Item = &str> {
        self.watch(kind).into_iter().flat_map(Watch::names)
    }

    /// Whether the client wants everything there is of a type.
    pub fn wants_all(&self, kind: ResourceType) -> bool {
        self.watch(kind).is_some_and(|watch| watch.wildcard)
    }

    /// Makes the response to `ask` out of what there is: empty when the client has it all.
    ///
    /// More than one message when one would be too large. Resources that the client did not ask for, and a second one
    /// of the same name, are left out. Clusters that are sent make their endpoint sets due again: Envoy does not
    /// repeat its subscription for a changed cluster, and would warm it for ever.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`]; the stream cannot go on then.
    pub fn answer<'a>(
        &mut self,
        ask: &Ask,
        resources: impl IntoIterator<Item = &'a SharedResource>,
        stamp: &Stamp,
    ) -> Result<Vec<Response>, Refusal> {
        let Some(watch) = self.watches[ask.kind.index()].as_mut() else {
            return Ok(Vec::new());
        };
        let due = ask.names.is_none() && std::mem::take(&mut watch.due);
        let whole = self.protocol == Protocol::Sotw && watch.sends_whole();
        let diff = watch.compare(ask, resources);
        if ask.kind == ResourceType::Cluster {
            self.force_endpoints_of(&diff.changed);
        }
        if diff.changed.is_empty() && diff.absent.is_empty() && !due {
            return Ok(Vec::new());
        }
        match self.protocol {
            Protocol::Delta => self.delta_responses(ask.kind, diff, stamp),
            Protocol::Sotw if whole => {
                let all = self.watches[ask.kind.index()]
                    .as_ref()
                    .map(Watch::held)
                    .unwrap_or_default();
                Ok(vec![self.checked_response(ask.kind, all, stamp)?])
            }
            // A state-of-the-world response has no way to say that a name does not exist.
            Protocol::Sotw if diff.changed.is_empty() && !due => Ok(Vec::new()),
            Protocol::Sotw => Ok(vec![self.checked_response(
                ask.kind,
                diff.changed,
                stamp,
            )?]),
        }
    }

    /// Takes away what earlier answers found gone, one type at a time, routes before clusters.
    ///
    /// To be called until `None`, when all additions have been handed to the stream.
    pub fn withdraw(&mut self, stamp: &Stamp) -> Option<Response> {
        ResourceType::ALL
            .into_iter()
            .rev()
            .find_map(|kind| self.withdraw_type(kind, stamp))
    }

    /// How far the client is with each type, for `proxy-status`.
    pub fn status(&self) -> impl Iterator<Item = TypeStatus> {
        ResourceType::ALL
            .into_iter()
            .map(|kind| match self.watch(kind) {
                Some(watch) => watch.record.status(kind, watch.held_count()),
                None => TypeStatus::ignored(kind),
            })
    }

    fn watch(&self, kind: ResourceType) -> Option<&Watch> {
        self.watches[kind.index()]
            .as_ref()
            .filter(|watch| watch.is_subscribed())
    }

    fn sends_whole(&self, watch: &Watch) -> bool {
        self.protocol == Protocol::Sotw && watch.sends_whole()
    }

    fn force_endpoints_of(&mut self, clusters: &[SharedResource]) {
        if let Some(endpoints) = self.watches[ResourceType::Endpoint.index()].as_mut() {
            clusters
                .iter()
                .for_each(|cluster| endpoints.force_if_held(cluster.name()));
        }
    }

    fn withdraw_type(&mut self, kind: ResourceType, stamp: &Stamp) -> Option<Response> {
        let watch = self.watches[kind.index()].as_mut()?;
        let removed = watch.forget_doomed();
        if removed.is_empty() || !kind.is_removable() {
            return None;
        }
        match self.protocol {
            Protocol::Delta => Some(self.response(kind, Vec::new(), removed, stamp)),
            Protocol::Sotw if watch.sends_whole() => {
                let all = watch.held();
                Some(self.response(kind, all, Vec::new(), stamp))
            }
            Protocol::Sotw => None,
        }
    }

    fn delta_responses(
        &mut self,
        kind: ResourceType,
        diff: Difference,
        stamp: &Stamp,
    ) -> Result<Vec<Response>, Refusal> {
        let mut responses = Vec::new();
        let (mut part, mut bytes) = (Vec::new(), 0);
        for resource in diff.changed {
            let size = resource.wire_len();
            if bytes + size > LIMIT && !part.is_empty() {
                responses.push(self.checked_response(kind, std::mem::take(&mut part), stamp)?);
                bytes = 0;
            }
            bytes += size;
            part.push(resource);
        }
        let mut last = self.checked_response(kind, part, stamp)?;
        last.removed = diff.absent;
        responses.push(last);
        Ok(responses)
    }

    fn checked_response(
        &mut self,
        kind: ResourceType,
        resources: Vec<SharedResource>,
        stamp: &Stamp,
    ) -> Result<Response, Refusal> {
        let bytes = resources.iter().map(SharedResource::wire_len).sum();
        if bytes > LIMIT {
            return Err(Refusal::TooLarge { kind, bytes });
        }
        Ok(self.response(kind, resources, Vec::new(), stamp))
    }

    fn response(
        &mut self,
        kind: ResourceType,
        resources: Vec<SharedResource>,
        removed: Vec<String>,
        stamp: &Stamp,
    ) -> Response {
        self.serial += 1;
        let nonce = format!("{}-{:016x}-{}", stamp.version, self.stream, self.serial);
        if let Some(watch) = self.watches[kind.index()].as_mut() {
            watch.record.sent(&nonce, stamp);
        }
        let control_plane = self.control_plane.clone();
        Response {
            kind,
            version: stamp.version.clone(),
            nonce,
            resources,
            removed,
            control_plane,
        }
    }
}

/// Leaves room for the other fields of a response.
const LIMIT: usize = MAX_RESPONSE_BYTES - (1 << 20);
