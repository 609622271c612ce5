//! How a plugged-in authority (`cacerts`) takes over from the root in the Secret of a mesh that runs already.
//!
//! | stage | signs | trusted | until |
//! |---|---|---|---|
//! | 1 | the Secret's | both | every workload has renewed, and so has heard of the new root |
//! | 2 | the plugged-in | both | every certificate of the old root has ended |
//! | 3 | the plugged-in | the plugged-in | – |
//!
//! When it began is written in the Secret itself, so that replicas which started before and after the files appeared agree,
//! and a restart forgets nothing. Roots that the mesh's ConfigMap holds already are trusted already: there the first stage
//! is left out. A Secret that cannot sign any more is no reason to wait either.

use super::{
    authority::Authority,
    bundle::Bundle,
    lifetime::Lifetime,
    secret::{CaSecret, SecretError, authority},
};
use jiff::Timestamp;
use mesh_api::k8s::api::core::v1::Secret;
use std::time::{Duration, SystemTime};

/// When the takeover began.
const SINCE: &str = "ca.istio.io/plugged-in-since";

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The plugged-in root is trusted, and signs from then on.
    Trusted(SystemTime),
    /// It signs; the root before it is trusted until then.
    Signing(SystemTime),
    /// There is no other.
    Alone,
}

impl Stage {
    fn at(since: SystemTime, lifetime: Lifetime, now: SystemTime) -> Self {
        let signs = since + spread(lifetime);
        let alone = signs + lifetime.max;
        match now {
            _ if now < signs => Self::Trusted(signs),
            _ if now < alone => Self::Signing(alone),
            _ => Self::Alone,
        }
    }

    /// Says in the log where it stands.
    pub(super) fn tell(self) {
        let time = |at: SystemTime| Timestamp::try_from(at).unwrap_or_default().to_string();
        match self {
            Self::Trusted(until) => tracing::info!(
                signs_from = time(until),
                "the root of the plugged-in certificate authority is trusted; the root before it still signs, so that every workload hears of the new one first"
            ),
            Self::Signing(until) => tracing::info!(
                old_root_trusted_until = time(until),
                "the plugged-in certificate authority signs; the root before it stays trusted until its certificates have ended"
            ),
            Self::Alone => {
                tracing::info!(
                    "the plugged-in certificate authority signs, and is the only one that is trusted"
                );
            }
        }
    }
}

/// After which every workload has renewed at least once, if it has not asked for a longer life than the usual.
fn spread(lifetime: Lifetime) -> Duration {
    lifetime.default.min(lifetime.max)
}

/// The authority in force where `plugged` lies in the files and something else may lie in `secret`.
///
/// # Errors
/// If the Secret cannot be read, or the beginning cannot be written; also if somebody else writes it at the same time.
pub async fn load(
    secret: &CaSecret,
    plugged: Authority,
    lifetime: Lifetime,
    now: SystemTime,
) -> Result<(Authority, Stage), SecretError> {
    let Some(stored) = secret.read().await? else {
        return Ok((plugged, Stage::Alone));
    };
    let own = match authority(&stored, plugged.trust_domain(), now) {
        Ok(own) => own,
        Err(error) => {
            tracing::debug!(%error, "the Secret before the plugged-in certificate authority is of no use");
            return Ok((plugged, Stage::Alone));
        }
    };
    let since = match since(&stored) {
        Some(since) => since,
        None => match begin(&secret.distributed().await?, &own, &plugged, lifetime, now) {
            Some(since) => {
                secret.write(&begun(stored, since)).await?;
                since
            }
            None => return Ok((plugged, Stage::Alone)),
        },
    };
    let stage = Stage::at(since, lifetime, now);
    let authority = match stage {
        Stage::Trusted(_) => own.trusting(plugged.roots()),
        Stage::Signing(_) => plugged.trusting(own.roots()),
        Stage::Alone => plugged,
    };
    Ok((authority, stage))
}

/// When a takeover that nobody has begun begins; `None`: the mesh trusts the plugged-in root alone as it is.
fn begin(
    distributed: &Bundle,
    own: &Authority,
    plugged: &Authority,
    lifetime: Lifetime,
    now: SystemTime,
) -> Option<SystemTime> {
    let holds = |roots: &Bundle| roots.clone().without(distributed).ders().next().is_none();
    match (holds(plugged.roots()), holds(own.roots())) {
        (true, false) => None,
        (true, true) => Some(now - spread(lifetime)),
        (false, _) => Some(now),
    }
}

fn since(secret: &Secret) -> Option<SystemTime> {
    let written = secret.metadata.annotations.as_ref()?.get(SINCE)?;
    written.parse::<Timestamp>().ok().map(SystemTime::from)
}

fn begun(mut secret: Secret, since: SystemTime) -> Secret {
    let since = Timestamp::try_from(since).unwrap_or_default().to_string();
    let annotations = secret.metadata.annotations.get_or_insert_default();
    annotations.insert(SINCE.into(), since);
    secret
}

#[cfg(test)]
mod tests;
