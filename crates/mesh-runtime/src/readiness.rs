//! Whether the process can serve yet, and what is missing if not.
//!
//! Whoever must do something first holds a [`Condition`]; the process is ready when all are met. What is met stays met:
//! losing the control plane later does not make a proxy unready (Istio section 5.9). Only the end does.

use std::{collections::BTreeMap, fmt, sync::Arc};

use tokio::sync::watch;

/// The conditions of a process. Clones are the same readiness.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    missing: BTreeMap<u64, Missing>,
    ended: Option<String>,
}

/// Something that is not done yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What has to be done.
    pub name: &'static str,
    /// How far it is, or what it waits for.
    pub why: String,
}

/// Why the process is not ready, one line for each reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unready {
    /// These conditions are not met yet, in the order of their making.
    Missing(Vec<Missing>),
    /// It is ending.
    Ended(String),
}

/// Keeps the process unready until it is [met](Condition::met).
///
/// Dropping it does not meet it: whoever held it has given up, and the process stays unready and says so.
#[derive(Debug)]
#[must_use = "a condition that nobody holds can never be met"]
pub struct Condition {
    readiness: Readiness,
    id: u64,
    met: bool,
}

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }
}

impl Readiness {
    /// Without conditions, which is ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition, to be made before anyone asks whether the process is ready.
    pub fn condition(&self, name: &'static str, why: impl Into<String>) -> Condition {
        let (mut id, why) = (0, why.into());
        self.0.send_modify(|state| {
            id = state.next;
            state.next += 1;
            state.missing.insert(id, Missing { name, why });
        });
        Condition {
            readiness: self.clone(),
            id,
            met: false,
        }
    }

    /// Ends readiness for good, with a reason such as `server is terminated`.
    pub fn end(&self, why: impl Into<String>) {
        self.0.send_modify(|state| state.ended = Some(why.into()));
    }

    /// Whether the process can serve.
    ///
    /// # Errors
    /// With what is missing.
    pub fn check(&self) -> Result<(), Unready> {
        self.0.borrow().check()
    }

    /// Waits until the process can serve. Never returns once it is ending.
    pub async fn ready(&self) {
        let mut state = self.0.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = state.wait_for(|state| state.check().is_ok()).await;
    }
}

impl State {
    fn check(&self) -> Result<(), Unready> {
        match &self.ended {
            Some(why) => Err(Unready::Ended(why.clone())),
            None if self.missing.is_empty() => Ok(()),
            None => Err(Unready::Missing(self.missing.values().cloned().collect())),
        }
    }
}

impl Condition {
    /// Says how far it is.
    pub fn explain(&self, why: impl Into<String>) {
        let why = why.into();
        self.readiness.0.send_modify(|state| {
            if let Some(missing) = state.missing.get_mut(&self.id) {
                missing.why = why;
            }
        });
    }

    /// It is done, for good.
    pub fn met(mut self) {
        self.met = true;
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        self.readiness.0.send_modify(|state| {
            if self.met {
                state.missing.remove(&self.id);
            } else if let Some(missing) = state.missing.get_mut(&self.id) {
                missing.why = format!("given up: {}", missing.why);
            }
        });
    }
}

impl std::error::Error for Unready {}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(why) => f.write_str(why),
            Self::Missing(missing) => {
                for (index, Missing { name, why }) in missing.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "\n" };
                    write!(f, "{separator}{name}: {why}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    const NOW: Duration = Duration::from_millis(1);

    fn said(readiness: &Readiness) -> String {
        readiness
            .check()
            .map_or_else(|unready| unready.to_string(), |()| "ready".into())
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_ready_when_all_conditions_are_met() {
        let readiness = Readiness::new();
        let clusters = readiness.condition("xds", "no clusters yet");
        let certificate = readiness.condition("certificate", "waiting for discovery");
        assert_eq!(
            said(&readiness),
            "xds: no clusters yet\ncertificate: waiting for discovery"
        );
        clusters.explain("1 update, rejected");
        certificate.met();
        assert_eq!(said(&readiness), "xds: 1 update, rejected");
        let waiting = readiness.clone();
        let met = async {
            sleep(Duration::from_secs(3)).await;
            clusters.met();
        };
        tokio::join!(waiting.ready(), met);
        assert_eq!(said(&readiness), "ready");
        readiness.ready().await;
    }

    #[test]
    fn two_of_a_name_are_two() {
        let readiness = Readiness::new();
        let (one, two) = (
            readiness.condition("worker", "starting"),
            readiness.condition("worker", "starting"),
        );
        one.met();
        assert_eq!(said(&readiness), "worker: starting");
        two.met();
        assert_eq!(said(&readiness), "ready");
    }

    #[test]
    fn a_condition_that_was_given_up_is_not_met() {
        let readiness = Readiness::new();
        drop(readiness.condition("certificate", "waiting for discovery"));
        assert_eq!(
            said(&readiness),
            "certificate: given up: waiting for discovery"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_is_for_good() {
        let readiness = Readiness::new();
        let condition = readiness.condition("xds", "no clusters yet");
        readiness.end("server is terminated");
        condition.met();
        assert_eq!(said(&readiness), "server is terminated");
        assert!(timeout(NOW, readiness.ready()).await.is_err());
    }
}
