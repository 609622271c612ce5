//! Replaces a self-signed root before it ends: the old one, then both, then the new one.
//!
//! | step | signs | trusted | until |
//! |---|---|---|---|
//! | 1 | old | old | a fifth of its life is left |
//! | 2 | old | old, new | every workload has renewed, and so has heard of the new root |
//! | 3 | new | old, new | every certificate of the old root has ended |
//! | 4 | new | new | – |
//!
//! Where it stands is written in the Secret itself, so that any replica can go on. A Secret that somebody rotates by hand,
//! or whose certificate was signed by somebody else, is left alone. Pure: gets the Secret and the time, and says what the
//! Secret should be.

use super::{
    authority::Authority,
    bundle::Bundle,
    directory::{CA_CERT, CA_KEY, ROOT_CERT},
    secret::text,
};
use jiff::Timestamp;
use mesh_api::k8s::{ByteString, api::core::v1::Secret};
use std::time::{Duration, SystemTime};

/// The certificate and key of step 2, which do not sign yet.
const NEXT_CERT: &str = "next-ca-cert.pem";
const NEXT_KEY: &str = "next-ca-key.pem";
/// When the step under way began.
const SINCE: &str = "ca.istio.io/rotation-step-since";
/// The part of a root's life, counted from its end, in which it is replaced.
const GRACE: u32 = 5;

/// The Secret with the next step taken; `None` if none is due. `longest` is the longest life of a workload's certificate.
///
/// # Errors
/// If a new root cannot be made.
pub fn step(
    secret: &Secret,
    trust_domain: &str,
    longest: Duration,
    now: SystemTime,
) -> Result<Option<Secret>, rcgen::Error> {
    let since = since(secret);
    let waited =
        |long: Duration| since.is_some_and(|at| now.duration_since(at).is_ok_and(|w| w >= long));
    let Some(certificate) = text(secret, CA_CERT) else {
        return Ok(None);
    };
    if let (Some(next), Some(key)) = (text(secret, NEXT_CERT), text(secret, NEXT_KEY)) {
        let due = waited(longest);
        return Ok(due.then(|| begin_signing(secret, next, key, now)));
    }
    if since.is_some() {
        return Ok(waited(longest).then(|| forget_old(secret, certificate)));
    }
    match is_ending(secret, certificate, now) {
        true => Ok(Some(trust_next(secret, certificate, trust_domain, now)?)),
        false => Ok(None),
    }
}

fn trust_next(
    secret: &Secret,
    old: &str,
    trust_domain: &str,
    now: SystemTime,
) -> Result<Secret, rcgen::Error> {
    let (next, key) = Authority::self_signed(trust_domain, now)?;
    let mut secret = secret.clone();
    put(&mut secret, ROOT_CERT, &joined(&[old, &next]));
    put(&mut secret, NEXT_CERT, &next);
    put(&mut secret, NEXT_KEY, &key);
    begin_step(&mut secret, now);
    Ok(secret)
}

fn begin_signing(secret: &Secret, next: &str, key: &str, now: SystemTime) -> Secret {
    let mut promoted = secret.clone();
    put(&mut promoted, CA_CERT, next);
    put(&mut promoted, CA_KEY, key);
    if let Some(data) = &mut promoted.data {
        data.remove(NEXT_CERT);
        data.remove(NEXT_KEY);
    }
    begin_step(&mut promoted, now);
    promoted
}

fn forget_old(secret: &Secret, certificate: &str) -> Secret {
    let mut alone = secret.clone();
    put(&mut alone, ROOT_CERT, certificate);
    if let Some(annotations) = &mut alone.metadata.annotations {
        annotations.remove(SINCE);
    }
    alone
}

/// Whether the certificate is its own and only root, and has little of its life left.
fn is_ending(secret: &Secret, certificate: &str, now: SystemTime) -> bool {
    let bundles = (
        Bundle::from_pem(certificate),
        Bundle::from_pem(text(secret, ROOT_CERT).unwrap_or(certificate)),
    );
    let (Ok(own), Ok(roots)) = bundles else {
        return false;
    };
    let life = own.ders().next().and_then(|der| {
        let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
        let validity = parsed.validity();
        Some((
            SystemTime::from(validity.not_before.to_datetime()),
            SystemTime::from(validity.not_after.to_datetime()),
        ))
    });
    let Some((start, end)) = life.filter(|_| own == roots) else {
        return false;
    };
    let grace = end.duration_since(start).unwrap_or_default() / GRACE;
    end.duration_since(now).unwrap_or_default() < grace
}

fn since(secret: &Secret) -> Option<SystemTime> {
    let written = secret.metadata.annotations.as_ref()?.get(SINCE)?;
    written.parse::<Timestamp>().ok().map(SystemTime::from)
}

fn begin_step(secret: &mut Secret, now: SystemTime) {
    let now = Timestamp::try_from(now).unwrap_or_default().to_string();
    let annotations = secret.metadata.annotations.get_or_insert_default();
    annotations.insert(SINCE.into(), now);
}

fn put(secret: &mut Secret, key: &str, text: &str) {
    let data = secret.data.get_or_insert_default();
    data.insert(key.into(), ByteString(text.as_bytes().to_vec()));
}

fn joined(certificates: &[&str]) -> String {
    let lines = certificates.iter().map(|c| format!("{}\n", c.trim_end()));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::secret::authority;

    const DOMAIN: &str = "cluster.local";
    const LONGEST: Duration = Duration::from_secs(90 * DAY);
    const DAY: u64 = 24 * 3600;

    fn days(n: u64) -> Duration {
        Duration::from_secs(n * DAY)
    }

    fn fresh(now: SystemTime) -> Secret {
        let (certificate, key) = Authority::self_signed(DOMAIN, now).expect("root");
        let mut secret = Secret::default();
        put(&mut secret, CA_CERT, &certificate);
        put(&mut secret, CA_KEY, &key);
        put(&mut secret, ROOT_CERT, &certificate);
        secret
    }

    fn next(secret: &Secret, now: SystemTime) -> Option<Secret> {
        step(secret, DOMAIN, LONGEST, now).expect("a root can be made")
    }

    fn load(secret: &Secret, now: SystemTime) -> Authority {
        authority(secret, DOMAIN, now).expect("an authority")
    }

    #[test]
    fn f17_a_root_that_ends_is_replaced_step_by_step() {
        let start = SystemTime::now();
        let first = fresh(start);
        assert_eq!(next(&first, start + days(3650 * 7 / 10)), None);
        let at = start + days(3650 * 82 / 100);
        let both = next(&first, at).expect("the next root is trusted");
        assert_eq!(load(&both, at).roots().ders().count(), 2);
        assert_eq!(
            text(&both, CA_CERT),
            text(&first, CA_CERT),
            "the old one signs"
        );
        assert_eq!(next(&both, at + days(89)), None);
        let at = at + days(90);
        let signing = next(&both, at).expect("the next root signs");
        assert_eq!(load(&signing, at).roots().ders().count(), 2);
        assert_ne!(text(&signing, CA_CERT), text(&first, CA_CERT));
        assert_eq!(text(&signing, NEXT_KEY), None);
        assert_eq!(next(&signing, at + days(89)), None);
        let at = at + days(90);
        let alone = next(&signing, at).expect("the old root is forgotten");
        let after = load(&alone, at);
        assert_eq!(after.roots().ders().count(), 1);
        assert!(after.not_after() > start + days(3650 + 1000));
        assert_eq!(next(&alone, at + days(365)), None);
    }

    #[test]
    fn what_somebody_rotates_by_hand_is_left_alone() {
        let start = SystemTime::now();
        let mut secret = fresh(start);
        let (other, _) = Authority::self_signed(DOMAIN, start).expect("root");
        let both = joined(&[text(&secret, CA_CERT).expect("there"), &other]);
        put(&mut secret, ROOT_CERT, &both);
        assert_eq!(next(&secret, start + days(3600)), None);
    }
}
