//! When to push: after a quiet time, but not later than a maximum; a shrinking endpoint set sooner.
//!
//! Pure: is told what happened and when, and says until when to wait.
//!
//! A proxy that still sends to an endpoint that is gone fails requests, so the removal of some of a service's endpoints
//! waits for no quiet. The removal of all of them does: there is nowhere better to send to, and a set that comes back
//! within the quiet time (a slice replaced by another) should not be seen empty.

use crate::config::Debounce;
use std::time::Duration;
use tokio::time::Instant;

/// Shortest time between pushes of endpoints alone.
const ENDPOINT_SPACING: Duration = Duration::from_millis(10);
/// Shortest time between pushes of everything, so that removals in a storm of other changes cannot multiply them.
const FULL_SPACING: Duration = Duration::from_millis(100);

/// How soon a change should be pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// After the quiet time.
    Ordinary,
    /// At once: endpoints were taken away, and others are left.
    Removal,
}

/// Changes that wait to be pushed.
#[derive(Debug)]
pub struct Debouncer {
    settings: Debounce,
    waiting: Option<Waiting>,
    pushed_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    first: Instant,
    last: Instant,
    urgency: Urgency,
    full: bool,
}

impl Debouncer {
    /// Nothing waits.
    pub fn new(settings: Debounce) -> Self {
        Self {
            settings,
            waiting: None,
            pushed_at: None,
        }
    }

    /// A change came. `full` says that more than endpoints changed.
    pub fn changed(&mut self, urgency: Urgency, full: bool, now: Instant) {
        let before = self.waiting.unwrap_or(Waiting {
            first: now,
            last: now,
            urgency,
            full,
        });
        self.waiting = Some(Waiting {
            last: now,
            urgency: before.urgency.max(urgency),
            full: before.full | full,
            ..before
        });
    }

    /// When to push; `None` if nothing waits.
    pub fn due(&self) -> Option<Instant> {
        let waiting = self.waiting?;
        let quiet = (waiting.last + self.settings.after).min(waiting.first + self.settings.max);
        match waiting.urgency {
            Urgency::Ordinary => Some(quiet),
            Urgency::Removal => Some(self.spaced(waiting).min(quiet)),
        }
    }

    /// All that waits is being pushed; how long the oldest has waited.
    pub fn pushed(&mut self, now: Instant) -> Duration {
        self.pushed_at = Some(now);
        self.waiting
            .take()
            .map_or(Duration::ZERO, |waiting| now - waiting.first)
    }

    fn spaced(&self, waiting: Waiting) -> Instant {
        let spacing = if waiting.full {
            FULL_SPACING
        } else {
            ENDPOINT_SPACING
        };
        self.pushed_at
            .map_or(waiting.first, |at| (at + spacing).max(waiting.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn debouncer() -> (Debouncer, Instant) {
        (Debouncer::new(Debounce::default()), Instant::now())
    }

    #[test]
    fn waits_for_quiet() {
        let (mut debouncer, start) = debouncer();
        assert_eq!(debouncer.due(), None);
        debouncer.changed(Urgency::Ordinary, true, start);
        assert_eq!(debouncer.due(), Some(start + 100 * MS));
        debouncer.changed(Urgency::Ordinary, false, start + 60 * MS);
        assert_eq!(debouncer.due(), Some(start + 160 * MS));
        assert_eq!(debouncer.pushed(start + 160 * MS), 160 * MS);
        assert_eq!(debouncer.due(), None);
    }

    #[test]
    fn waits_no_longer_than_the_maximum() {
        let (mut debouncer, start) = debouncer();
        for tick in 0..200 {
            debouncer.changed(Urgency::Ordinary, true, start + tick * 90 * MS);
        }
        assert_eq!(debouncer.due(), Some(start + 10_000 * MS));
    }

    #[test]
    fn a_removal_waits_for_nothing() {
        let (mut debouncer, start) = debouncer();
        debouncer.changed(Urgency::Ordinary, false, start);
        debouncer.changed(Urgency::Removal, false, start + 30 * MS);
        assert!(debouncer.due() <= Some(start + 30 * MS));
    }

    #[test]
    fn removals_do_not_multiply_pushes() {
        let (mut debouncer, start) = debouncer();
        debouncer.changed(Urgency::Removal, false, start);
        debouncer.pushed(start);
        debouncer.changed(Urgency::Removal, false, start + MS);
        assert_eq!(debouncer.due(), Some(start + 10 * MS));
        debouncer.changed(Urgency::Ordinary, true, start + 2 * MS);
        assert_eq!(debouncer.due(), Some(start + 100 * MS));
    }
}
