//! A provider, compiled: its places, its keys, and what its tokens leave behind.

use super::{
    Counters, Judged,
    effect::Effects,
    location::{Found, Places},
    remote::Remote,
};
use crate::{
    policy::jwt::{KeySet, Status, Token},
    upstream::Clusters,
};
use http::{HeaderMap, HeaderName, uri::PathAndQuery};
use mesh_model::policy::jwt::{self as model, Keys};

#[derive(Debug)]
pub(super) struct Provider {
    model: model::Provider,
    places: Places,
    keys: Source,
    // Headers that only its tokens may write.
    own_headers: Box<[HeaderName]>,
}

#[derive(Debug)]
enum Source {
    Local(KeySet),
    Remote(Box<Remote>),
}

impl Provider {
    pub(super) fn new(model: &model::Provider, counters: Counters, clusters: &Clusters) -> Self {
        let claims = model.claim_to_headers.iter().map(|claim| &claim.header);
        let own = claims.chain(&model.forward_payload_header);
        Self {
            places: Places::new(model),
            keys: match &model.keys {
                // A set that can't be read has no keys: all tokens are refused.
                Keys::Inline(text) => {
                    Source::Local(KeySet::read(text.as_bytes()).unwrap_or(KeySet::empty()))
                }
                Keys::Remote(remote) => {
                    Source::Remote(Box::new(Remote::new(remote, counters, clusters)))
                }
            },
            own_headers: own
                .filter_map(|name| HeaderName::try_from(name.as_str()).ok())
                .collect(),
            model: model.clone(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.model.name
    }

    pub(super) fn audiences(&self) -> &[String] {
        &self.model.audiences
    }

    pub(super) fn is_local(&self) -> bool {
        matches!(self.keys, Source::Local(_))
    }

    /// Takes off what only its tokens may write.
    pub(super) fn sanitize(&self, headers: &mut HeaderMap) {
        for name in &self.own_headers {
            headers.remove(name);
        }
    }

    /// Tokens that stand in its places.
    pub(super) fn tokens(&self, headers: &HeaderMap, path: &PathAndQuery) -> Vec<Found> {
        self.places.tokens(headers, path)
    }

    /// Whether a token, by what it says and where it stood, is one of its.
    pub(super) fn issues(&self, token: &Token<'_>, found: &Found) -> bool {
        let issuer = self.model.issuer.as_ref();
        self.places.hold(&found.place) && issuer.is_none_or(|issuer| issuer == token.issuer())
    }

    /// Whether a token is good.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) async fn verify(
        &self,
        token: &Token<'_>,
        audiences: &[String],
        judged: Judged<'_>,
    ) -> Result<(), Status> {
        token.judge(&self.model, audiences, judged.now)?;
        match &self.keys {
            Source::Local(keys) => keys.verify(token),
            Source::Remote(remote) => remote.verify(token, judged.worker).await,
        }
    }

    /// What a good token leaves behind.
    pub(super) fn leave_behind(&self, token: &Token<'_>, found: &Found, effects: &mut Effects<'_>) {
        if !self.model.forward {
            effects.take_off(&found.place);
        }
        for claim in &self.model.claim_to_headers {
            effects.claim(&claim.header, &claim.claim, token.claims());
        }
        if let Some(header) = &self.model.forward_payload_header {
            effects.payload(header, token, self.model.pad_forward_payload_header);
        }
        if let Some(key) = &self.model.payload_in_metadata {
            effects.metadata(key, token.claims(), &self.model.space_delimited_claims);
        }
        if let Some(key) = &self.model.header_in_metadata {
            effects.metadata(key, token.header(), &[]);
        }
    }
}
