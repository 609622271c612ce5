//! Waits for the folder to change.

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

/// What wakes the folder's thread.
#[derive(Debug)]
pub(super) enum Event {
    /// The kernel reports a change, or that it lost some.
    Changed(notify::Result<notify::Event>),
    /// The folder is dropped.
    Stop,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// There may be something to see.
    Look,
    /// The folder is dropped.
    Stop,
}

impl Woken {
    pub(super) fn is_stop(self) -> bool {
        self == Self::Stop
    }
}

/// Several files often change at once; the wait ends when nothing more has come for so long.
const QUIET: Duration = Duration::from_millis(20);
/// But not later than so long after the first, however much comes.
const LONGEST_BURST: Duration = Duration::from_millis(500);
/// A file that was written to and not closed is given so long.
const LONGEST_WRITE: Duration = Duration::from_secs(2);
/// Everything is looked at so often, in case the kernel does not report changes (network file systems).
const RESCAN: Duration = Duration::from_secs(10);
/// As [`RESCAN`], where we know that it does not.
const POLL: Duration = Duration::from_secs(1);
/// As [`RESCAN`], while something has to be looked at again.
const UNSETTLED: Duration = Duration::from_millis(250);

/// Waits for the folder to change.
pub(super) struct Waiting {
    events: Receiver<Event>,
    /// Reports as long as it lives; `None` if the kernel would not.
    watcher: Option<RecommendedWatcher>,
    /// Files that were written to and not closed, with the time of the last write.
    writing: HashMap<PathBuf, Instant>,
}

impl Waiting {
    pub(super) fn new(root: PathBuf, send: Sender<Event>, events: Receiver<Event>) -> Self {
        let report = move |event| {
            if is_change(&event) {
                // Nobody receives this once the folder is dropped.
                let _ = send.send(Event::Changed(event));
            }
        };
        let watcher = notify::recommended_watcher(report)
            .and_then(|mut watcher| watcher.watch(&root, RecursiveMode::Recursive).map(|()| watcher))
            .inspect_err(|error| {
                tracing::warn!(
                    folder = %root.display(),
                    "the kernel does not report changes, looking every {POLL:?} instead: {error}\nhint: raise \
                     fs.inotify.max_user_instances or fs.inotify.max_user_watches"
                );
            });
        Self {
            events,
            watcher: watcher.ok(),
            writing: HashMap::new(),
        }
    }

    /// Files that are in the middle of being written.
    pub(super) fn being_written(&mut self) -> HashSet<PathBuf> {
        self.writing
            .retain(|_, since| since.elapsed() < LONGEST_WRITE);
        self.writing.keys().cloned().collect()
    }

    /// Waits until there may be something to see; not for long if `unsettled`.
    pub(super) fn wait(&mut self, unsettled: bool) -> Woken {
        let patience = match &self.watcher {
            _ if unsettled => UNSETTLED,
            Some(_) => RESCAN,
            None => POLL,
        };
        match self.events.recv_timeout(patience) {
            Ok(event) => self.burst(event),
            Err(RecvTimeoutError::Timeout) => Woken::Look,
            Err(RecvTimeoutError::Disconnected) => Woken::Stop,
        }
    }

    fn burst(&mut self, first: Event) -> Woken {
        let began = Instant::now();
        let mut next = Ok(first);
        while let Ok(event) = next {
            match event {
                Event::Stop => return Woken::Stop,
                Event::Changed(event) => self.note(event),
            }
            if began.elapsed() > LONGEST_BURST {
                break;
            }
            next = self.events.recv_timeout(QUIET);
        }
        Woken::Look
    }

    fn note(&mut self, event: notify::Result<notify::Event>) {
        let Ok(event) = event else {
            return; // whatever it was, the folder is looked at now
        };
        let paths = event.paths.iter();
        match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => {
                self.writing
                    .extend(paths.map(|path| (path.clone(), Instant::now())));
            }
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Remove(_) => paths.for_each(|path| {
                self.writing.remove(path);
            }),
            _ => {}
        }
    }
}

/// Looking at the folder is reported too, and must not be a reason to look again.
fn is_change(event: &notify::Result<notify::Event>) -> bool {
    match event.as_ref().map(|event| event.kind) {
        Ok(EventKind::Access(access)) => access == AccessKind::Close(AccessMode::Write),
        Ok(_) | Err(_) => true,
    }
}
