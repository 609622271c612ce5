//! From HTTP to bytes: what happens to a connection once its upgrade (WebSocket) was accepted.

use super::{Body, canonical::Canonical, exchange::Finish, header, router::Answer};
use crate::network::copy::two_way;
use http::{Response, request::Parts};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

/// The client's side of the upgrade that the request asks for.
pub(super) fn client(parts: &mut Parts, canonical: &Canonical) -> Option<OnUpgrade> {
    let client = parts.extensions.remove::<OnUpgrade>();
    client.filter(|_| canonical.upgrade.is_some())
}

/// The response that accepts the upgrade. When it has gone out, bytes pass in both directions until both have ended.
pub(super) fn tunnel(client: OnUpgrade, answer: Answer, finish: Finish) -> Response<Body> {
    let Answer {
        mut response,
        lease,
        flight,
        ..
    } = answer;
    let server = hyper::upgrade::on(&mut response);
    spawn_local(async move {
        pass(client, server, finish).await;
        // The connection counts as open, and the request as in flight, until here.
        drop((lease, flight));
    });
    let (mut parts, _) = response.into_parts();
    header::response::arrived(parts.status, &mut parts.headers);
    Response::from_parts(parts, Body::empty())
}

async fn pass(client: OnUpgrade, server: OnUpgrade, mut finish: Finish) {
    let (Ok(client), Ok(server)) = tokio::join!(client, server) else {
        return;
    };
    let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
    let ended = two_way(&mut client, &mut server, finish.idle_limit()).await;
    finish.received_bytes(ended.received);
    finish.sent_bytes(ended.sent);
    finish.complete();
}
