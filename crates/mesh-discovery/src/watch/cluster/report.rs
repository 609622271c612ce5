//! What a watch reports: kube's events, with each object read.

use super::super::{ObjectRef, reading::Reading};
use kube::runtime::watcher::{self, Event};

/// What a watch reports.
#[derive(Debug)]
pub(super) enum Report {
    /// A list begins: what it does not hold at its end is gone.
    Begin,
    /// An object is there, as read.
    Seen(ObjectRef, Box<Reading>),
    /// An object is gone.
    Gone(ObjectRef),
    /// The list is complete.
    Complete,
    /// The watch has failed, and tries again.
    Failed(watcher::Error),
}

impl Report {
    /// Of an event; `read` reads an object.
    pub(super) fn of<K: kube::ResourceExt>(
        event: Result<Event<K>, watcher::Error>,
        read: impl FnOnce(K) -> Reading,
    ) -> Self {
        match event {
            Ok(Event::Init) => Self::Begin,
            Ok(Event::InitDone) => Self::Complete,
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                Self::Seen(name(&object), Box::new(read(object)))
            }
            Ok(Event::Delete(object)) => Self::Gone(name(&object)),
            Err(error) => Self::Failed(error),
        }
    }

    /// Whether the server says that there is no such thing.
    pub(super) fn is_not_found(&self) -> bool {
        use kube::Error::Api;
        let Self::Failed(error) = self else {
            return false;
        };
        let code = match error {
            watcher::Error::InitialListFailed(Api(status))
            | watcher::Error::WatchStartFailed(Api(status))
            | watcher::Error::WatchFailed(Api(status)) => status.code,
            watcher::Error::WatchError(status) => status.code,
            _ => return false,
        };
        code == 404
    }
}

fn name(object: &impl kube::ResourceExt) -> ObjectRef {
    ObjectRef::new(object.namespace().unwrap_or_default(), object.name_any())
}
