//! `istio.alpn`: the ALPN offered upstream follows the protocol that the cluster speaks upstream (which may be the
//! client's), so that the receiver can tell HTTP from other traffic, and its version, before it decrypts anything.

use crate::upstream::{pool::Protocol, transport::Alpn};
use http::Version;
use mesh_model::http as model;
use std::sync::Arc;

/// A compiled [`model::Alpn`].
#[derive(Clone, Debug)]
pub(in crate::http) struct AlpnOverride {
    http10: Option<Arc<Alpn>>,
    http11: Option<Arc<Alpn>>,
    http2: Option<Arc<Alpn>>,
}

impl AlpnOverride {
    pub(super) fn new(model: &model::Alpn) -> Self {
        let list = |protocols: &[String]| (!protocols.is_empty()).then(|| Alpn::intern(protocols));
        Self {
            http10: list(&model.http10),
            http11: list(&model.http11),
            http2: list(&model.http2),
        }
    }

    /// What is offered for a request that came in `downstream` and is to be sent on in `upstream`.
    pub(in crate::http) fn offered(
        &self,
        upstream: Protocol,
        downstream: Version,
    ) -> Option<&Arc<Alpn>> {
        match upstream {
            Protocol::Http2 => self.http2.as_ref(),
            Protocol::Http1 if downstream < Version::HTTP_11 => self.http10.as_ref(),
            Protocol::Http1 => self.http11.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_what_is_spoken_upstream() {
        let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        let alpn = AlpnOverride::new(&model::Alpn {
            http10: list(&["istio-http/1.0"]),
            http11: list(&["istio-http/1.1"]),
            http2: vec![],
        });
        let first = |upstream, downstream| {
            let offered = alpn.offered(upstream, downstream);
            offered.map(|a| a.protocols[0].as_str())
        };
        let (http1, http2) = (Protocol::Http1, Protocol::Http2);
        assert_eq!(first(http1, Version::HTTP_10), Some("istio-http/1.0"));
        assert_eq!(first(http1, Version::HTTP_11), Some("istio-http/1.1"));
        assert_eq!(first(http1, Version::HTTP_2), Some("istio-http/1.1"));
        assert_eq!(first(http2, Version::HTTP_11), None, "the transport's own");
    }
}
