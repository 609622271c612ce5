//! Both machines against each other: a world that changes, streams that break with messages under way, a proxy that
//! refuses some resources. Whatever happens, once the stream holds they agree, and a break removes nothing.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::pb::envoy::config::cluster::v3::Cluster as PbCluster;

use ResourceType::{Cluster, Endpoint, Listener, Route};

const KINDS: [ResourceType; 4] = [Cluster, Endpoint, Listener, Route];
/// Never deleted, so never to be removed.
const KEPT: &str = "kept";
const NAMES: [&str; 3] = [KEPT, "a", "b"];

/// What happens. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Set {
        kind: usize,
        name: usize,
        content: u8,
    },
    Delete {
        kind: usize,
        name: usize,
    },
    Push,
    PushNames {
        kind: usize,
        name: usize,
    },
    Subscribe {
        kind: usize,
        name: usize,
    },
    Unsubscribe {
        kind: usize,
        name: usize,
    },
    /// Everything of clusters or listeners, or no more. Only delta has a word for the latter.
    Star {
        kind: usize,
        on: bool,
    },
    ToServer,
    ToClient,
    Break,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (kind, name) = (0..KINDS.len(), 0..NAMES.len());
    let step = prop_oneof![
        3 => (kind.clone(), name.clone(), 0..4u8).prop_map(|(kind, name, content)| Step::Set { kind, name, content }),
        2 => (kind.clone(), 1..NAMES.len()).prop_map(|(kind, name)| Step::Delete { kind, name }),
        2 => Just(Step::Push),
        2 => (kind.clone(), name.clone()).prop_map(|(kind, name)| Step::PushNames { kind, name }),
        2 => (kind.clone(), name.clone()).prop_map(|(kind, name)| Step::Subscribe { kind, name }),
        2 => (kind, name).prop_map(|(kind, name)| Step::Unsubscribe { kind, name }),
        1 => (prop_oneof![Just(0), Just(2)], any::<bool>()).prop_map(|(kind, on)| Step::Star { kind, on }),
        6 => Just(Step::ToServer),
        6 => Just(Step::ToClient),
        1 => Just(Step::Break),
    ];
    proptest::collection::vec(step, 0..60)
}

type World = BTreeMap<(ResourceType, String), u8>;

/// Content that the proxy refuses.
const BAD: u8 = 3;

struct Model {
    protocol: Protocol,
    world: World,
    server: Server,
    client: Client,
    /// What the proxy has in force.
    store: World,
    upstream: VecDeque<Request>,
    downstream: VecDeque<Vec<u8>>,
    streams: u64,
    sent_resources: usize,
}

impl Model {
    fn new(protocol: Protocol) -> Self {
        let mut client = Client::new(protocol, node().unwrap());
        client.watch_all(Cluster);
        client.watch_all(Listener);
        client.subscribe(Endpoint, [KEPT, "a"]);
        client.connected();
        let kept = KINDS.map(|kind| ((kind, KEPT.to_owned()), 0));
        Self {
            protocol,
            world: kept.into(),
            server: Server::new(protocol, 0, control_plane("{}")),
            client,
            store: World::new(),
            upstream: VecDeque::new(),
            downstream: VecDeque::new(),
            streams: 0,
            sent_resources: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Set {
                kind,
                name,
                content,
            } => {
                self.world
                    .insert((KINDS[kind], NAMES[name].into()), content);
            }
            Step::Delete { kind, name } => {
                self.world.remove(&(KINDS[kind], NAMES[name].into()));
            }
            Step::Push => self.push(),
            Step::PushNames { kind, name } => self.push_names(KINDS[kind], NAMES[name]),
            Step::Subscribe { kind, name } => self.client.subscribe(KINDS[kind], [NAMES[name]]),
            Step::Unsubscribe { kind, name } => self.unsubscribe(KINDS[kind], NAMES[name]),
            Step::Star { kind, on: true } => self.client.watch_all(KINDS[kind]),
            Step::Star { .. } if self.protocol == Protocol::Sotw => {}
            Step::Star { kind, .. } => self.unsubscribe(KINDS[kind], WILDCARD),
            Step::ToServer => self.serve_one(),
            Step::ToClient => self.deliver_one(),
            Step::Break => self.break_stream(),
        }
        self.upstream
            .extend(std::iter::from_fn(|| self.client.next_request()));
    }

    fn resources(&self, kind: ResourceType) -> Vec<SharedResource> {
        let of_kind = self.world.iter().filter(|((its, _), _)| *its == kind);
        of_kind
            .map(|((_, name), content)| SharedResource::new(kind, name, &payload(name, *content)))
            .collect()
    }

    fn answer(&mut self, ask: &Ask) {
        let sent = self
            .server
            .answer(ask, &self.resources(ask.kind()), &stamp("v"))
            .unwrap();
        sent.into_iter().for_each(|response| self.send(response));
    }

    fn withdraw(&mut self) {
        while let Some(response) = self.server.withdraw(&stamp("v")) {
            self.send(response);
        }
    }

    fn send(&mut self, response: Response) {
        self.sent_resources += response.resources.len();
        self.downstream.push_back(match self.protocol {
            Protocol::Sotw => EncodedResponse::from(response).encode_to_vec(),
            Protocol::Delta => EncodedDeltaResponse::from(response).encode_to_vec(),
        });
    }

    fn push(&mut self) {
        for kind in ResourceType::ALL {
            if let Some(ask) = self.server.refresh(kind) {
                self.answer(&ask);
            }
        }
        self.withdraw();
    }

    fn push_names(&mut self, kind: ResourceType, name: &str) {
        if let Some(ask) = self.server.refresh_names(kind, [name]) {
            self.answer(&ask);
        }
        self.withdraw();
    }

    fn unsubscribe(&mut self, kind: ResourceType, name: &str) {
        self.client.unsubscribe(kind, [name]);
        let client = &self.client;
        self.store
            .retain(|(kind, name), _| client.wants(*kind, name));
    }

    fn serve_one(&mut self) {
        let Some(request) = self.upstream.pop_front() else {
            return;
        };
        self.server.on_request(&request, at(1)).unwrap();
        while let Some(ask) = self.server.asked() {
            self.answer(&ask);
        }
        self.withdraw();
    }

    fn deliver_one(&mut self) {
        let Some(bytes) = self.downstream.pop_front() else {
            return;
        };
        let received: Received = match self.protocol {
            Protocol::Sotw => DiscoveryResponse::decode(bytes.as_slice()).unwrap().into(),
            Protocol::Delta => DeltaDiscoveryResponse::decode(bytes.as_slice())
                .unwrap()
                .into(),
        };
        let (update, ticket) = self.client.on_response(received).unwrap();
        let mut refused = Vec::new();
        for resource in update.added {
            match content(&resource.bytes) {
                BAD => refused.push(Refused {
                    name: resource.name,
                    reason: "bad".into(),
                }),
                good => {
                    self.store.insert((update.kind, resource.name), good);
                }
            }
        }
        for name in update.removed {
            assert_ne!(name, KEPT, "{:?} was never deleted", update.kind);
            self.store.remove(&(update.kind, name));
        }
        self.client.complete(ticket, &refused);
    }

    fn break_stream(&mut self) {
        self.client.disconnected();
        assert_eq!(self.client.next_request(), None);
        self.upstream.clear();
        self.downstream.clear();
        self.streams += 1;
        self.server = Server::new(self.protocol, self.streams, control_plane("{}"));
        self.client.connected();
    }

    /// Lets everything arrive.
    fn settle(&mut self) {
        for _ in 0..1000 {
            self.upstream
                .extend(std::iter::from_fn(|| self.client.next_request()));
            if self.upstream.is_empty() && self.downstream.is_empty() {
                return;
            }
            self.serve_one();
            self.deliver_one();
        }
        panic!("client and server never come to rest");
    }

    /// What the proxy should have: what it wants of what there is.
    fn wanted(&self) -> World {
        let wants = |(kind, name): &(ResourceType, String)| self.client.wants(*kind, name);
        self.world
            .iter()
            .filter(|(key, _)| wants(key))
            .map(|(key, content)| (key.clone(), *content))
            .collect()
    }

    /// What it has. SotW cannot take a name away, so what is left over there does not count.
    fn got(&self) -> World {
        let counts = |key: &(ResourceType, String)| {
            self.protocol == Protocol::Delta || key.0.is_wildcard() || self.world.contains_key(key)
        };
        self.store
            .iter()
            .filter(|(key, _)| counts(key))
            .map(|(key, content)| (key.clone(), *content))
            .collect()
    }
}

fn payload(name: &str, content: u8) -> Vec<u8> {
    PbCluster {
        name: name.into(),
        alt_stat_name: content.to_string(),
        ..Default::default()
    }
    .encode_to_vec()
}

fn content(bytes: &[u8]) -> u8 {
    PbCluster::decode(bytes)
        .unwrap()
        .alt_stat_name
        .parse()
        .unwrap()
}

fn run(protocol: Protocol, steps: &[Step]) {
    let mut model = Model::new(protocol);
    for step in steps {
        model.step(step);
    }
    model.settle();
    model.push();
    model.settle();

    // A refused resource is the proxy's last good one, or none; the others agree.
    let (wanted, got) = (model.wanted(), model.got());
    let good: World = wanted
        .iter()
        .filter(|(_, content)| **content != BAD)
        .map(|(key, content)| (key.clone(), *content))
        .collect();
    for (key, content) in &good {
        assert_eq!(got.get(key), Some(content), "{key:?}");
    }
    for key in got.keys() {
        assert!(wanted.contains_key(key), "{key:?} is left over");
    }
    let refused = wanted.len() > good.len();
    for status in model.server.status() {
        assert!(!matches!(status.state, SyncState::Stale), "{status:?}");
        assert!(
            refused || status.state != SyncState::Error || status.rejections > 0,
            "{status:?}"
        );
    }

    // The machines agree on what is in force, and a break in peace costs nothing.
    let before = model.store.clone();
    model.break_stream();
    model.sent_resources = 0;
    model.settle();
    assert_eq!(model.store, before);
    if protocol == Protocol::Delta && !refused {
        assert_eq!(model.sent_resources, 0, "sent again what the proxy holds");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn delta_converges(steps in steps()) {
        run(Protocol::Delta, &steps);
    }

    #[test]
    fn sotw_converges(steps in steps()) {
        run(Protocol::Sotw, &steps);
    }
}
