//! A query's way: to the table, or on to the name servers.

use super::{
    Dns,
    message::{Question, Received, Transport},
    names::Domains,
    upstream::Upstream,
};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Queries that name servers may be asked at once; each holds a socket or two. Those beyond are refused.
const MOST_FORWARDED: usize = 512;

/// Answers queries.
#[derive(Debug)]
pub(super) struct Resolver {
    dns: Arc<Dns>,
    domains: Domains,
    upstream: Upstream,
    room: Semaphore,
}

impl Resolver {
    pub(super) fn new(dns: Arc<Dns>, domains: Domains, upstream: Upstream) -> Self {
        Self {
            dns,
            domains,
            upstream,
            room: Semaphore::new(MOST_FORWARDED),
        }
    }

    pub(super) fn dns(&self) -> &Dns {
        &self.dns
    }

    /// The answer to what arrived; `None` if there is none.
    pub(super) async fn answer(&self, bytes: &[u8], transport: Transport) -> Option<Vec<u8>> {
        self.dns.counters.requests.increment();
        match Received::read(bytes, transport) {
            Received::Question(question) => self.resolve(&question, bytes).await,
            Received::Refused(answer) => Some(answer),
            Received::Nothing => None,
        }
    }

    async fn resolve(&self, question: &Question, bytes: &[u8]) -> Option<Vec<u8>> {
        // Before the first table nobody knows whether a name is ours, and a wrong answer would be kept.
        let Some(table) = self.dns.names.current() else {
            return question.failure();
        };
        if question.is_for_addresses()
            && let Some(found) = table.find(question.query().name(), &self.domains)
        {
            return question.answer(found);
        }
        drop(table);
        self.forward(question, bytes).await
    }

    async fn forward(&self, question: &Question, bytes: &[u8]) -> Option<Vec<u8>> {
        let counters = &self.dns.counters;
        let Ok(_permit) = self.room.try_acquire() else {
            counters.dropped.increment();
            return question.failure();
        };
        counters.upstream_requests.increment();
        let started = tokio::time::Instant::now();
        let answer = self.upstream.ask(question, bytes).await;
        counters.upstream_duration.record(started.elapsed());
        answer
            .inspect_err(|failure| {
                counters.upstream_failures.increment();
                tracing::debug!(name = %question.query().name(), "{failure}");
            })
            .ok()
            .or_else(|| question.failure())
    }
}
