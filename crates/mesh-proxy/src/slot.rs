//! Interned names for what may arrive in any order.
//!
//! A route names a cluster, and a listener names a route table, that may not have arrived yet, or that may be replaced or
//! removed later. Both hold a [`Slot`]: found by name once, when the configuration is compiled, and by pointer or index
//! on the path. An empty slot is a cluster that is not known (503, flag `NC`) or a route table that has not come.

use crate::publish::{Local, Published, Reader};
use parking_lot::Mutex;
use std::{cell::RefCell, collections::HashMap, hash::Hash, rc::Rc, sync::Arc};

/// The place of a named value, empty or filled.
#[derive(Debug)]
pub struct Slot<N, T> {
    name: N,
    index: usize,
    value: Published<Option<Arc<T>>>,
}

impl<N, T> Slot<N, T> {
    /// The name that it stands for.
    pub fn name(&self) -> &N {
        &self.name
    }

    /// A small number, unique among the slots of its [`Slots`] and never used again.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Fills, replaces (`Some`) or empties (`None`) it.
    pub fn set(&self, value: Option<Arc<T>>) {
        self.value.publish(Arc::new(value));
    }

    /// Which of its values it holds: equal versions of one slot are the same value.
    pub fn version(&self) -> SlotVersion {
        SlotVersion(self.value.generation())
    }

    /// Whether it holds a value. Takes a lock, as [`Slot::load`].
    pub fn is_filled(&self) -> bool {
        self.value.load().is_some()
    }

    /// What is in it. Takes a lock: for the control side; workers use [`SlotCache`].
    pub fn load(&self) -> Option<Arc<T>> {
        (*self.value.load()).clone()
    }
}

/// Number of a value in a slot; the default stands for no slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotVersion(u64);

/// All slots of one kind.
#[derive(Debug)]
pub struct Slots<N, T> {
    by_name: Mutex<ByName<N, T>>,
}

type ByName<N, T> = HashMap<N, Arc<Slot<N, T>>, foldhash::fast::RandomState>;

impl<N, T> Default for Slots<N, T> {
    fn default() -> Self {
        Self {
            by_name: Mutex::new(HashMap::default()),
        }
    }
}

impl<N: Clone + Eq + Hash, T> Slots<N, T> {
    /// The slot of `name`, made empty if it is not there yet.
    pub fn slot(&self, name: &N) -> Arc<Slot<N, T>> {
        let mut slots = self.by_name.lock();
        if let Some(slot) = slots.get(name) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot {
            name: name.clone(),
            index: slots.len(),
            value: Published::new(None),
        });
        slots.insert(name.clone(), Arc::clone(&slot));
        slot
    }

    /// All slots that hold a value, in no order.
    pub fn filled(&self) -> Vec<Arc<T>> {
        self.by_name
            .lock()
            .values()
            .filter_map(|slot| slot.load())
            .collect()
    }
}

/// A worker's views of the slots of one kind.
#[derive(Debug)]
pub struct SlotCache<T> {
    // By index of the slot.
    readers: RefCell<Vec<Option<Rc<SlotReader<T>>>>>,
}

type SlotReader<T> = Reader<Option<Arc<T>>>;

impl<T> Default for SlotCache<T> {
    fn default() -> Self {
        Self {
            readers: RefCell::new(Vec::new()),
        }
    }
}

impl<T> SlotCache<T> {
    /// What is in `slot` now. The caller must use one cache for one [`Slots`] only.
    pub fn get<N>(&self, slot: &Slot<N, T>) -> Local<Option<Arc<T>>> {
        let reader = {
            let mut readers = self.readers.borrow_mut();
            if readers.len() <= slot.index {
                readers.resize_with(slot.index + 1, || None);
            }
            Rc::clone(readers[slot.index].get_or_insert_default())
        };
        reader.get(&slot.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_found_before_it_is_filled_and_survives_its_value() {
        let slots = Slots::<String, u32>::default();
        let cache = SlotCache::default();
        let slot = slots.slot(&"a".into());
        assert!(cache.get(&slot).is_none());
        slots.slot(&"a".into()).set(Some(Arc::new(7)));
        assert_eq!(cache.get(&slot).as_deref(), Some(&7));
        assert_eq!(slots.filled().len(), 1);
        slot.set(None);
        assert!(cache.get(&slot).is_none() && slots.filled().is_empty());
    }
}
