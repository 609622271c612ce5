//! What a client has said of what it was sent, for one type: the facts behind `proxy-status`.

use std::time::SystemTime;

use super::{Stamp, Verdict};
use crate::{ads::ResourceType, pb::google::rpc::Status};

/// A NACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// gRPC status code that the client gave.
    pub code: i32,
    /// What it says is wrong.
    pub detail: String,
    /// When it came.
    pub at: SystemTime,
}

/// Istio's word for how far a client is with a type (section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncState {
    /// It has acknowledged the last response.
    Synced,
    /// It has not answered the last response yet.
    Stale,
    /// It was sent nothing yet.
    NotSent,
    /// It has refused a response, and accepted none since.
    Error,
    /// It is not subscribed.
    Ignored,
}

/// How far a client is with one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeStatus {
    /// The type.
    pub kind: ResourceType,
    /// The state that tools print.
    pub state: SyncState,
    /// Version of the last response.
    pub version_sent: String,
    /// Nonce of the last response.
    pub nonce_sent: String,
    /// Nonce of the last response that was accepted.
    pub nonce_acked: String,
    /// When the last response was made.
    pub sent_at: Option<SystemTime>,
    /// When the last acceptance came.
    pub acked_at: Option<SystemTime>,
    /// The refusal in force, if any.
    pub rejection: Option<Rejection>,
    /// How many responses were refused on this stream.
    pub rejections: u64,
    /// How many resources the client was sent, or said that it holds.
    pub resources: usize,
}

impl TypeStatus {
    pub(super) fn ignored(kind: ResourceType) -> Self {
        Self {
            state: SyncState::Ignored,
            ..Record::default().status(kind, 0)
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Record {
    version_sent: String,
    nonce_sent: String,
    nonce_acked: String,
    sent_at: Option<SystemTime>,
    acked_at: Option<SystemTime>,
    rejection: Option<Rejection>,
    rejections: u64,
}

impl Record {
    pub(super) fn sent(&mut self, nonce: &str, stamp: &Stamp) {
        self.version_sent.clone_from(&stamp.version);
        self.nonce_sent = nonce.into();
        self.sent_at = Some(stamp.now);
    }

    /// Whether a nonce is that of the last response.
    pub(super) fn is_current(&self, nonce: &str) -> bool {
        nonce == self.nonce_sent
    }

    /// Reads the verdict out of a request. A refusal counts whichever response it speaks of.
    pub(super) fn judge(
        &mut self,
        nonce: &str,
        error: Option<&Status>,
        now: SystemTime,
    ) -> Verdict {
        if let Some(error) = error {
            let rejection = Rejection {
                code: error.code,
                detail: error.message.clone(),
                at: now,
            };
            self.rejections += 1;
            self.rejection = Some(rejection.clone());
            return Verdict::Nack(rejection);
        }
        if nonce.is_empty() {
            return Verdict::None;
        }
        if !self.is_current(nonce) {
            return Verdict::Stale;
        }
        self.nonce_acked = nonce.into();
        self.acked_at = Some(now);
        self.rejection = None;
        Verdict::Ack
    }

    pub(super) fn status(&self, kind: ResourceType, resources: usize) -> TypeStatus {
        TypeStatus {
            kind,
            state: self.state(),
            version_sent: self.version_sent.clone(),
            nonce_sent: self.nonce_sent.clone(),
            nonce_acked: self.nonce_acked.clone(),
            sent_at: self.sent_at,
            acked_at: self.acked_at,
            rejection: self.rejection.clone(),
            rejections: self.rejections,
            resources,
        }
    }

    /// Istio's rule, in its order.
    fn state(&self) -> SyncState {
        if self.rejection.is_some() {
            SyncState::Error
        } else if self.nonce_sent.is_empty() {
            SyncState::NotSent
        } else if self.nonce_acked == self.nonce_sent {
            SyncState::Synced
        } else {
            SyncState::Stale
        }
    }
}
