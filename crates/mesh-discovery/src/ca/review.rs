//! Service account tokens, checked by the API server that issued them (`TokenReview`).
//!
//! Unlike a check of the signature alone, this refuses the tokens of pods and service accounts that are gone. What cannot
//! be a token for us is refused without asking, so that garbage from outside costs the API server nothing, and who shows
//! refused tokens again and again is not asked for at once. A token that was accepted not long ago is also accepted while
//! the API server does not answer.

mod remembered; // whose tokens were

use super::{
    caller::{Caller, Proof},
    limit::CallerLimit,
    token::{self, TokenError},
};
use kube::{Api, Client, api::PostParams};
use mesh_api::k8s::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use remembered::Remembered;
use serde::Deserialize;
use std::{fmt, net::IpAddr, time::Duration};
use tokio::sync::Semaphore;

/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Questions at once.
const AT_ONCE: usize = 64;
/// Where the API server says which pod a token is bound to.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";

/// Asks the API server whose a token is.
pub struct TokenReviewer {
    reviews: Api<TokenReview>,
    audiences: Vec<String>,
    trust_domain: String,
    at_once: Semaphore,
    /// Refusals, by the address that the token came from.
    refusals: CallerLimit,
    remembered: Remembered,
}

/// What a token claims of itself, before anybody has checked it.
#[derive(Deserialize)]
struct Unchecked {
    sub: String,
    exp: u64,
    #[serde(default)]
    aud: Audiences,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

impl TokenReviewer {
    /// Accepts tokens for one of `audiences`. Identities will be of `trust_domain`.
    pub fn new(client: Client, audiences: Vec<String>, trust_domain: &str) -> Self {
        Self {
            reviews: Api::all(client),
            audiences,
            trust_domain: trust_domain.into(),
            at_once: Semaphore::new(AT_ONCE),
            refusals: CallerLimit::default(),
            remembered: Remembered::default(),
        }
    }

    /// Whose token this is, which has come from `address`.
    ///
    /// # Errors
    /// If it is not valid now, for us; [`TokenError::Unavailable`] if the API server does not say, and has not said it not
    /// long ago; [`TokenError::TooMany`] if too many tokens from there were refused.
    pub async fn verify(&self, token: &str, address: IpAddr) -> Result<Caller, TokenError> {
        self.plausible(token)?;
        match self.ask_again(token, address).await {
            Err(TokenError::Unavailable(reason)) => {
                let remembered = self.remembered.of(token);
                if let Some(caller) = &remembered {
                    tracing::debug!(%caller, reason, "accepted a token as the API server did not long ago");
                }
                remembered.ok_or(TokenError::Unavailable(reason))
            }
            reviewed => reviewed,
        }
    }

    /// As [`TokenReviewer::verify`], but the API server is asked even for a token that has expired, and nothing that it
    /// said before counts.
    ///
    /// # Errors
    /// As [`TokenReviewer::verify`].
    pub async fn ask_again(&self, token: &str, address: IpAddr) -> Result<Caller, TokenError> {
        let address = address.to_canonical().to_string();
        let review = tokio::time::timeout(TIMEOUT, self.review(token, &address)).await;
        review.unwrap_or_else(|_| Err(late()))
    }

    async fn review(&self, token: &str, address: &str) -> Result<Caller, TokenError> {
        let permit = self.at_once.acquire().await;
        let _permit = permit.map_err(|e| TokenError::Unavailable(e.to_string()))?;
        self.refusals
            .check(address)
            .map_err(|wait| TokenError::TooMany(wait.as_secs().max(1)))?;
        let reviewed = self.caller(self.ask(token).await?);
        match &reviewed {
            Ok(caller) => self.remembered.accepted(token, caller),
            Err(_) => {
                self.remembered.refused(token);
                // More than the limit is refused by the next check.
                let _ = self.refusals.take(address);
            }
        }
        reviewed
    }

    /// Whether it is worth a question.
    fn plausible(&self, token: &str) -> Result<(), TokenError> {
        if token.len() > token::MAX_BYTES {
            return Err(TokenError::TooLarge);
        }
        let claims: Unchecked = jsonwebtoken::dangerous::insecure_decode_claims(token)
            .map_err(|_| TokenError::Malformed)?;
        if claims.exp.saturating_add(token::SKEW_S) < jsonwebtoken::get_current_timestamp() {
            return Err(TokenError::Expired);
        }
        let for_us = match &claims.aud {
            Audiences::One(audience) => self.audiences.contains(audience),
            Audiences::Many(all) => all.iter().any(|a| self.audiences.contains(a)),
        };
        if !for_us {
            return Err(TokenError::Audience(self.audiences.join(" or ")));
        }
        token::service_account(&claims.sub).map(|_| ())
    }

    async fn ask(&self, token: &str) -> Result<TokenReviewStatus, TokenError> {
        let unavailable = |reason: &dyn fmt::Display| TokenError::Unavailable(reason.to_string());
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(self.audiences.clone()),
                token: Some(token.to_owned()),
            },
            ..TokenReview::default()
        };
        let answer = self.reviews.create(&PostParams::default(), &review).await;
        let status = answer.map_err(|e| unavailable(&e))?.status;
        status.ok_or_else(|| unavailable(&"the answer has no status"))
    }

    fn caller(&self, status: TokenReviewStatus) -> Result<Caller, TokenError> {
        if status.authenticated != Some(true) {
            return Err(TokenError::Refused(status.error.unwrap_or_default()));
        }
        // A server that knows nothing of audiences would accept tokens that were meant for itself.
        let audiences = status.audiences.unwrap_or_default();
        if !audiences.iter().any(|a| self.audiences.contains(a)) {
            return Err(TokenError::Audience(self.audiences.join(" or ")));
        }
        let user = status.user.unwrap_or_default();
        let username = user.username.unwrap_or_default();
        let (namespace, service_account) = token::service_account(&username)?;
        let pod = user.extra.and_then(|mut e| e.remove(POD_NAME)?.pop());
        Ok(Caller {
            identity: token::identity(&self.trust_domain, namespace, service_account),
            pod,
            proof: Proof::Token,
        })
    }
}

fn late() -> TokenError {
    TokenError::Unavailable(format!("no answer within {TIMEOUT:?}"))
}

impl Default for Audiences {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl fmt::Debug for TokenReviewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenReviewer")
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
