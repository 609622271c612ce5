//! One try: a host, a connection, a request on it.

use super::{Asked, Limits};
use crate::{
    http::{
        Body,
        body::Gate,
        grpc,
        header::{
            self,
            request::{Additions, outgoing},
        },
        matching::RequestHead,
        route::Forward,
    },
    publish::Local,
    telemetry::UpstreamRecord,
    upstream::{
        Cluster,
        balance::Pick,
        breaker::{Permit, Resource},
        endpoint::Endpoint,
        failure::{Failure, FailureKind},
        host::ActiveRequest,
        outlier::Outcome,
        pool::{Lease, Protocol, SendError, Wanted},
    },
};
use http::{HeaderValue, Request, Response, header::SET_COOKIE};
use hyper::body::Incoming;
use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long a client that waits for `100 Continue` is left waiting by a server that says nothing.
const CONTINUE: Duration = Duration::from_secs(1);

/// How often a request that met the end of a connection goes to a new one.
const RESENDS: u32 = 2;

/// The tries of one request.
pub(super) struct Attempts<'a> {
    asked: &'a Asked<'a>,
    forward: &'a Forward,
    limits: &'a Limits,
    number: Cell<u32>,
    // Of a try after the first: whether the one before took too long.
    after_timeout: Cell<Option<bool>>,
    // Hosts that were tried before, by number.
    tried: RefCell<Vec<u64>>,
    // The host that is being tried.
    active: RefCell<Option<ActiveRequest>>,
    snapshot: RefCell<Option<Snapshot>>,
    // What keeps the request together with others, once it is known.
    hash: Cell<Option<Option<u64>>>,
    // What the client is to be given.
    cookies: RefCell<Vec<HeaderValue>>,
}

/// A cluster at one moment, as the worker holds it; empty if it is not known.
type Snapshot = Local<Option<Arc<Cluster>>>;

/// A server's answer.
#[derive(Debug)]
pub(in crate::http) struct Answer {
    pub(in crate::http) response: Response<Incoming>,
    pub(in crate::http) lease: Lease,
    pub(in crate::http) flight: Flight,
    /// An authenticated peer says that no application has seen the request.
    pub(in crate::http) is_unsent: bool,
}

/// Counts a request as in flight until its response has ended.
#[derive(Debug)]
pub(in crate::http) struct Flight {
    active: Option<ActiveRequest>,
    _permit: Permit,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(asked: &'a Asked<'a>, forward: &'a Forward, limits: &'a Limits) -> Self {
        Self {
            asked,
            forward,
            limits,
            number: Cell::new(0),
            after_timeout: Cell::new(None),
            tried: RefCell::default(),
            active: RefCell::default(),
            snapshot: RefCell::default(),
            hash: Cell::default(),
            cookies: RefCell::default(),
        }
    }

    /// The cluster of the last try.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// The try that is under way took too long.
    pub(super) fn timed_out(&self) {
        if let Some(active) = &*self.active.borrow() {
            active.host().timed_out();
            if let Some(Some(cluster)) = self.snapshot().as_deref() {
                cluster.info.put(active.host(), Outcome::TimedOut);
            }
        }
    }

    /// Another try follows; `timeout`: because this one took too long.
    pub(super) fn goes_on_after(&self, timeout: bool) {
        self.after_timeout.set(Some(timeout));
    }

    /// The next try.
    pub(super) async fn next(&self) -> Result<Answer, Failure> {
        self.number.set(self.number.get() + 1);
        self.asked.exchange.tries(self.number.get());
        if let Some(before) = self.active.take() {
            self.tried.borrow_mut().push(before.host().id);
        }
        let downstream = &self.asked.exchange.downstream;
        let target = self.forward.target.cluster(self.asked.exchange.random);
        let snapshot = downstream.worker.clusters.get(target);
        self.snapshot.replace(Some(snapshot.clone()));
        let Some(cluster) = snapshot.as_deref() else {
            return Err(Failure::unsent(FailureKind::NoCluster));
        };
        let unsent = |_: &Failure| self.left(cluster.info.record());
        let permit = permit(cluster).inspect_err(unsent)?;
        let endpoint = self.pick(cluster).inspect_err(unsent)?;
        let active = ActiveRequest::new(&endpoint.host);
        self.active.replace(Some(active));
        let result = self.send(cluster, &endpoint).await;
        match &result {
            Ok((response, _)) => {
                let status = grpc::outcome(self.asked.canonical.is_grpc, response);
                cluster.info.put(&endpoint.host, Outcome::Answered(status));
            }
            Err(failure) => cluster.info.put_failure(&endpoint.host, failure),
        }
        if let Some(active) = &*self.active.borrow() {
            active.answered(!matches!(&result, Ok((r, _)) if !r.status().is_server_error()));
        }
        let (mut response, lease) = result?;
        let marked = header::response::take_unsent_mark(response.headers_mut());
        Ok(Answer {
            is_unsent: marked && lease.peer().is_some(),
            response,
            lease,
            flight: Flight {
                active: self.active.take(),
                _permit: permit,
            },
        })
    }

    /// An answer is not passed on. Its connection is given back if nothing more comes on it, else closed; the next try is to
    /// avoid its host.
    pub(super) fn give_up(&self, answer: Answer) {
        if http_body::Body::is_end_stream(answer.response.body()) {
            answer.lease.finish();
        }
        self.active.replace(answer.flight.active);
    }

    fn left(&self, record: UpstreamRecord) {
        self.asked.exchange.left_by(Rc::new(record));
    }

    fn pick<'c>(&self, cluster: &'c Cluster) -> Result<std::borrow::Cow<'c, Endpoint>, Failure> {
        let destination = self.asked.exchange.downstream.connection.destination;
        let tried = self.tried.borrow();
        let retry = self.forward.retry.as_ref();
        let avoided: &[u64] = match retry {
            Some(retry) if retry.avoid_previous_hosts => &tried,
            _ => &[],
        };
        cluster.endpoint(&Pick {
            original_dst: Some(destination),
            hash: cluster.hashes().then(|| self.hash()).flatten(),
            tried: avoided,
            attempts: retry.map_or(0, |retry| retry.host_selection_attempts),
        })
    }

    // The same for all tries.
    fn hash(&self) -> Option<u64> {
        if let Some(known) = self.hash.get() {
            return known;
        }
        let Asked {
            parts,
            canonical,
            exchange,
            ..
        } = self.asked;
        let head = RequestHead {
            host: canonical.host(),
            path: &canonical.path,
            method: &parts.method,
            headers: &parts.headers,
            random: exchange.random,
        };
        let connection = &exchange.downstream.connection;
        let mut cookies = self.cookies.borrow_mut();
        let hash = self.forward.hash.hash(&head, connection, &mut cookies);
        self.hash.set(Some(hash));
        hash
    }

    /// Gives the client the cookies that keep it with its server.
    pub(super) fn give_cookies(&self, answer: &mut Answer) {
        for cookie in self.cookies.take() {
            answer.response.headers_mut().append(SET_COOKIE, cookie);
        }
    }

    // A request may meet the end of a connection that was kept open: the server closed it, or is about to go. If it is
    // proven that nothing was read, or reading it twice does no harm, it goes to a new connection, and this is not a retry.
    async fn send(
        &self,
        cluster: &Cluster,
        endpoint: &Endpoint,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        let mut resent = 0;
        loop {
            let (failure, was_reused) = match self.send_once(cluster, endpoint, resent > 0).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if resent == RESENDS || !self.may_resend(&failure, was_reused) {
                return Err(failure);
            }
            resent += 1;
        }
    }

    fn may_resend(&self, failure: &Failure, was_reused: bool) -> bool {
        let ended = failure.kind == FailureKind::ConnectionTermination;
        let is_harmless = was_reused && header::request::is_idempotent(&self.asked.parts.method);
        let can_replay = self.asked.upload.is_none_or(|upload| upload.can_replay());
        ended && can_replay && (failure.unsent || is_harmless)
    }

    // The failure comes with whether the connection had been used before.
    async fn send_once(
        &self,
        cluster: &Cluster,
        endpoint: &Endpoint,
        fresh: bool,
    ) -> Result<(Response<Incoming>, Lease), (Failure, bool)> {
        let downstream = &self.asked.exchange.downstream;
        let protocol = self.protocol(cluster);
        let version = self.asked.exchange.version();
        let leased = downstream.worker.pools.lease(Wanted {
            info: &cluster.info,
            endpoint,
            alpn: (self.asked.alpn).and_then(|alpn| alpn.offered(protocol, version)),
            protocol,
            preserve_header_case: downstream.manager.preserve_header_case,
            fresh,
        });
        let mut lease = leased.await.map_err(|failure| {
            self.left(cluster.info.record_of(endpoint, &failure));
            (failure, false)
        })?;
        self.asked.exchange.left_by(Rc::clone(lease.record()));
        cluster.info.put(&endpoint.host, Outcome::Connected);
        let began = Instant::now();
        let sent = self.exchange(&mut lease).await;
        let mut response = sent.map_err(|error| (error.failure, lease.is_reused()))?;
        if header::response::is_unclear(response.headers()) {
            return Err((Failure::sent(FailureKind::ProtocolError), lease.is_reused()));
        }
        lease.learn(response.headers());
        header::response::service_time(response.headers_mut(), began.elapsed());
        Ok((response, lease))
    }

    // An upgrade is HTTP/1's.
    fn protocol(&self, cluster: &Cluster) -> Protocol {
        if self.asked.canonical.upgrade.is_some() {
            return Protocol::Http1;
        }
        Protocol::wanted(
            cluster.info.model.http_protocol,
            self.asked.exchange.version(),
        )
    }

    async fn exchange(&self, lease: &mut Lease) -> Result<Response<Incoming>, SendError> {
        let http1 = lease.protocol() == Protocol::Http1;
        let gate = (http1 && self.asked.canonical.expects_continue).then(Gate::default);
        let mut request = self.request(lease, gate.clone());
        let Some(gate) = gate else {
            return lease.send(request).await;
        };
        let opener = gate.clone();
        hyper::ext::on_informational(&mut request, move |response| {
            if response.status() == http::StatusCode::CONTINUE {
                opener.open();
            }
        });
        let mut sending = pin!(lease.send(request));
        let result = tokio::select! {
            result = &mut sending => result,
            () = sleep(CONTINUE) => {
                gate.open();
                sending.await
            }
        };
        // A final answer instead of `100 Continue`: the body is not wanted.
        gate.close();
        result
    }

    fn request(&self, lease: &Lease, gate: Option<Gate>) -> Request<Body> {
        let Asked {
            parts,
            canonical,
            upload,
            metadata,
            operation,
            tells_attempt,
            tells_timeouts,
            exchange,
            ..
        } = self.asked;
        let additions = Additions {
            attempt: tells_attempt.then(|| self.number.get()),
            after_timeout: self.after_timeout.get().filter(|_| *tells_timeouts),
            expected_timeout: self.limits.expected(),
            operation: *operation,
            is_bodiless: upload.is_none(),
        };
        let mut headers = parts.headers.clone();
        if let Some(metadata) = metadata.filter(|_| lease.peer().is_some()) {
            metadata.write(&mut headers);
        }
        let mut head = outgoing(parts, headers, canonical, lease.protocol(), additions);
        if exchange.downstream.manager.preserve_header_case {
            head.extensions = parts.extensions.clone();
        }
        let body = upload.map_or_else(Body::empty, |upload| Body::upload(upload, gate));
        Request::from_parts(head, body)
    }
}

fn permit(cluster: &Cluster) -> Result<Permit, Failure> {
    let limits = &cluster.info.model.limits;
    let permit = cluster.info.breaker.acquire(limits, Resource::Requests);
    permit.ok_or_else(|| Failure::unsent(FailureKind::Overflow))
}
