//! Whether the proxy can serve (Istio section 5.9), and what to look at if it cannot.
//!
//! What it waits for is decided elsewhere and remembered there: losing the control plane later makes no pod unready, its
//! own end does. Here it becomes the text that people read in the events of a pod.

use super::Facts;
use mesh_runtime::readiness::{Missing, Unready};
use mesh_xds::ads::ResourceType;
use std::sync::atomic::Ordering::Relaxed;

/// The condition that configuration has come. It explains itself in Istio's words, which users look for.
pub const CONFIGURATION: &str = "configuration";

/// In which state the server is, in Envoy's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It serves.
    Live,
    /// It was told to fail its health checks, or it is ending.
    Draining,
    /// It waits for its clusters.
    PreInitializing,
    /// It waits for its listeners, or for something else.
    Initializing,
}

impl State {
    /// Envoy's word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Live => "LIVE",
            Self::Draining => "DRAINING",
            Self::PreInitializing => "PRE_INITIALIZING",
            Self::Initializing => "INITIALIZING",
        }
    }
}

impl Facts {
    /// Whether the proxy can serve.
    ///
    /// # Errors
    /// With what is missing, for people, one line for each reason.
    pub(super) fn ready(&self) -> Result<(), String> {
        match self.readiness.check() {
            Err(Unready::Ended(why)) => Err(why),
            Err(Unready::Missing(missing)) => Err(self.explain(&missing)),
            Ok(()) if self.failing.load(Relaxed) => {
                let state = State::Draining.as_str();
                Err(format!("server is not live, current state is: {state}"))
            }
            Ok(()) => Ok(()),
        }
    }

    /// The state of the server.
    pub(super) fn state(&self) -> State {
        match self.readiness.check() {
            Ok(()) if !self.failing.load(Relaxed) => State::Live,
            Ok(()) | Err(Unready::Ended(_)) => State::Draining,
            Err(_) if self.received.stats(ResourceType::Cluster).update_success == 0 => {
                State::PreInitializing
            }
            Err(_) => State::Initializing,
        }
    }

    fn explain(&self, missing: &[Missing]) -> String {
        let line = |Missing { name, why }: &Missing| match *name {
            CONFIGURATION => why.clone(),
            name => format!("{name}: {why}"),
        };
        let mut text = missing.iter().map(line).collect::<Vec<_>>().join("\n");
        // The same trouble often stands behind both; then once is enough.
        if let Some(error) = &self.identity.borrow().error
            && !text.contains(error)
        {
            text = format!("{text}\ncertificate: {error}");
        }
        text
    }
}
