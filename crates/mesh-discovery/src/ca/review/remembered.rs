//! Whose tokens were, for when the API server cannot say.
//!
//! Never asked while it answers, so that a token that it takes back is refused at once. Where certificates are short it
//! lets workloads renew through an outage that is not longer than ten minutes.

use crate::ca::caller::Caller;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// For so long after the API server has accepted it.
pub(super) const REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// No more than so many tokens are remembered.
const MOST: usize = 20_000;

/// A token, as far as it has to be recognized.
type Fingerprint = [u8; 32];

/// Whose tokens were.
#[derive(Default)]
pub(super) struct Remembered(Mutex<HashMap<Fingerprint, (Caller, Instant)>>);

impl Remembered {
    /// The API server has just accepted it.
    pub(super) fn accepted(&self, token: &str, caller: &Caller) {
        let (now, mut all) = (Instant::now(), self.0.lock());
        if all.len() >= MOST {
            all.retain(|_, (_, at)| now - *at < REMEMBERED);
        }
        if all.len() < MOST {
            all.insert(fingerprint(token), (caller.clone(), now));
        }
    }

    /// The API server has just refused it.
    pub(super) fn refused(&self, token: &str) {
        self.0.lock().remove(&fingerprint(token));
    }

    /// Whose it was not long ago.
    pub(super) fn of(&self, token: &str) -> Option<Caller> {
        let all = self.0.lock();
        let (caller, at) = all.get(&fingerprint(token))?;
        (at.elapsed() < REMEMBERED).then(|| caller.clone())
    }
}

fn fingerprint(token: &str) -> Fingerprint {
    Sha256::digest(token.as_bytes()).into()
}
