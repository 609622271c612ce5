//! Who may ask the admin interface, which shows and changes all, and who may give the agent orders: the pod itself, and no
//! page in a browser.
//!
//! A page of another site could be served under a name that then resolves to loopback; its requests come from here, but
//! bear that name as their host.

use super::reply::Reply;
use http::{HeaderMap, Request, StatusCode, header, uri::Authority};
use mesh_model::port::INBOUND_SOURCE_V4;
use std::net::{IpAddr, SocketAddr};

/// Checks where a request comes from and whom it means.
pub(super) fn admin<B>(request: &Request<B>, peer: SocketAddr) -> Result<(), Reply> {
    if !is_own(peer) {
        let why = "only the pod itself may use the admin interface";
        return Err(Reply::refuse(StatusCode::FORBIDDEN, why));
    }
    no_page(request)
}

/// Checks that a request of the pod itself was not made for it by a page in a browser.
pub(super) fn no_page<B>(request: &Request<B>) -> Result<(), Reply> {
    let refuse = |why: &str| Err(Reply::refuse(StatusCode::FORBIDDEN, why));
    if !means_loopback(request) {
        return refuse(
            "the request is for another host\nhint: ask for localhost, 127.0.0.1 or [::1]",
        );
    }
    if is_foreign_page(request.headers()) {
        return refuse("no page of another site may ask this");
    }
    Ok(())
}

/// Whether the peer is the pod itself. What comes from the address of inbound connections is loopback too, but forwarded:
/// whoever sent it is elsewhere.
pub(super) fn is_own(peer: SocketAddr) -> bool {
    let address = peer.ip().to_canonical();
    address.is_loopback() && address != IpAddr::V4(INBOUND_SOURCE_V4)
}

// HTTP/1.0 requests may do without a host; a browser sends none of those.
fn means_loopback<B>(request: &Request<B>) -> bool {
    let header = request.headers().get(header::HOST);
    let named = match (request.uri().authority(), header) {
        (Some(authority), _) => Some(authority.clone()),
        (None, Some(value)) => match value.to_str().ok().map(str::parse::<Authority>) {
            Some(Ok(authority)) => Some(authority),
            _ => return false,
        },
        (None, None) => None,
    };
    named.is_none_or(|host| matches!(host.host(), "localhost" | "127.0.0.1" | "[::1]" | "::1"))
}

fn is_foreign_page(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "none" && site != "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: Option<&str>) -> Request<()> {
        let mut request = Request::builder().uri("/config_dump");
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        request.body(()).expect("a request")
    }

    #[test]
    fn only_loopback_asks_and_only_for_loopback() {
        let own = "127.0.0.1:4000".parse().expect("an address");
        for (host, allowed) in [
            (Some("localhost:15000"), true),
            (Some("127.0.0.1"), true),
            (Some("[::1]:15000"), true),
            (None, true),
            (Some("evil.example:15000"), false),
            (Some("localhost.evil.example"), false),
            (Some("10.0.0.1:15000"), false),
            (Some("a b"), false),
        ] {
            assert_eq!(admin(&request(host), own).is_ok(), allowed, "{host:?}");
        }
        for (peer, allowed) in [
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("10.0.0.1:1", false),
            ("127.0.0.6:1", false),
            ("[::ffff:127.0.0.6]:1", false),
            ("[::6]:1", false),
        ] {
            let peer = peer.parse().expect("an address");
            assert_eq!(
                admin(&request(Some("localhost")), peer).is_ok(),
                allowed,
                "{peer}"
            );
        }
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let own = "127.0.0.1:4000".parse().expect("an address");
        let mut request = request(Some("localhost:15000"));
        let headers = request.headers_mut();
        headers.insert(
            "sec-fetch-site",
            header::HeaderValue::from_static("cross-site"),
        );
        assert!(admin(&request, own).is_err());
    }
}
