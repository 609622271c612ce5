//! The streams that stand now, for debug pages and metrics.
//!
//! The protocol's state of a stream lives here. Its own task is the only one that changes it; pages look at it.

use super::node::Client;
use mesh_xds::ads::{Protocol, ResourceType, Server, TypeStatus};
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

/// All streams.
#[derive(Debug, Default)]
pub struct Connections {
    next: AtomicU64,
    all: Mutex<BTreeMap<u64, Arc<Connected>>>,
}

/// One stream.
#[derive(Debug)]
pub struct Connected {
    /// Istio's form: `<pod>.<namespace>-<number>`.
    pub id: String,
    /// Who.
    pub client: Client,
    /// Where from.
    pub address: Option<SocketAddr>,
    /// The identity that it has proven; `None` where nobody asks.
    pub identity: Option<String>,
    /// Which protocol it speaks.
    pub protocol: Protocol,
    /// Since when.
    pub since: SystemTime,
    server: Mutex<Server>,
}

/// A stream before it is entered.
#[derive(Debug)]
pub struct Newcomer {
    /// Who.
    pub client: Client,
    /// Where from.
    pub address: Option<SocketAddr>,
    /// The identity that it has proven.
    pub identity: Option<String>,
    /// Which protocol it speaks.
    pub protocol: Protocol,
    /// The protocol's state.
    pub server: Server,
}

/// A stream's place; it is taken out when the stream ends.
#[derive(Debug)]
pub struct Entry {
    connections: Arc<Connections>,
    number: u64,
    connected: Arc<Connected>,
}

impl Connections {
    /// Enters a stream.
    pub fn enter(self: &Arc<Self>, newcomer: Newcomer) -> Entry {
        let number = self.next.fetch_add(1, Relaxed) + 1;
        let Newcomer {
            client,
            address,
            identity,
            protocol,
            server,
        } = newcomer;
        let connected = Arc::new(Connected {
            id: format!("{}-{number}", client.proxy.id.pod_and_namespace()),
            client,
            address,
            identity,
            protocol,
            since: SystemTime::now(),
            server: Mutex::new(server),
        });
        self.all.lock().insert(number, connected.clone());
        Entry {
            connections: self.clone(),
            number,
            connected,
        }
    }

    /// All, oldest first.
    pub fn all(&self) -> Vec<Arc<Connected>> {
        self.all.lock().values().cloned().collect()
    }

    /// The newest stream of a proxy: by `pod.namespace`, the id of the connection or the node id.
    pub fn find(&self, proxy: &str) -> Option<Arc<Connected>> {
        let all = self.all.lock();
        let is_it = |c: &&Arc<Connected>| {
            let id = &c.client.proxy.id;
            c.id == proxy || id.pod_and_namespace() == proxy || id.to_string() == proxy
        };
        all.values().rev().find(is_it).cloned()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.lock().len()
    }
}

impl Connected {
    /// The protocol's state. To be held for moments only.
    pub fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock()
    }

    /// How far it is with each type.
    pub fn status(&self) -> Vec<TypeStatus> {
        self.server().status().collect()
    }

    /// The names of a type that it has asked for one by one, sorted.
    pub fn names(&self, kind: ResourceType) -> Vec<String> {
        let mut names: Vec<String> = self.server().names(kind).map(Into::into).collect();
        names.sort_unstable();
        names
    }
}

impl Deref for Entry {
    type Target = Connected;

    fn deref(&self) -> &Connected {
        &self.connected
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.all.lock().remove(&self.number);
    }
}
