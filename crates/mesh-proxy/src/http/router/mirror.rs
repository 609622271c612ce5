//! Copies of a request, for clusters that answer nobody.
//!
//! A copy goes its own way, in a task of the worker: it takes a permit and a connection of its cluster like any request,
//! and what comes of it is thrown away. Nothing that happens to it is ever seen by the request that it is a copy of.

use super::{Asked, Limits};
use crate::{
    http::{
        Body,
        canonical::Canonical,
        filter::{AlpnOverride, OwnMetadata},
        header::request::{Additions, outgoing},
        route::{Forward, Mirror},
    },
    upstream::{
        Cluster,
        balance::Pick,
        breaker::Resource,
        host::ActiveRequest,
        pool::{Protocol, Wanted},
    },
    worker::Worker,
};
use http::{Request, Version, request::Parts};
use http_body_util::BodyExt;
use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Duration};
use tokio::{task::spawn_local, time::timeout};

/// How long a mirror is waited for once it is silent, where the request may take for ever.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sends copies to the mirrors of the route that want one. Never waits.
pub(super) fn send(asked: &Asked<'_>, forward: &Forward, limits: &Limits) {
    let wanting = forward.mirrors.iter().filter(|mirror| mirror.draws());
    for mirror in wanting {
        let downstream = &asked.exchange.downstream;
        // An unknown cluster gets nothing, and neither does a tunnel.
        let found = downstream.worker.clusters.get(&mirror.cluster);
        let Some(cluster) = found.as_ref().filter(|_| asked.canonical.upgrade.is_none()) else {
            continue;
        };
        let copy = Copy::of(asked, mirror, limits);
        spawn_local(copy.go(Arc::clone(cluster)));
    }
}

/// A copy on its way.
struct Copy {
    worker: Rc<Worker>,
    destination: SocketAddr,
    version: Version,
    parts: Parts,
    canonical: Canonical,
    body: Body,
    alpn: Option<AlpnOverride>,
    metadata: Option<OwnMetadata>,
    expected: Option<Duration>,
    patience: Duration,
}

impl Copy {
    fn of(asked: &Asked<'_>, mirror: &Mirror, limits: &Limits) -> Self {
        let downstream = &asked.exchange.downstream;
        let mut canonical = asked.canonical.clone();
        canonical.authority = mirror.host(&canonical.authority);
        Self {
            worker: Rc::clone(&downstream.worker),
            destination: downstream.connection.destination,
            version: asked.exchange.version(),
            parts: asked.parts.clone(),
            canonical,
            body: asked
                .upload
                .map_or_else(Body::empty, |upload| Body::copy(upload)),
            alpn: asked.alpn.cloned(),
            metadata: asked.metadata.cloned(),
            expected: limits.request(),
            patience: limits.request().unwrap_or(PATIENCE),
        }
    }

    async fn go(self, cluster: Arc<Cluster>) {
        let limits = &cluster.info.model.limits;
        let Some(_permit) = cluster.info.breaker.acquire(limits, Resource::Requests) else {
            return;
        };
        let Ok(endpoint) = cluster.endpoint(&Pick {
            original_dst: Some(self.destination),
            hash: None,
            tried: &[],
            attempts: 0,
        }) else {
            return;
        };
        let active = ActiveRequest::new(&endpoint.host);
        let protocol = Protocol::wanted(cluster.info.model.http_protocol, self.version);
        let leased = self.worker.pools.lease(Wanted {
            info: &cluster.info,
            endpoint: &endpoint,
            alpn: (self.alpn.as_ref()).and_then(|alpn| alpn.offered(protocol, self.version)),
            protocol,
            preserve_header_case: false,
            fresh: false,
        });
        let Ok(mut lease) = leased.await else {
            return active.answered(true);
        };
        let mut headers = self.parts.headers.clone();
        if let Some(metadata) = self.metadata.as_ref().filter(|_| lease.peer().is_some()) {
            metadata.write(&mut headers);
        }
        let additions = Additions {
            expected_timeout: self.expected,
            is_bodiless: http_body::Body::is_end_stream(&self.body),
            ..Additions::default()
        };
        let protocol = lease.protocol();
        let head = outgoing(&self.parts, headers, &self.canonical, protocol, additions);
        let sending = lease.send(Request::from_parts(head, self.body));
        let Ok(Ok(response)) = timeout(self.patience, sending).await else {
            return active.answered(true);
        };
        active.answered(response.status().is_server_error());
        let mut body = response.into_body();
        // Its end gives the connection back.
        loop {
            match timeout(self.patience, body.frame()).await {
                Ok(Some(Ok(_))) => {}
                Ok(None) => return lease.finish(),
                Ok(Some(Err(_))) | Err(_) => return,
            }
        }
    }
}
