//! A certificate, and the next one in time.
//!
//! Renewed at half of what is left of its life, a little earlier or later so that pods that started together do not come
//! together; by the wall clock, which is looked at every few seconds, since it may be set, and goes on while the machine
//! sleeps. What can't be renewed stays in force. The roots are looked at again every few seconds: a new one is to be
//! trusted before anything is signed by it, and what was signed by one that is no longer among them is renewed at once. One
//! that has left the file is not trusted again because an authority that has not heard of it yet still sends it.

use super::{
    Backoff, Clock, ControlPlane, Own, roots,
    signing::{self, Signed, sign},
};
use crate::{
    reason::one_line,
    tls::secret::{InvalidSecret, certified},
};
use mesh_model::{
    SpiffeId,
    name::ROOT_CA_SECRET,
    secret::{Secret, SecretValue},
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// How often the file with the roots, and the wall clock, are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Clocks that are not set run apart by no more than this while a certificate is in use.
const DRIFT: Duration = Duration::from_secs(60);
/// When an authority still sends a root that is gone, it is asked again after this.
const LAGGING: Duration = Duration::from_secs(10);
/// Longest pause between attempts once the certificate has ended: connections fail meanwhile.
const EXPIRED: Duration = Duration::from_secs(4);
/// A certificate is used for this long at least, however short its life.
const SHORTEST: Duration = Duration::from_secs(1);

/// What is known of the certificate, for readiness and for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// When the one in force ends; `None`: there is none yet.
    pub not_after: Option<SystemTime>,
    /// Why the last attempt to get one failed; `None`: it did not.
    pub error: Option<String>,
    /// Certificates that were put in force.
    pub renewals: u64,
    /// Attempts that failed.
    pub failures: u64,
}

/// Keeps secrets in force.
pub struct Renewal {
    authority: ControlPlane,
    identity: SpiffeId,
    clock: Clock,
    own: Own,
    /// Whether the next attempt shows the certificate that is in force.
    shows_own: bool,
    status: watch::Sender<Status>,
    file: Arc<str>,
    /// Roots that were in the file and have left it.
    gone: String,
    came_with_ours: String,
}

impl Renewal {
    /// For `identity`, from `authority`; `clock` tells when it is time.
    pub fn new(authority: ControlPlane, identity: SpiffeId, clock: Clock) -> Self {
        Self {
            authority,
            identity,
            own: Own::new(clock.clone()),
            clock,
            shows_own: false,
            status: watch::Sender::default(),
            file: Arc::default(),
            gone: String::new(),
            came_with_ours: String::new(),
        }
    }

    /// What becomes of it.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The certificate in force.
    pub fn own(&self) -> Own {
        self.own.clone()
    }

    /// Runs for ever: hands secrets over to `publish`, the roots before what is signed by them.
    pub async fn run(mut self, publish: impl Fn(Secret) -> Result<(), InvalidSecret>) {
        let mut unreachable = Backoff::unreachable();
        let mut refused = Backoff::refused();
        loop {
            self.look_at_roots(&publish).await;
            let pause = match self.renew(&publish).await {
                Ok(due) => {
                    (unreachable, refused) = (Backoff::unreachable(), Backoff::refused());
                    self.shows_own = false;
                    self.wait_until(due, &publish).await;
                    continue;
                }
                Err(Failed {
                    reason,
                    is_refusal,
                    is_unavailable,
                }) => {
                    tracing::warn!("no certificate: {reason}");
                    // Who can't check tokens may take the certificate; if that is not taken either, all is as before.
                    self.shows_own = is_unavailable && !self.shows_own;
                    self.status.send_modify(|status| {
                        status.error = Some(reason);
                        status.failures += 1;
                    });
                    let pause = match is_refusal {
                        true => refused.pause(),
                        false => unreachable.pause(),
                    };
                    pause.min(self.patience())
                }
            };
            self.wait(pause, None, &publish).await;
        }
    }

    /// How long a pause may be: what is in force must not end in it, and what has ended is missed.
    fn patience(&self) -> Duration {
        let Some(end) = self.status.borrow().not_after else {
            return Duration::MAX;
        };
        let left = end.duration_since(self.clock.now());
        left.map_or(EXPIRED, |left| (left / 4).max(SHORTEST))
    }

    /// Waits until `due` by the wall clock, and no longer than it takes if nobody sets that back.
    async fn wait_until(
        &mut self,
        due: SystemTime,
        publish: &impl Fn(Secret) -> Result<(), InvalidSecret>,
    ) {
        let left = due.duration_since(self.clock.now());
        self.wait(left.unwrap_or_default(), Some(due), publish)
            .await;
    }

    /// Waits, with an eye on the roots, and on the clock if something is due.
    async fn wait(
        &mut self,
        pause: Duration,
        due: Option<SystemTime>,
        publish: &impl Fn(Secret) -> Result<(), InvalidSecret>,
    ) {
        let end = Instant::now() + pause;
        while Instant::now() < end {
            if due.is_some_and(|due| self.clock.now() >= due) {
                let early = end.saturating_duration_since(Instant::now());
                if early > DRIFT {
                    tracing::info!(
                        ?early,
                        "renewed now: the clock was set, or the machine slept"
                    );
                }
                return;
            }
            sleep_until(end.min(Instant::now() + LOOK)).await;
            if self.look_at_roots(publish).await {
                tracing::info!("the root of our certificate is no longer among the mesh's");
                return;
            }
        }
    }

    /// Gets a certificate and tells when the next one is due.
    async fn renew(
        &mut self,
        publish: &impl Fn(Secret) -> Result<(), InvalidSecret>,
    ) -> Result<SystemTime, Failed> {
        let own = self.own.valid().filter(|_| self.shows_own);
        let signed = sign(&self.authority, &self.identity, own, &self.clock).await?;
        if signed.uri_san != Some(self.identity.to_string()) {
            return Err(Failed::refused(format!(
                "the authority signed for {} rather than {}",
                signed.uri_san.as_deref().unwrap_or("nobody"),
                self.identity
            )));
        }
        self.came_with_ours = roots::without(&signed.root, &self.gone)?;
        let lags = !roots::contains(&self.came_with_ours, &signed.root);
        self.publish_roots(publish)?;
        let secret = signed.secret();
        let key = certified(&secret)?;
        publish(secret)?;
        self.own.set(key, signed.not_after);
        tracing::info!(identity = signed.uri_san.as_deref(), "certificate in force");
        self.status.send_modify(|status| {
            status.not_after = Some(signed.not_after);
            status.error = None;
            status.renewals += 1;
        });
        let now = self.clock.now();
        let due = half_life(&signed, now);
        Ok(now + if lags { due.min(LAGGING) } else { due })
    }

    /// Puts roots in force that are new in the file. Whether that of our certificate has left it.
    async fn look_at_roots(
        &mut self,
        publish: &impl Fn(Secret) -> Result<(), InvalidSecret>,
    ) -> bool {
        // Should it be missing, what is known stays trusted; that it is missing is told when a certificate is asked for.
        let Ok(file) = self.authority.roots_pem().await else {
            return false;
        };
        if file == self.file {
            return false;
        }
        let before = std::mem::replace(&mut self.file, file);
        if let Err(failed) = self.publish_roots(publish) {
            tracing::warn!(
                "new roots are not usable, those before stay: {}",
                failed.reason
            );
            self.file = before;
            return false;
        }
        // What is broken was refused above.
        let gone = roots::union([&*self.gone, &*before]);
        let gone = gone.and_then(|gone| roots::without(&gone, &self.file));
        self.gone = gone.unwrap_or_default();
        let knows = |file: &str| roots::contains(file, &self.came_with_ours);
        knows(&before) && !knows(&self.file)
    }

    fn publish_roots(
        &self,
        publish: &impl Fn(Secret) -> Result<(), InvalidSecret>,
    ) -> Result<(), Failed> {
        let all = roots::union([&*self.file, &self.came_with_ours])?;
        publish(Secret {
            name: ROOT_CA_SECRET.into(),
            value: SecretValue::Validation {
                trusted_ca: all.into_bytes(),
            },
        })?;
        Ok(())
    }
}

/// How long to use it: half of its life, one percent more or less.
fn half_life(signed: &Signed, now: SystemTime) -> Duration {
    let left = signed.not_after.duration_since(now);
    let share = 0.49 + 0.02 * fastrand::f64();
    left.unwrap_or_default().mul_f64(share).max(SHORTEST)
}

/// Why there is no new certificate.
struct Failed {
    reason: String,
    is_refusal: bool,
    is_unavailable: bool,
}

impl Failed {
    fn refused(reason: String) -> Self {
        Self {
            reason,
            is_refusal: true,
            is_unavailable: false,
        }
    }
}

impl From<rustls_pki_types::pem::Error> for Failed {
    fn from(error: rustls_pki_types::pem::Error) -> Self {
        Self::refused(format!("roots of the mesh: {error}"))
    }
}

impl From<signing::Error> for Failed {
    fn from(error: signing::Error) -> Self {
        Self {
            reason: error.explain(),
            is_refusal: error.is_refusal(),
            is_unavailable: error.is_unavailable(),
        }
    }
}

impl From<InvalidSecret> for Failed {
    fn from(error: InvalidSecret) -> Self {
        Self::refused(one_line(&error))
    }
}
