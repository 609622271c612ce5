//! The certificate in force, for connections to the control plane: it is shown there while tokens can't be checked.

use super::Clock;
use arc_swap::ArcSwapOption;
use rustls::sign::CertifiedKey;
use std::{sync::Arc, time::SystemTime};

/// The certificate in force. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Own(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    clock: Clock,
    current: ArcSwapOption<(Arc<CertifiedKey>, SystemTime)>,
}

impl Own {
    pub(super) fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            clock,
            current: ArcSwapOption::empty(),
        }))
    }

    pub(crate) fn set(&self, key: Arc<CertifiedKey>, not_after: SystemTime) {
        self.0.current.store(Some(Arc::new((key, not_after))));
    }

    /// It, unless it is over: then it would cost the connection.
    pub fn valid(&self) -> Option<Arc<CertifiedKey>> {
        let current = self.0.current.load();
        let (key, not_after) = current.as_deref()?;
        (self.0.clock.now() < *not_after).then(|| Arc::clone(key))
    }
}
