//! The orderly end of a sidecar (Istio section 5.9).
//!
//! Inbound connections finish, and new ones are still taken for a while, because clients may not know yet; then nothing
//! new, and what is left may finish. Outbound goes last: the application may still need it.

use crate::{config::Settings, drain::Drain, worker::Workers};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// How long which part of the end takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// For clients that do not know yet.
    lame_duck: Duration,
    /// Connections are waited for before anything is refused, without a bound but the kubelet's patience.
    until_idle: bool,
    /// For what is left once nothing new is taken.
    patience: Duration,
}

/// The connections that are to end.
pub(super) trait Connections {
    /// How many are open.
    fn open(&self) -> usize;
    /// Takes no more.
    fn refuse(&self);
}

impl Connections for Workers {
    fn open(&self) -> usize {
        self.connections()
    }

    fn refuse(&self) {
        self.stop_accepting();
    }
}

impl Ending {
    /// What `settings` say, unless the pod said that nobody is expected any more.
    pub(super) fn new(settings: &Settings, drain: &Drain) -> Self {
        let patience = settings.drain_duration;
        if drain.expects_nobody() {
            return Self {
                lame_duck: Duration::ZERO,
                until_idle: false,
                patience,
            };
        }
        let until_idle = settings.exit_on_zero_active_connections;
        Self {
            lame_duck: match until_idle {
                true => settings.minimum_drain_duration,
                false => settings.termination_drain_duration,
            },
            until_idle,
            patience,
        }
    }

    /// Ends `connections`, or as many of them as end in time.
    pub(super) async fn run(self, drain: &Drain, connections: &impl Connections) {
        tracing::info!(
            connections = connections.open(),
            "inbound connections drain"
        );
        drain.drain_inbound();
        sleep(self.lame_duck).await;
        while self.until_idle && connections.open() > 0 && !drain.expects_nobody() {
            sleep(LOOK).await;
        }
        connections.refuse();
        drain.drain_all();
        let deadline = Instant::now() + self.patience;
        while connections.open() > 0 && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        tracing::info!(connections = connections.open(), "drained");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, Kind, Verb};
    use clap::Parser;
    use mesh_model::name::Direction;
    use parking_lot::Mutex;

    /// One connection for each instant, at which it ends by itself.
    struct Script<'a> {
        start: Instant,
        ends_after_seconds: &'a [u64],
        refused_after: Mutex<Option<Duration>>,
    }

    impl Connections for Script<'_> {
        fn open(&self) -> usize {
            let now = self.start.elapsed().as_secs();
            self.ends_after_seconds.iter().filter(|s| **s > now).count()
        }

        fn refuse(&self) {
            *self.refused_after.lock() = Some(self.start.elapsed());
        }
    }

    fn settings(more: &[&str]) -> Settings {
        let words = "mesh-proxy proxy sidecar --pod-name a --pod-namespace b --instance-ip 10.0.0.1 \
                     --pod-info-dir /nonexistent";
        let words = words.split_ascii_whitespace().chain(more.iter().copied());
        let command = Command::try_parse_from(words).expect("parsed");
        let Some(Verb::Proxy {
            kind: Kind::Sidecar(typed),
        }) = command.verb
        else {
            panic!("not a sidecar")
        };
        Settings::new(*typed, std::iter::empty()).expect("valid")
    }

    /// After how many seconds new connections are refused, and the end has come.
    async fn ended(more: &[&str], drain: &Drain, ends_after_seconds: &[u64]) -> (u64, u64) {
        let script = Script {
            start: Instant::now(),
            ends_after_seconds,
            refused_after: Mutex::default(),
        };
        let ending = Ending::new(&settings(more), drain);
        ending.run(drain, &script).await;
        assert!(drain.token(Some(Direction::Outbound)).is_cancelled());
        let refused = script.refused_after.lock().expect("refused");
        (refused.as_secs(), script.start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn new_connections_are_taken_for_a_while_and_old_ones_waited_for() {
        for (open, end) in [
            (&[][..], (5, 5)),
            (&[3], (5, 5)),
            (&[3, 20], (5, 20)),
            (&[500], (5, 50)),
        ] {
            assert_eq!(ended(&[], &Drain::default(), open).await, end, "{open:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_connection_is_waited_for_if_that_is_wanted() {
        let more = [
            "--exit-on-zero-active-connections",
            "--minimum-drain-duration=2s",
        ];
        for (open, end) in [(&[][..], (2, 2)), (&[1], (2, 2)), (&[1, 500], (500, 500))] {
            assert_eq!(ended(&more, &Drain::default(), open).await, end, "{open:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_who_will_not_come() {
        for more in [&[][..], &["--exit-on-zero-active-connections"]] {
            let drain = Drain::default();
            drain.expect_nobody();
            assert_eq!(ended(more, &drain, &[]).await, (0, 0));
            let drain = Drain::default();
            drain.expect_nobody();
            let in_flight = ended(more, &drain, &[7]).await;
            assert_eq!(in_flight, (0, 7), "what is in flight finishes");
        }
    }
}
