//! Asks a cluster something of our own, on behalf of a filter: keys, decisions.
//!
//! Over the worker's pools, like the requests that are passed on, but once: no retry, no redirect. Bodies are held whole,
//! so both are bounded. How long it may take is the caller's matter.

use super::Body;
use crate::{
    upstream::{
        balance::Pick,
        breaker::Resource,
        clusters::ClusterSlot,
        failure::{Failure, FailureKind},
        host::ActiveRequest,
        pool::{Protocol, Wanted},
    },
    worker::Worker,
};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, Uri, Version, header, uri::Scheme};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use mesh_model::cluster::UpstreamHttp;
use std::sync::Arc;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Response<()>,
    pub(super) body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It did not get through.
    #[error("the cluster was not reached")]
    Failed(#[from] Failure),
    /// It broke off.
    #[error("the answer broke off")]
    Broken(#[source] hyper::Error),
    /// It is longer than wanted.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// Sends `request`, whose URI is absolute, and waits for an answer of at most `most` bytes. Where the cluster does not say
/// which HTTP it speaks, the request's version does.
///
/// # Errors
/// If there is none.
pub(super) async fn call(
    worker: &Worker,
    slot: &Arc<ClusterSlot>,
    request: Request<Bytes>,
    most: usize,
) -> Result<Answer, Error> {
    let snapshot = worker.clusters.get(slot);
    let no_cluster = || Failure::unsent(FailureKind::NoCluster);
    let cluster = snapshot.as_deref().ok_or_else(no_cluster)?;
    let (breaker, limits) = (&cluster.info.breaker, &cluster.info.model.limits);
    let permit = breaker.acquire(limits, Resource::Requests);
    let _permit = permit.ok_or_else(|| Failure::unsent(FailureKind::Overflow))?;
    let endpoint = cluster.endpoint(&Pick {
        original_dst: None,
        hash: None,
        tried: &[],
        attempts: 0,
    })?;
    let active = ActiveRequest::new(&endpoint.host);
    let wanted = match cluster.info.model.http_protocol {
        UpstreamHttp::Http1 => Protocol::Http1,
        UpstreamHttp::Http2 => Protocol::Http2,
        UpstreamHttp::Downstream if request.version() == Version::HTTP_2 => Protocol::Http2,
        UpstreamHttp::Downstream => Protocol::Http1,
    };
    let leased = worker.pools.lease(Wanted {
        info: &cluster.info,
        endpoint: &endpoint,
        alpn: None,
        protocol: wanted,
        preserve_header_case: false,
        fresh: false,
    });
    let answered = async {
        let mut lease = leased.await?;
        let request = addressed(request, lease.protocol());
        let sent = lease.send(request).await;
        let (head, incoming) = sent.map_err(|error| error.failure)?.into_parts();
        let body = read(incoming, most).await?;
        lease.finish();
        Ok(Answer {
            head: Response::from_parts(head, ()),
            body,
        })
    };
    let answer: Result<Answer, Error> = answered.await;
    active.answered(!matches!(&answer, Ok(a) if !a.head.status().is_server_error()));
    answer
}

/// The request as `protocol` has it.
fn addressed(request: Request<Bytes>, protocol: Protocol) -> Request<Body> {
    let (mut head, body) = request.into_parts();
    match protocol {
        Protocol::Http1 => {
            head.version = Version::HTTP_11;
            let host = head.uri.authority().map(|a| a.as_str()).unwrap_or_default();
            if let Ok(host) = HeaderValue::from_str(host) {
                head.headers.insert(header::HOST, host);
            }
            if let Some(path) = head.uri.path_and_query() {
                head.uri = Uri::from(path.clone());
            }
        }
        Protocol::Http2 => {
            head.version = Version::HTTP_2;
            let mut uri = head.uri.clone().into_parts();
            uri.scheme.get_or_insert(Scheme::HTTP);
            if let Ok(uri) = Uri::from_parts(uri) {
                head.uri = uri;
            }
        }
    }
    Request::from_parts(head, Body::full(body))
}

async fn read(mut incoming: Incoming, most: usize) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(Error::Broken)?;
        match frame.into_data() {
            Ok(data) if body.len() + data.len() > most => return Err(Error::TooLong(most)),
            Ok(data) => body.extend_from_slice(&data),
            // Trailers say nothing that a filter asks for.
            Err(_) => {}
        }
    }
    Ok(body.freeze())
}
