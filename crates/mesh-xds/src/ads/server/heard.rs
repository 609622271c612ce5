//! What a request meant, for the logs and counters of the server's owner.

use super::Rejection;
use crate::ads::ResourceType;

/// What a request meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The type it was about.
    pub kind: ResourceType,
    /// What it said of an earlier response.
    pub verdict: Verdict,
    /// What it did to the subscriptions.
    pub interest: Interest,
}

/// What a request says of an earlier response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    None,
    /// The last response is accepted.
    Ack,
    /// A response is refused in part or as a whole; count it in `pilot_total_xds_rejects`.
    Nack(Rejection),
    /// It speaks of a response that is not the last; count it in `pilot_xds_expired_nonce`.
    Stale,
}

/// What a request does to the subscriptions of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// The first of its type on this stream, or a SotW client that starts anew.
    Opened,
    /// Names were added: an answer is due.
    Added,
    /// Names were only taken away: no answer.
    Removed,
    /// The same as before.
    Unchanged,
    /// The client wants nothing of this type any more.
    Unsubscribed,
}
