//! A query's way: to the table, or on to the name servers.

use super::{
    Dns, ResolvConf,
    message::{Question, Received, Transport},
    names::Domains,
    upstream::Upstream,
};
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Queries that name servers may be asked at once; each holds a socket or two. Those beyond are refused.
const MOST_FORWARDED: usize = 512;

/// Answers queries.
#[derive(Debug)]
pub(super) struct Resolver {
    dns: Arc<Dns>,
    /// Domain of the pod's namespace.
    domain: String,
    conf: ArcSwap<Conf>,
    room: Semaphore,
}

/// What follows from resolv.conf.
#[derive(Debug)]
struct Conf {
    domains: Domains,
    upstream: Upstream,
}

impl Resolver {
    /// For a pod whose namespace has this `domain`.
    pub(super) fn new(dns: Arc<Dns>, domain: &str, conf: ResolvConf) -> Self {
        Self {
            dns,
            domain: domain.to_owned(),
            conf: ArcSwap::from_pointee(Conf::new(domain, conf)),
            room: Semaphore::new(MOST_FORWARDED),
        }
    }

    /// Queries from now on go by `conf`; those under way end as they began.
    pub(super) fn put_in_force(&self, conf: ResolvConf) {
        let conf = Conf::new(&self.domain, conf);
        let before = self.conf.load();
        if before.domains != conf.domains || before.upstream != conf.upstream {
            tracing::info!(servers = ?conf.upstream, "resolv.conf has changed");
            self.conf.store(Arc::new(conf));
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
        let conf = self.conf.load_full();
        if question.is_for_addresses()
            && let Some(found) = table.find(question.query().name(), &conf.domains)
        {
            return question.answer(found);
        }
        drop(table);
        self.forward(&conf.upstream, question, bytes).await
    }

    async fn forward(
        &self,
        upstream: &Upstream,
        question: &Question,
        bytes: &[u8],
    ) -> Option<Vec<u8>> {
        let counters = &self.dns.counters;
        let Ok(_permit) = self.room.try_acquire() else {
            counters.dropped.increment();
            return question.failure();
        };
        counters.upstream_requests.increment();
        let started = tokio::time::Instant::now();
        let answer = upstream.ask(question, bytes).await;
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

impl Conf {
    fn new(domain: &str, conf: ResolvConf) -> Self {
        Self {
            domains: Domains::new(domain, conf.search),
            upstream: Upstream::new(conf.servers),
        }
    }
}
