//! Who leads: the holder of a Lease.
//!
//! The holder renews it; who does not hold it waits until it has not been renewed for its duration, measured by his own
//! clock from when he saw it last renewed, so that clocks need not agree. Every write names the version that was read, so
//! that of two who take it one fails.

use kube::{Api, Client, api::PostParams};
use mesh_api::k8s::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use mesh_runtime::shutdown::Shutdown;
use std::{future::Future, time::Duration};
use tokio::time::Instant;

/// After which a lease that is not renewed is free.
const DURATION: Duration = Duration::from_secs(15);
/// How often it is renewed, and looked at by others.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// Longest time between looks while the API server does not answer.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(12);
/// A leader who could not renew for so long stops, well before others take over.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// Takes part in the election of one leader.
pub struct Election {
    leases: Api<Lease>,
    name: &'static str,
    identity: String,
    /// The lease as last seen changed, and when that was.
    seen: Option<(Lease, Instant)>,
    said: Option<String>,
}

/// What came of looking at the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Ours,
    Theirs,
}

impl Election {
    /// Of the Lease `name` in `namespace`; `identity` must be this replica's alone.
    pub fn new(client: Client, namespace: &str, name: &'static str, identity: &str) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name,
            identity: identity.into(),
            seen: None,
            said: None,
        }
    }

    /// Runs `work` whenever and as long as this replica leads. At the end of the process the lease is given back, so that
    /// another replica need not wait for it to run out.
    pub async fn run<F: Future<Output = ()>>(mut self, shutdown: Shutdown, work: impl Fn() -> F) {
        loop {
            tokio::select! {
                () = self.win() => {}
                () = shutdown.begun() => return,
            }
            tracing::info!(lease = self.name, "leading");
            tokio::select! {
                () = work() => {}
                () = self.hold() => tracing::warn!(lease = self.name, "no longer leading"),
                () = shutdown.begun() => {
                    self.release().await;
                    return;
                }
            }
        }
    }

    /// Waits until the lease is ours.
    async fn win(&mut self) {
        let mut pause = RENEW_EVERY;
        loop {
            pause = match self.look().await {
                Some(Outcome::Ours) => return,
                Some(Outcome::Theirs) => RENEW_EVERY,
                None => (2 * pause).min(LOOK_AT_LEAST_EVERY),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Keeps the lease; returns when it is lost.
    async fn hold(&mut self) {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let left = GIVE_UP_AFTER.saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left, self.look()).await {
                Ok(Some(Outcome::Ours)) => renewed = Instant::now(),
                Ok(None) if renewed.elapsed() < GIVE_UP_AFTER => {}
                Ok(Some(Outcome::Theirs) | None) | Err(_) => return,
            }
        }
    }

    /// Looks at the lease, and takes or renews it if it may; `None` if that could not be found out.
    async fn look(&mut self) -> Option<Outcome> {
        match self.try_look().await {
            Ok(outcome) => {
                self.said = None;
                Some(outcome)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                Some(Outcome::Theirs)
            }
            Err(error) => {
                let reason = error.to_string();
                if self.said.as_ref() != Some(&reason) {
                    tracing::warn!(lease = self.name, reason, "the lease cannot be looked at");
                }
                self.said = Some(reason);
                None
            }
        }
    }

    async fn try_look(&mut self) -> Result<Outcome, kube::Error> {
        let Some(lease) = self.leases.get_opt(self.name).await? else {
            let ours = self.ours(None);
            let created = self.leases.create(&PostParams::default(), &ours).await?;
            self.note(created);
            return Ok(Outcome::Ours);
        };
        self.note(lease.clone());
        if !self.is_ours(&lease) && !self.is_free(&lease) {
            return Ok(Outcome::Theirs);
        }
        let ours = self.ours(Some(lease));
        let params = PostParams::default();
        let written = self.leases.replace(self.name, &params, &ours).await?;
        self.note(written);
        Ok(Outcome::Ours)
    }

    fn note(&mut self, lease: Lease) {
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != lease) {
            self.seen = Some((lease, Instant::now()));
        }
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        holder(lease) == self.identity
    }

    fn is_free(&self, lease: &Lease) -> bool {
        let seconds = lease.spec.as_ref().and_then(|s| s.lease_duration_seconds);
        let seconds = seconds.and_then(|s| u64::try_from(s).ok());
        let duration = seconds.map_or(DURATION, Duration::from_secs);
        let stale = self
            .seen
            .as_ref()
            .is_some_and(|(_, at)| at.elapsed() >= duration);
        holder(lease).is_empty() || stale
    }

    /// The lease as we would hold it.
    fn ours(&self, before: Option<Lease>) -> Lease {
        let now = MicroTime(jiff::Timestamp::now());
        let held = before.as_ref().is_some_and(|lease| self.is_ours(lease));
        let mut lease = before.unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(self.name.into()),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        if !held {
            let transitions = spec.lease_transitions.unwrap_or_default();
            spec.lease_transitions = Some(transitions.saturating_add(1));
            spec.acquire_time = Some(now.clone());
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
        spec.renew_time = Some(now);
        lease
    }

    async fn release(&mut self) {
        let Some((mut lease, _)) = self.seen.take().filter(|(lease, _)| self.is_ours(lease)) else {
            return;
        };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
        }
        let params = PostParams::default();
        let written = self.leases.replace(self.name, &params, &lease);
        match tokio::time::timeout(RENEW_EVERY, written).await {
            Ok(Ok(_)) => tracing::info!(lease = self.name, "gave the lease back"),
            _ => tracing::debug!(lease = self.name, "the lease runs out by itself"),
        }
    }
}

fn holder(lease: &Lease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|s| s.holder_identity.as_deref())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
