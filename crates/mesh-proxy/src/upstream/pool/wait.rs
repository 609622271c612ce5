//! Requests that wait for a connection, first come first served.

use super::{super::failure::Failure, Lease};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};
use tokio::sync::oneshot;

/// What a waiter gets.
#[derive(Debug)]
pub(super) enum Delivery {
    /// A connection.
    Ready(Box<Lease>),
    /// No connection could be made.
    Failed(Failure),
    /// Things have changed: look again.
    Again,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    queue: RefCell<VecDeque<(u64, oneshot::Sender<Delivery>)>>,
    next: Cell<u64>,
}

impl Waiters {
    /// A new place at the end, with its number.
    pub(super) fn enqueue(&self) -> (u64, oneshot::Receiver<Delivery>) {
        let id = self.next.get();
        self.next.set(id + 1);
        let (sender, receiver) = oneshot::channel();
        self.queue.borrow_mut().push_back((id, sender));
        (id, receiver)
    }

    /// The first that still waits.
    pub(super) fn next(&self) -> Option<oneshot::Sender<Delivery>> {
        let mut queue = self.queue.borrow_mut();
        loop {
            let (_, sender) = queue.pop_front()?;
            if !sender.is_closed() {
                return Some(sender);
            }
        }
    }

    /// The one of that number, if it still waits.
    pub(super) fn take(&self, id: u64) -> Option<oneshot::Sender<Delivery>> {
        let mut queue = self.queue.borrow_mut();
        let at = queue.iter().position(|(number, _)| *number == id)?;
        queue.remove(at).map(|(_, sender)| sender)
    }

    /// How many wait.
    pub(super) fn count(&self) -> usize {
        let queue = self.queue.borrow();
        queue.iter().filter(|(_, s)| !s.is_closed()).count()
    }
}
