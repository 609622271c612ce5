//! Numbers under a set of labels: Istio's metrics.
//!
//! A set of labels is kept as the text that a scrape prints, `reporter="source",…`. Each worker has numbers of its own
//! for each set; how many sets there may be is a matter of the process.

use super::histogram::{Distribution, Histogram};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Adds to a number that only the calling worker writes.
pub(super) fn grow(cell: &AtomicU64, by: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(by), Relaxed);
}

/// What is counted of requests.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) total: AtomicU64,
    pub(super) request_messages: AtomicU64,
    pub(super) response_messages: AtomicU64,
    pub(super) duration_milliseconds: Histogram,
    pub(super) request_bytes: Histogram,
    pub(super) response_bytes: Histogram,
}

/// What is counted of TCP connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    pub(super) opened: AtomicU64,
    pub(super) closed: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    pub(super) received_bytes: AtomicU64,
}

/// The sum of one kind of numbers over all workers.
pub(super) trait Sum: Default {
    /// One worker's part.
    type Part;
    /// Adds a part.
    fn absorb(&mut self, part: &Self::Part);
}

/// The sum of [`Requests`].
#[derive(Clone, Debug, Default)]
pub(super) struct RequestsSum {
    pub(super) total: u64,
    pub(super) request_messages: u64,
    pub(super) response_messages: u64,
    pub(super) duration_milliseconds: Distribution,
    pub(super) request_bytes: Distribution,
    pub(super) response_bytes: Distribution,
}

impl Sum for RequestsSum {
    type Part = Requests;

    fn absorb(&mut self, part: &Requests) {
        self.total += part.total.load(Relaxed);
        self.request_messages += part.request_messages.load(Relaxed);
        self.response_messages += part.response_messages.load(Relaxed);
        self.duration_milliseconds
            .absorb(&part.duration_milliseconds);
        self.request_bytes.absorb(&part.request_bytes);
        self.response_bytes.absorb(&part.response_bytes);
    }
}

/// The sum of [`Connections`].
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionsSum {
    pub(super) opened: u64,
    pub(super) closed: u64,
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
}

impl Sum for ConnectionsSum {
    type Part = Connections;

    fn absorb(&mut self, part: &Connections) {
        self.opened += part.opened.load(Relaxed);
        self.closed += part.closed.load(Relaxed);
        self.sent_bytes += part.sent_bytes.load(Relaxed);
        self.received_bytes += part.received_bytes.load(Relaxed);
    }
}

/// One worker's numbers under one set of labels.
#[derive(Debug, Default)]
pub(super) struct Series<T> {
    labels: Arc<str>,
    pub(super) numbers: T,
}

/// The series of one worker, for those who read.
type Shared<T> = Arc<Mutex<Vec<Arc<Series<T>>>>>;

/// All sets of labels of one kind of numbers.
pub(super) struct Registry<T> {
    most: usize,
    known: Mutex<HashSet<Arc<str>, foldhash::fast::RandomState>>,
    workers: Mutex<Vec<Shared<T>>>,
}

/// A worker's way to its numbers.
pub(super) struct Worker<T> {
    by_labels: HashMap<Arc<str>, Arc<Series<T>>, foldhash::fast::RandomState>,
    shared: Shared<T>,
}

impl<T: Default> Registry<T> {
    /// A registry of at most `most` sets of labels, and those of the overflow.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            known: Mutex::default(),
            workers: Mutex::default(),
        }
    }

    /// A new worker's way.
    pub(super) fn worker(&self) -> Worker<T> {
        let shared = Arc::default();
        self.workers.lock().push(Arc::clone(&shared));
        Worker {
            by_labels: HashMap::default(),
            shared,
        }
    }

    /// The one copy of `labels`, or `None` if there are too many already.
    fn intern(&self, labels: &str) -> Option<Arc<str>> {
        let mut known = self.known.lock();
        if let Some(labels) = known.get(labels) {
            return Some(Arc::clone(labels));
        }
        if known.len() >= self.most {
            return None;
        }
        let labels = Arc::<str>::from(labels);
        known.insert(Arc::clone(&labels));
        Some(labels)
    }

    /// The sums over all workers, by labels.
    pub(super) fn sums<S: Sum<Part = T>>(&self) -> Vec<(Arc<str>, S)> {
        let workers = self.workers.lock().clone();
        let mut sums = BTreeMap::<Arc<str>, S>::new();
        for worker in workers {
            let all = worker.lock().clone();
            for series in all {
                sums.entry(Arc::clone(&series.labels))
                    .or_default()
                    .absorb(&series.numbers);
            }
        }
        sums.into_iter().collect()
    }
}

impl<T: Default> Worker<T> {
    /// The numbers under `labels`, or, if there are too many sets of labels in the process, those under `overflow`.
    pub(super) fn series(
        &mut self,
        registry: &Registry<T>,
        labels: &str,
        overflow: impl FnOnce() -> String,
    ) -> Arc<Series<T>> {
        if let Some(series) = self.by_labels.get(labels) {
            return Arc::clone(series);
        }
        match registry.intern(labels) {
            Some(labels) => self.add(labels),
            None => {
                let labels = overflow();
                match self.by_labels.get(labels.as_str()) {
                    Some(series) => Arc::clone(series),
                    None => self.add(labels.into()),
                }
            }
        }
    }

    fn add(&mut self, labels: Arc<str>) -> Arc<Series<T>> {
        let series = Arc::new(Series {
            labels: Arc::clone(&labels),
            numbers: T::default(),
        });
        self.by_labels.insert(labels, Arc::clone(&series));
        self.shared.lock().push(Arc::clone(&series));
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_label_sets_has_a_bound_for_all_workers_together() {
        let registry = Registry::<Connections>::new(2);
        let (mut a, mut b) = (registry.worker(), registry.worker());
        let overflow = || "overflow".to_owned();
        grow(&a.series(&registry, "x", overflow).numbers.opened, 1);
        grow(&b.series(&registry, "x", overflow).numbers.opened, 2);
        grow(&b.series(&registry, "y", overflow).numbers.opened, 4);
        for i in 0..100 {
            let name = i.to_string();
            grow(&a.series(&registry, &name, overflow).numbers.opened, 1);
        }
        let sums: Vec<_> = registry.sums::<ConnectionsSum>();
        let opened: Vec<_> = sums.iter().map(|(l, s)| (&**l, s.opened)).collect();
        assert_eq!(opened, [("overflow", 100), ("x", 3), ("y", 4)]);
        assert_eq!(a.by_labels.len(), 2);
    }
}
