//! The client's side of ADS, over any number of streams one after the other.
//!
//! Knows what is wanted, which version of it is in force, and what has to be said next. Stands between the stream and
//! whoever decodes and applies resources; it decides nothing about their content, and a lost stream changes nothing
//! that is in force.

mod interest;
mod reading;

use std::{fmt, mem};

use bytes::Bytes;

use self::interest::Interest;
use super::{Protocol, Received, Request, ResourceType, WILDCARD};
use crate::pb::envoy::config::core::v3::Node;

/// One resource of an [`Update`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Its version; in the state-of-the-world protocol that of the response.
    pub version: String,
    /// The payload as it was received: the message of the type.
    pub bytes: Bytes,
}

/// What a response changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The type of it all.
    pub kind: ResourceType,
    /// Version of the response.
    pub version: String,
    /// New or changed resources that are subscribed to.
    pub added: Vec<Resource>,
    /// Names that exist no more, or never did.
    pub removed: Vec<String>,
    /// Names that were sent without being asked for. They are left out, as the protocol wants.
    pub ignored: Vec<String>,
}

/// A resource that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its name.
    pub name: String,
    /// Why, with the field that is at fault.
    pub reason: String,
}

/// The answer that the client owes for one response. Dropping it means that the server never hears of its fate.
#[derive(Debug)]
#[must_use = "a response that is not completed is neither accepted nor refused"]
pub struct Ticket {
    stream: u64,
    kind: ResourceType,
    version: String,
    nonce: String,
    added: Vec<(String, String)>,
    removed: Vec<String>,
}

/// Why a response was not understood. Nothing of it is in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// It is of a type that we do not speak. It is not answered: a request of this type would be a subscription.
    #[error("response of unknown type URL `{0}`")]
    UnknownType(String),
    /// It is of a type that was not asked for on this stream. Not answered either.
    #[error("{} response that nobody asked for", .0.short())]
    NotAsked(ResourceType),
    /// It breaks the protocol; the NACK is waiting in [`Client::next_request`].
    #[error("{} response refused: {reason}", .kind.short())]
    Malformed {
        /// The type.
        kind: ResourceType,
        /// What is wrong with it.
        reason: String,
    },
}

/// How responses of a type fared, under Envoy's names (`cluster_manager.cds.update_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypeStats {
    /// Responses received.
    pub update_attempt: u64,
    /// Responses accepted.
    pub update_success: u64,
    /// Responses refused, in part or as a whole.
    pub update_rejected: u64,
}

/// The state of one client.
#[derive(Debug)]
pub struct Client {
    protocol: Protocol,
    node: Node,
    /// Counts streams; 0 before the first.
    stream: u64,
    open: bool,
    introduced: bool,
    interests: [Interest; ResourceType::ALL.len()],
}

impl Client {
    /// A client that wants nothing yet. `node` travels in the first request of every stream.
    pub fn new(protocol: Protocol, node: Node) -> Self {
        let interests = ResourceType::ALL.map(|kind| Interest::new(protocol, kind));
        Self {
            protocol,
            node,
            stream: 0,
            open: false,
            introduced: false,
            interests,
        }
    }

    /// Wants everything that the server has of a type.
    pub fn watch_all(&mut self, kind: ResourceType) {
        self.subscribe(kind, [WILDCARD]);
    }

    /// Wants these names too. Names that are wanted already change nothing.
    pub fn subscribe<'a>(&mut self, kind: ResourceType, names: impl IntoIterator<Item = &'a str>) {
        let interest = &mut self.interests[kind.index()];
        names.into_iter().for_each(|name| interest.subscribe(name));
    }

    /// Wants these names no more. Their versions are forgotten; dropping the resources is the owner's business.
    pub fn unsubscribe<'a>(
        &mut self,
        kind: ResourceType,
        names: impl IntoIterator<Item = &'a str>,
    ) {
        let interest = &mut self.interests[kind.index()];
        names
            .into_iter()
            .for_each(|name| interest.unsubscribe(name));
    }

    /// A new stream is open: everything that is wanted is asked for again, with the versions in force.
    pub fn connected(&mut self) {
        self.stream += 1;
        self.open = true;
        self.introduced = false;
        self.interests.iter_mut().for_each(Interest::restart);
    }

    /// The stream is gone. What is in force stays in force.
    pub fn disconnected(&mut self) {
        self.open = false;
    }

    /// The next request to send, or `None` when all is said: answers first, then subscriptions in push order.
    pub fn next_request(&mut self) -> Option<Request> {
        if !self.open {
            return None;
        }
        let answer = self.interests.iter_mut().find_map(Interest::answer);
        let request = answer.or_else(|| self.interests.iter_mut().find_map(Interest::ask))?;
        Some(self.introduce(request))
    }

    /// Takes a response. The update is to be applied, and then reported with [`Client::complete`], before the next
    /// response of the same type is handed in.
    ///
    /// # Errors
    /// [`ResponseError`]; nothing of the response is to be applied.
    pub fn on_response(
        &mut self,
        received: impl Into<Received>,
    ) -> Result<(Update, Ticket), ResponseError> {
        let received = received.into();
        let kind = ResourceType::from_type_url(&received.type_url)
            .ok_or_else(|| ResponseError::UnknownType(received.type_url.clone()))?;
        let interest = &mut self.interests[kind.index()];
        if !self.open || !interest.is_open() {
            return Err(ResponseError::NotAsked(kind));
        }
        interest.stats.update_attempt += 1;
        let (version, nonce) = (received.version.clone(), received.nonce.clone());
        let update = match reading::read(kind, self.protocol, interest, received) {
            Ok(update) => update,
            Err(reason) => {
                interest.refuse(nonce, reason.clone());
                return Err(ResponseError::Malformed { kind, reason });
            }
        };
        interest.outstanding += 1;
        let added = update
            .added
            .iter()
            .map(|resource| (resource.name.clone(), resource.version.clone()))
            .collect();
        let removed = update.removed.clone();
        Ok((
            update,
            Ticket {
                stream: self.stream,
                kind,
                version,
                nonce,
                added,
                removed,
            },
        ))
    }

    /// Reports what became of an update: all of it is in force but what is in `refused`.
    ///
    /// Without refusals this is the ACK, with them one NACK that names each. A ticket of an earlier stream is not
    /// answered any more, but what it put in force counts.
    pub fn complete(&mut self, ticket: Ticket, refused: &[Refused]) {
        let interest = &mut self.interests[ticket.kind.index()];
        let total = ticket.added.len();
        interest.settle(ticket.added, ticket.removed, refused);
        let current = ticket.stream == self.stream;
        if current {
            interest.outstanding = interest.outstanding.saturating_sub(1);
        }
        match (refused.is_empty(), current) {
            (true, current) => interest.accept(ticket.version, current.then_some(ticket.nonce)),
            (false, true) => interest.refuse(ticket.nonce, summary(ticket.kind, total, refused)),
            (false, false) => interest.stats.update_rejected += 1,
        }
    }

    /// Names and versions that are in force.
    pub fn held(&self, kind: ResourceType) -> impl Iterator<Item = (&str, &str)> {
        self.interests[kind.index()].held()
    }

    /// Whether a name is subscribed to, by itself or by everything.
    pub fn wants(&self, kind: ResourceType, name: &str) -> bool {
        self.interests[kind.index()].wants(name)
    }

    /// Version of the last response of a type that was accepted as a whole; empty before the first.
    pub fn version(&self, kind: ResourceType) -> &str {
        self.interests[kind.index()].version()
    }

    /// How the responses of a type fared.
    pub fn stats(&self, kind: ResourceType) -> TypeStats {
        self.interests[kind.index()].stats
    }

    fn introduce(&mut self, mut request: Request) -> Request {
        if !mem::replace(&mut self.introduced, true) {
            let node = Some(self.node.clone());
            match &mut request {
                Request::Sotw(request) => request.node = node,
                Request::Delta(request) => request.node = node,
            }
        }
        request
    }
}

/// One text for all refusals of a response.
fn summary(kind: ResourceType, total: usize, refused: &[Refused]) -> String {
    let mut text = format!(
        "{} of {total} {} resources refused: ",
        refused.len(),
        kind.short()
    );
    for (index, Refused { name, reason }) in refused.iter().enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        // Writing to a String cannot fail.
        let _ = fmt::Write::write_fmt(&mut text, format_args!("{separator}{name}: {reason}"));
    }
    text
}
