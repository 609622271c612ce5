//! How long a watch waits after a failure.
//!
//! Twice as long each time, up to a limit that grows with the number of watches, so that a server which is down is asked
//! less than once a second by all of them together. As soon as one is answered again, all others ask, too: what happened
//! meanwhile is known a few seconds after the server is back.

use futures_util::{Stream, StreamExt, stream};
use kube::runtime::watcher::{self, Event};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// First pause of a few watches.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause of a few watches.
const LONGEST: Duration = Duration::from_secs(10);
/// What the longest pause has to be for each watch, so that there is one request in two seconds.
const EACH: Duration = Duration::from_secs(2);
/// How many watches are a few.
const FEW: u32 = 10;
/// In what time all others ask when one was answered.
const SPREAD: Duration = Duration::from_millis(500);

/// The watches of one API server.
#[derive(Clone, Debug)]
pub struct Watchers {
    /// One receiver for each of them; a value is sent when one is answered that had failed.
    answers: Arc<watch::Sender<()>>,
}

impl Default for Watchers {
    fn default() -> Self {
        Self {
            answers: Arc::new(watch::Sender::new(())),
        }
    }
}

/// How long one of them waits after a failure.
#[derive(Debug)]
pub(crate) struct Patience {
    watchers: Watchers,
    answers: watch::Receiver<()>,
    last: Option<(Instant, Duration)>,
}

/// How a watch stands with its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The last thing heard was no error.
    Answered,
    /// It was an error.
    Failed,
    /// It was, and the server is asked again.
    Asking,
}

impl Watchers {
    /// One more watch, and its patience.
    pub(crate) fn join(&self) -> Patience {
        Patience {
            watchers: self.clone(),
            answers: self.answers.subscribe(),
            last: None,
        }
    }

    /// One more watch: after an error it goes on when its time has come.
    pub(crate) fn patiently<K, S>(
        &self,
        events: S,
    ) -> impl Stream<Item = watcher::Result<Event<K>>> + use<K, S>
    where
        S: Stream<Item = watcher::Result<Event<K>>>,
    {
        let start = (Box::pin(events), self.join(), State::Answered);
        stream::unfold(start, |(mut events, mut patience, mut state)| async move {
            if state == State::Failed {
                patience.wait().await;
                state = State::Asking;
            }
            let event = events.next().await?;
            state = match &event {
                Err(_) => State::Failed,
                // Said before the server is asked.
                Ok(Event::Init) => state,
                Ok(_) => {
                    if state == State::Asking {
                        patience.watchers.answers.send_replace(());
                    }
                    State::Answered
                }
            };
            Some((event, (events, patience, state)))
        })
    }

    fn count(&self) -> u32 {
        u32::try_from(self.answers.receiver_count()).unwrap_or(u32::MAX)
    }

    fn first(&self) -> Duration {
        FIRST * self.count().max(FEW) / FEW
    }

    fn longest(&self) -> Duration {
        LONGEST.max(EACH * self.count())
    }
}

impl Patience {
    /// Waits until its time has come, or another watch was answered.
    async fn wait(&mut self) {
        self.answers.mark_unchanged();
        let pause = self.next().unwrap_or(LONGEST);
        tokio::select! {
            () = sleep(pause) => {}
            // The sender is ours, too.
            _ = self.answers.changed() => sleep(SPREAD.mul_f64(fastrand::f64())).await,
        }
    }
}

impl Iterator for Patience {
    type Item = Duration;

    /// A little shorter or longer at random, so that replicas do not ask all at once.
    fn next(&mut self) -> Option<Duration> {
        let longest = self.watchers.longest();
        let pause = match self.last {
            Some((at, pause)) if at.elapsed() < 3 * longest => (2 * pause).min(longest),
            _ => self.watchers.first(),
        };
        self.last = Some((Instant::now(), pause));
        Some(pause.mul_f64(0.75 + fastrand::f64() / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_up_to_a_limit_and_begin_anew_after_a_good_time() {
        let mut patience = Watchers::default().join();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = patience.next().expect("never gives up");
            tokio::time::advance(pause).await;
            pauses.push(pause);
        }
        assert!(
            pauses[0] <= FIRST * 5 / 4 && pauses[7] >= LONGEST * 3 / 4,
            "{pauses:?}"
        );
        assert!(pauses.iter().all(|p| *p <= LONGEST * 5 / 4));
        tokio::time::advance(3 * LONGEST).await;
        assert!(patience.next().expect("never gives up") <= FIRST * 5 / 4);
    }

    #[tokio::test(start_paused = true)]
    async fn many_watches_wait_longer_and_those_that_end_count_no_more() {
        let watchers = Watchers::default();
        let mut all: Vec<_> = (0..30).map(|_| watchers.join()).collect();
        assert_eq!(
            (watchers.first(), watchers.longest()),
            (3 * FIRST, 30 * EACH)
        );
        all.truncate(5);
        assert_eq!((watchers.first(), watchers.longest()), (FIRST, LONGEST));
    }

    #[tokio::test(start_paused = true)]
    async fn when_one_is_answered_all_others_ask() {
        let watchers = Watchers::default();
        let fails = || stream::repeat_with(|| Err(watcher::Error::NoResourceVersion)).take(20);
        let mut waiting = Box::pin(watchers.patiently::<(), _>(fails()));
        // Long enough failed to wait for seconds.
        for _ in 0..6 {
            assert!(waiting.next().await.expect("goes on").is_err());
        }
        let answers = fails()
            .take(1)
            .chain(stream::iter([Ok(Event::Init), Ok(Event::InitDone)]));
        let other = watchers.patiently::<(), _>(answers);
        let begin = Instant::now();
        let waiting = async {
            waiting.next().await;
            begin.elapsed()
        };
        let (asked, _) = tokio::join!(waiting, other.collect::<Vec<_>>());
        assert!(asked <= (FIRST + SPREAD) * 5 / 4, "{asked:?}");
    }
}
