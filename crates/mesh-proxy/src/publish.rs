//! Values that the control side replaces and workers read without a lock.
//!
//! A writer publishes an [`Arc`]; a worker keeps its own copy of the pointer and looks at the generation, one atomic
//! load, to know whether it is still the newest. So the path neither locks nor moves a shared reference count.

use parking_lot::Mutex;
use std::{
    cell::{Cell, RefCell},
    ops::Deref,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A value with one writer and many readers.
#[derive(Debug)]
pub struct Published<T> {
    generation: AtomicU64,
    value: Mutex<Arc<T>>,
}

impl<T: Default> Default for Published<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Published<T> {
    /// Publishes `value` as the first.
    pub fn new(value: T) -> Self {
        Self {
            generation: AtomicU64::new(1),
            value: Mutex::new(Arc::new(value)),
        }
    }

    /// Replaces the value. Readers see it at their next look.
    pub fn publish(&self, value: Arc<T>) {
        let mut current = self.value.lock();
        *current = value;
        // Raised under the lock, so that a reader never pairs the new number with the old value.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Number of the newest value; never 0.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The newest value. Takes a lock: for the control side, or for a [`Reader`] that saw a new generation.
    pub fn load(&self) -> Arc<T> {
        self.numbered().1
    }

    fn numbered(&self) -> (u64, Arc<T>) {
        let current = self.value.lock();
        (
            self.generation.load(Ordering::Acquire),
            Arc::clone(&current),
        )
    }
}

/// A worker's own pointer to a published value. Cloning it counts on the worker alone, not on a number that all share.
#[derive(Debug)]
#[expect(
    clippy::redundant_allocation,
    reason = "the outer count is the worker's own"
)]
pub struct Local<T>(Rc<Arc<T>>);

impl<T> Clone for Local<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Deref for Local<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Local<T> {
    /// Whether both point to the same published value.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A worker's view of one published value.
#[derive(Debug)]
pub struct Reader<T> {
    seen: Cell<u64>,
    value: RefCell<Option<Local<T>>>,
}

impl<T> Default for Reader<T> {
    fn default() -> Self {
        Self {
            seen: Cell::new(0),
            value: RefCell::new(None),
        }
    }
}

impl<T> Reader<T> {
    /// The newest value of `source`, which must be the same at every call.
    pub fn get(&self, source: &Published<T>) -> Local<T> {
        if self.seen.get() == source.generation()
            && let Some(value) = &*self.value.borrow()
        {
            return value.clone();
        }
        let (generation, value) = source.numbered();
        let local = Local(Rc::new(value));
        self.seen.set(generation);
        self.value.replace(Some(local.clone()));
        local
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_the_newest_value_and_keeps_the_old_one_alive() {
        let source = Published::new(1);
        let reader = Reader::default();
        let old = reader.get(&source);
        assert!(
            old.same(&reader.get(&source)),
            "no reload without a new generation"
        );
        source.publish(Arc::new(2));
        assert_eq!((*old, *reader.get(&source)), (1, 2));
    }
}
