//! Envoy's counters and gauges: named once, then found by index.
//!
//! Each worker has a block of numbers that it alone writes, so that counting is a load and a store and no two workers
//! share a line of memory for it. A reader adds the blocks up.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// What a number belongs to; the first part of its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The process, such as `server` or `listener_manager`.
    Process(&'static str),
    /// `cluster.<name>`.
    Cluster(Arc<str>),
    /// `http.<prefix of the connection manager>`.
    Http(Arc<str>),
    /// `listener.<address>`, such as `0.0.0.0_15006`.
    Listener(Arc<str>),
    /// `tcp.<prefix of the proxy>`.
    Tcp(Arc<str>),
}

impl Scope {
    /// The label that Envoy's Prometheus form takes out of the name, and its value.
    pub fn label(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Process(_) => None,
            Self::Cluster(name) => Some(("cluster_name", name)),
            Self::Http(prefix) => Some(("http_conn_manager_prefix", prefix)),
            Self::Listener(address) => Some(("listener_address", address)),
            Self::Tcp(prefix) => Some(("tcp_prefix", prefix)),
        }
    }

    /// The first word of the name.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Process(word) => word,
            Self::Cluster(_) => "cluster",
            Self::Http(_) => "http",
            Self::Listener(_) => "listener",
            Self::Tcp(_) => "tcp",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self.label() {
            Some((_, value)) => write!(f, ".{value}"),
            None => Ok(()),
        }
    }
}

/// A number with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it belongs to.
    pub scope: Scope,
    /// Its name within the scope, such as `upstream_cx_total`.
    pub name: &'static str,
    /// It may fall.
    pub is_gauge: bool,
    /// Its value.
    pub value: u64,
}

impl Stat {
    /// A counter.
    pub fn counter(scope: Scope, name: &'static str, value: u64) -> Self {
        Self {
            scope,
            name,
            is_gauge: false,
            value,
        }
    }

    /// A gauge.
    pub fn gauge(scope: Scope, name: &'static str, value: u64) -> Self {
        Self {
            is_gauge: true,
            ..Self::counter(scope, name, value)
        }
    }

    /// Envoy's name for it, such as `cluster.xds-grpc.upstream_cx_total`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.scope, self.name)
    }
}

/// A number that only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(u32);

/// A number that also falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge(u32);

/// Numbers in one piece of a block.
const PIECE: usize = 1024;
/// Pieces of a block. Numbers beyond share the last one.
const PIECES: usize = 256;

/// The numbers of one worker. Only it writes, except in the block of the registry itself.
pub(super) struct Block {
    pieces: [OnceLock<Box<[AtomicU64]>>; PIECES],
}

impl Block {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            pieces: [const { OnceLock::new() }; PIECES],
        })
    }

    fn cell(&self, index: u32) -> &AtomicU64 {
        let index = index as usize;
        let piece = self.pieces[index / PIECE].get_or_init(|| {
            std::iter::repeat_with(AtomicU64::default)
                .take(PIECE)
                .collect()
        });
        &piece[index % PIECE]
    }

    fn value(&self, index: u32) -> u64 {
        let index = index as usize;
        let piece = self.pieces[index / PIECE].get();
        piece.map_or(0, |piece| piece[index % PIECE].load(Relaxed))
    }

    // A load and a store, not one atomic step: nobody else writes here.
    fn change(&self, index: u32, by: u64) {
        let cell = self.cell(index);
        cell.store(cell.load(Relaxed).wrapping_add(by), Relaxed);
    }

    /// Adds to a counter.
    pub(super) fn add(&self, counter: Counter, n: u64) {
        self.change(counter.0, n);
    }

    /// Raises a gauge. One block's part of a gauge may fall below zero: the sum counts.
    pub(super) fn raise(&self, gauge: Gauge, n: u64) {
        self.change(gauge.0, n);
    }

    /// Lowers a gauge.
    pub(super) fn lower(&self, gauge: Gauge, n: u64) {
        self.change(gauge.0, n.wrapping_neg());
    }
}

/// The names of all numbers, and the blocks that hold them.
pub(super) struct Registry {
    names: Mutex<Names>,
    blocks: Mutex<Vec<Arc<Block>>>,
    // For what is counted outside of any worker; several threads write.
    own: Arc<Block>,
}

#[derive(Default)]
struct Names {
    by_name: HashMap<(Scope, &'static str), u32, foldhash::fast::RandomState>,
    all: Vec<(Scope, &'static str, bool)>,
}

impl Default for Registry {
    fn default() -> Self {
        let own = Block::new();
        Self {
            names: Mutex::default(),
            blocks: Mutex::new(vec![Arc::clone(&own)]),
            own,
        }
    }
}

impl Registry {
    pub(super) fn counter(&self, scope: Scope, name: &'static str) -> Counter {
        Counter(self.index(scope, name, false))
    }

    pub(super) fn gauge(&self, scope: Scope, name: &'static str) -> Gauge {
        Gauge(self.index(scope, name, true))
    }

    fn index(&self, scope: Scope, name: &'static str, is_gauge: bool) -> u32 {
        let mut names = self.names.lock();
        if let Some(index) = names.by_name.get(&(scope.clone(), name)) {
            return *index;
        }
        let index = names.all.len().min(PIECE * PIECES - 1) as u32;
        if index as usize == names.all.len() {
            names.all.push((scope.clone(), name, is_gauge));
            names.by_name.insert((scope, name), index);
        }
        index
    }

    /// A new worker's block.
    pub(super) fn block(&self) -> Arc<Block> {
        let block = Block::new();
        self.blocks.lock().push(Arc::clone(&block));
        block
    }

    pub(super) fn add(&self, counter: Counter, n: u64) {
        self.own.cell(counter.0).fetch_add(n, Relaxed);
    }

    pub(super) fn set(&self, gauge: Gauge, value: u64) {
        self.own.cell(gauge.0).store(value, Relaxed);
    }

    /// All numbers, in the order in which they were named.
    pub(super) fn stats(&self) -> Vec<Stat> {
        let names = self.names.lock().all.clone();
        let blocks = self.blocks.lock().clone();
        let sum = |index| {
            let values = blocks.iter().map(|block| block.value(index));
            values.fold(0, u64::wrapping_add)
        };
        let stats = names.into_iter().enumerate();
        stats
            .map(|(index, (scope, name, is_gauge))| Stat {
                scope,
                name,
                is_gauge,
                value: sum(index as u32),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_all_workers_add_up() {
        let registry = Registry::default();
        let scope = || Scope::Cluster("a".into());
        let total = registry.counter(scope(), "upstream_cx_total");
        let active = registry.gauge(scope(), "upstream_cx_active");
        assert_eq!(total, registry.counter(scope(), "upstream_cx_total"));
        let (a, b) = (registry.block(), registry.block());
        a.add(total, 2);
        b.add(total, 3);
        registry.add(total, 5);
        // Opened by one worker, closed by another: each part is odd, the sum is right.
        a.raise(active, 2);
        b.lower(active, 1);
        let stats = registry.stats();
        let values: Vec<_> = stats.iter().map(|s| (s.full_name(), s.value)).collect();
        assert_eq!(
            values,
            [
                ("cluster.a.upstream_cx_total".to_owned(), 10),
                ("cluster.a.upstream_cx_active".to_owned(), 1)
            ]
        );
    }
}
