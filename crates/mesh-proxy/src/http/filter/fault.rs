//! Faults on purpose: a delay, then perhaps an answer of our own instead of the server's.
//!
//! Each request draws for its delay, and once that is over, for its answer.

use super::{Ask, Verdict};
use crate::{
    flag::ResponseFlags,
    http::{exchange::Exchange, local_reply::LocalReply, matching::HeaderMatcher},
};
use mesh_model::{
    http::{Abort, AbortStatus, Delay, Fault},
    matcher::Fraction,
};
use tokio::time::sleep;

/// A compiled [`Fault`].
#[derive(Debug)]
pub(crate) struct FaultInjection {
    delay: Option<Delay>,
    abort: Option<Abort>,
    headers: Box<[HeaderMatcher]>,
}

impl FaultInjection {
    pub(in crate::http) fn new(model: &Fault) -> Self {
        Self {
            delay: model.delay.filter(|delay| !delay.duration.is_zero()),
            abort: model.abort,
            headers: model.headers.iter().map(HeaderMatcher::new).collect(),
        }
    }

    pub(super) fn request<'f>(&'f self, ask: &'f Ask<'_>) -> Verdict<'f> {
        if self.delay.is_none() && self.abort.is_none() || !self.concerns(ask) {
            return Verdict::Continue;
        }
        let exchange = ask.exchange;
        match self.delay.filter(|delay| draws(delay.fraction)) {
            Some(delay) => Verdict::Wait(Box::pin(self.hold(delay, exchange))),
            None => match self.aborts() {
                Some(reply) => Verdict::Reply(Box::new(reply)),
                None => Verdict::Continue,
            },
        }
    }

    fn concerns(&self, ask: &Ask<'_>) -> bool {
        let head = ask.head();
        self.headers.iter().all(|header| header.matches(&head))
    }

    async fn hold(&self, delay: Delay, exchange: &Exchange) -> Result<(), LocalReply> {
        exchange.flag(ResponseFlags::DELAY_INJECTED);
        sleep(delay.duration).await;
        self.aborts().map_or(Ok(()), Err)
    }

    fn aborts(&self) -> Option<LocalReply> {
        let abort = self.abort.filter(|abort| draws(abort.fraction))?;
        Some(match abort.status {
            AbortStatus::Http(status) => LocalReply::fault(status),
            AbortStatus::Grpc(status) => LocalReply::grpc_fault(status),
        })
    }
}

fn draws(fraction: Fraction) -> bool {
    fraction.contains(fastrand::u64(..))
}
