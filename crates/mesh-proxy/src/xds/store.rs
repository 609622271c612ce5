//! What was received, as it came: bytes, version, time. For `/config_dump`, which shows what the control plane sent and
//! not what became of it here; and how the connection to it fares.

use bytes::Bytes;
use mesh_xds::ads::{ResourceType, TypeStats};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};
use tokio::sync::watch;

/// A resource as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its version.
    pub version: String,
    /// Its message.
    pub bytes: Bytes,
    /// When it came.
    pub at: SystemTime,
    /// What of it has no effect here, each with its place and why.
    pub ignored: Vec<String>,
}

/// A resource that was refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What was refused.
    pub received: Received,
    /// Why.
    pub reason: String,
}

/// All that is known of one name.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The last that was accepted.
    pub latest: Option<Received>,
    /// The one before, while it serves because the last waits for something.
    pub previous: Option<Received>,
    /// The last that was refused, if nothing was accepted since.
    pub refused: Option<Refusal>,
}

/// The connection to the control plane.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// There is a stream, and something came over it.
    pub is_connected: bool,
    /// Streams so far over which something came.
    pub streams: u64,
    /// Streams that failed.
    pub failures: u64,
    /// Why the last stream ended, while there is no other.
    pub error: Option<String>,
    /// How the control plane calls itself.
    pub control_plane: Option<String>,
}

/// What was received.
#[derive(Debug, Default)]
pub struct Store {
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Inner {
    kinds: BTreeMap<ResourceType, Kind>,
    connection: Connection,
}

#[derive(Debug, Default)]
struct Kind {
    version: String,
    stats: TypeStats,
    entries: BTreeMap<String, Entry>,
}

impl Store {
    /// Everything of a type, by name.
    pub fn entries(&self, kind: ResourceType) -> Vec<(String, Entry)> {
        let inner = self.inner.lock();
        let entries = inner.kinds.get(&kind).map(|kind| &kind.entries);
        let entries = entries.into_iter().flatten();
        entries.map(|(n, e)| (n.clone(), e.clone())).collect()
    }

    /// Version of the last response of a type that was accepted as a whole.
    pub fn version(&self, kind: ResourceType) -> String {
        let inner = self.inner.lock();
        let kind = inner.kinds.get(&kind);
        kind.map(|kind| kind.version.clone()).unwrap_or_default()
    }

    /// How the responses of a type fared.
    pub fn stats(&self, kind: ResourceType) -> TypeStats {
        let inner = self.inner.lock();
        let kind = inner.kinds.get(&kind);
        kind.map(|kind| kind.stats).unwrap_or_default()
    }

    /// How the connection fares.
    pub fn connection(&self) -> Connection {
        self.inner.lock().connection.clone()
    }

    /// Tells when a response was worked through, or the connection was lost.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A resource is accepted. `waits`: it is not in force yet, and the one before serves.
    pub(crate) fn accept(&self, kind: ResourceType, name: &str, received: Received, waits: bool) {
        self.edit(kind, name, |entry| {
            let before = entry.latest.replace(received);
            entry.previous = match waits {
                true => entry.previous.take().or(before),
                false => None,
            };
            entry.refused = None;
        });
    }

    /// A resource is refused.
    pub(crate) fn refuse(&self, kind: ResourceType, name: &str, refusal: Refusal) {
        self.edit(kind, name, |entry| entry.refused = Some(refusal));
    }

    /// A resource is in force; what served before goes.
    pub(super) fn settled(&self, kind: ResourceType, still_waiting: &BTreeSet<String>) {
        let mut inner = self.inner.lock();
        for (name, entry) in inner.kinds.entry(kind).or_default().entries.iter_mut() {
            if entry.previous.is_some() && !still_waiting.contains(name) {
                entry.previous = None;
            }
        }
    }

    /// A resource is gone.
    pub(super) fn remove(&self, kind: ResourceType, name: &str) {
        let mut inner = self.inner.lock();
        inner.kinds.entry(kind).or_default().entries.remove(name);
    }

    /// A response is worked through.
    pub(crate) fn answered(&self, kind: ResourceType, version: &str, stats: TypeStats) {
        let mut inner = self.inner.lock();
        let kind = inner.kinds.entry(kind).or_default();
        version.clone_into(&mut kind.version);
        kind.stats = stats;
        drop(inner);
        self.changed.send_replace(());
    }

    /// Something came over the stream.
    pub(super) fn connected(&self, control_plane: Option<&str>) {
        let connection = &mut self.inner.lock().connection;
        if !connection.is_connected {
            connection.is_connected = true;
            connection.streams += 1;
            connection.error = None;
        }
        if let Some(identifier) = control_plane
            && connection.control_plane.as_deref() != Some(identifier)
        {
            connection.control_plane = Some(identifier.to_owned());
        }
    }

    /// The stream is gone.
    pub(super) fn disconnected(&self, error: String) {
        let connection = &mut self.inner.lock().connection;
        connection.is_connected = false;
        connection.failures += 1;
        connection.error = Some(error);
        self.changed.send_replace(());
    }

    fn edit(&self, kind: ResourceType, name: &str, edit: impl FnOnce(&mut Entry)) {
        let mut inner = self.inner.lock();
        let kind = inner.kinds.entry(kind).or_default();
        edit(kind.entries.entry(name.to_owned()).or_default());
    }
}
