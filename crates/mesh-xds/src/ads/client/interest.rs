//! What the client wants of one type, what is in force of it, and what the server has yet to be told.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::{
    ads::{Protocol, Refused, Request, ResourceType, TypeStats, WILDCARD},
    pb::{
        envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest},
        google::rpc::Status,
    },
};

/// Longest error text that is sent, in bytes; Envoy's limit.
const MAX_DETAIL_BYTES: usize = 4096;
/// gRPC's INTERNAL, which Envoy uses for every refusal.
const CODE: i32 = 13;

/// The subscriptions of one type.
#[derive(Debug)]
pub(super) struct Interest {
    protocol: Protocol,
    kind: ResourceType,
    wildcard: bool,
    names: BTreeSet<String>,
    /// Name → version in force.
    held: HashMap<String, String>,
    /// Version of the last response accepted as a whole.
    version: String,
    pub(super) stats: TypeStats,
    // What follows belongs to one stream.
    opened: bool,
    /// A name was said: from then on, none means nothing rather than everything.
    named: bool,
    nonce: String,
    changes: BTreeMap<String, Change>,
    /// SotW: names that were dropped. The server ignores a request that crosses its next response, so it may never
    /// have heard that they were.
    dropped: BTreeSet<String>,
    /// SotW: one of them is wanted again, which only a request that starts anew is sure to say.
    anew: bool,
    answers: VecDeque<Answer>,
    /// Responses handed out and not yet completed.
    pub(super) outstanding: usize,
}

/// A change of subscriptions that the server does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Subscribe,
    /// Dropped and wanted again before the server heard of it: it has to send the resource once more.
    Resubscribe,
    Unsubscribe,
}

#[derive(Debug)]
struct Answer {
    nonce: String,
    error: Option<Status>,
}

impl Interest {
    pub(super) fn new(protocol: Protocol, kind: ResourceType) -> Self {
        Self {
            protocol,
            kind,
            wildcard: false,
            names: BTreeSet::new(),
            held: HashMap::new(),
            version: String::new(),
            stats: TypeStats::default(),
            opened: false,
            named: false,
            nonce: String::new(),
            changes: BTreeMap::new(),
            dropped: BTreeSet::new(),
            anew: false,
            answers: VecDeque::new(),
            outstanding: 0,
        }
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    pub(super) fn is_open(&self) -> bool {
        self.opened
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn held(&self) -> impl Iterator<Item = (&str, &str)> {
        self.held
            .iter()
            .map(|(name, version)| (name.as_str(), version.as_str()))
    }

    pub(super) fn holds(&self, name: &str, version: &str) -> bool {
        self.held.get(name).is_some_and(|held| held == version)
    }

    pub(super) fn subscribe(&mut self, name: &str) {
        let new = match name {
            WILDCARD => !std::mem::replace(&mut self.wildcard, true),
            _ => self.names.insert(name.into()),
        };
        if new {
            let change = match self.changes.get(name) {
                Some(Change::Unsubscribe) => Change::Resubscribe,
                _ => Change::Subscribe,
            };
            self.changes.insert(name.into(), change);
            self.anew |= self.dropped.remove(name);
        }
    }

    pub(super) fn unsubscribe(&mut self, name: &str) {
        let known = match name {
            WILDCARD => std::mem::take(&mut self.wildcard),
            _ => self.names.remove(name),
        };
        if !known {
            return;
        }
        match self.changes.get(name) {
            Some(Change::Subscribe) => {
                self.changes.remove(name);
            }
            _ => {
                self.changes.insert(name.into(), Change::Unsubscribe);
                if self.protocol == Protocol::Sotw {
                    self.dropped.insert(name.into());
                }
            }
        }
        // Under a wildcard the resource may be covered still; the server will say.
        if !self.wildcard {
            let Self { names, held, .. } = self;
            held.retain(|name, _| names.contains(name));
        }
    }

    /// A new stream: the server knows nothing.
    pub(super) fn restart(&mut self) {
        self.opened = false;
        self.named = false;
        self.nonce.clear();
        self.changes.clear();
        self.dropped.clear();
        self.anew = false;
        self.answers.clear();
        self.outstanding = 0;
    }

    /// The next ACK or NACK.
    pub(super) fn answer(&mut self) -> Option<Request> {
        let Answer { nonce, error } = self.answers.pop_front()?;
        self.nonce.clone_from(&nonce);
        Some(match self.protocol {
            Protocol::Delta => Request::Delta(DeltaDiscoveryRequest {
                type_url: self.kind.type_url().into(),
                response_nonce: nonce,
                error_detail: error,
                ..Default::default()
            }),
            Protocol::Sotw => {
                self.changes.clear();
                Request::Sotw(DiscoveryRequest {
                    error_detail: error,
                    ..self.state_of_the_world()
                })
            }
        })
    }

    /// The first request of the stream, or one about changed subscriptions.
    pub(super) fn ask(&mut self) -> Option<Request> {
        let first = !self.opened;
        if first && !self.wildcard && self.names.is_empty() {
            self.changes.clear();
            return None;
        }
        // In SotW a response that is being worked on will be answered with all names anyway.
        let waiting = self.protocol == Protocol::Sotw && self.outstanding > 0;
        let quiet = self.changes.is_empty() && !self.anew;
        if !first && (quiet || waiting) {
            return None;
        }
        if std::mem::take(&mut self.anew) {
            self.nonce.clear();
        }
        self.opened = true;
        let changes = std::mem::take(&mut self.changes);
        Some(match self.protocol {
            Protocol::Sotw => Request::Sotw(self.state_of_the_world()),
            Protocol::Delta if first => Request::Delta(self.everything()),
            Protocol::Delta => Request::Delta(self.changed(changes)),
        })
    }

    /// The server's view catches up with the owner's.
    pub(super) fn settle(
        &mut self,
        added: Vec<(String, String)>,
        removed: Vec<String>,
        refused: &[Refused],
    ) {
        for name in removed {
            self.held.remove(&name);
        }
        for (name, version) in added {
            if self.wants(&name) && refused.iter().all(|refused| refused.name != name) {
                self.held.insert(name, version);
            }
        }
    }

    /// A response is in force as a whole; `nonce` is missing if its stream is gone.
    pub(super) fn accept(&mut self, version: String, nonce: Option<String>) {
        self.stats.update_success += 1;
        self.version = version;
        self.answers
            .extend(nonce.map(|nonce| Answer { nonce, error: None }));
    }

    pub(super) fn refuse(&mut self, nonce: String, detail: String) {
        self.stats.update_rejected += 1;
        let error = Some(Status {
            code: CODE,
            message: shortened(detail),
            ..Default::default()
        });
        self.answers.push_back(Answer { nonce, error });
    }

    fn state_of_the_world(&mut self) -> DiscoveryRequest {
        DiscoveryRequest {
            type_url: self.kind.type_url().into(),
            version_info: self.version.clone(),
            response_nonce: self.nonce.clone(),
            resource_names: self.spelled_names(),
            ..Default::default()
        }
    }

    fn everything(&mut self) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            type_url: self.kind.type_url().into(),
            resource_names_subscribe: self.spelled_names(),
            initial_resource_versions: self.held.clone(),
            ..Default::default()
        }
    }

    fn changed(&self, changes: BTreeMap<String, Change>) -> DeltaDiscoveryRequest {
        let (gone, new): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .partition(|(_, change)| *change == Change::Unsubscribe);
        let names =
            |changes: Vec<(String, Change)>| changes.into_iter().map(|(name, _)| name).collect();
        DeltaDiscoveryRequest {
            type_url: self.kind.type_url().into(),
            resource_names_subscribe: names(new),
            resource_names_unsubscribe: names(gone),
            ..Default::default()
        }
    }

    /// All names. Everything is spelled as no names where every server understands that, and as `*` elsewhere.
    fn spelled_names(&mut self) -> Vec<String> {
        let legacy = self.kind.is_wildcard() && !self.named && self.names.is_empty();
        let star = (self.wildcard && !legacy).then(|| WILDCARD.to_owned());
        let names: Vec<_> = star.into_iter().chain(self.names.iter().cloned()).collect();
        self.named |= !names.is_empty();
        names
    }
}

fn shortened(mut detail: String) -> String {
    const ENDING: &str = "… (truncated)";
    if detail.len() > MAX_DETAIL_BYTES {
        detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES - ENDING.len()));
        detail.push_str(ENDING);
    }
    detail
}
