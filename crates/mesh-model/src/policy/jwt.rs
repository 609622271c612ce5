//! Tokens that say who asks (Envoy `JwtAuthentication`).

use crate::{ClusterName, matcher::StringMatcher, route::RouteMatch};
use std::time::Duration;

/// How far a token's times may be off where nothing is set, as in Envoy.
pub const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(60);
/// How long fetched keys are good where nothing is set, as in Envoy.
pub const DEFAULT_CACHE_DURATION: Duration = Duration::from_secs(600);

/// Which requests need a token of whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwtAuthn {
    /// Who issues tokens, in the order of their names, which are distinct.
    pub providers: Vec<Provider>,
    /// The first whose match takes a request says what it needs; without one it needs nothing.
    pub rules: Vec<Rule>,
    /// Requirements by their names, in order; rules and routes speak of them.
    pub requirements: Vec<(String, Requirement)>,
    /// CORS preflight requests need nothing.
    pub bypass_cors_preflight: bool,
    /// What is wrong is not told to the client.
    pub strip_failure_response: bool,
}

/// What requests need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which requests.
    pub matches: RouteMatch,
    /// What they need.
    pub needs: Needs,
}

/// What a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// This.
    This(Requirement),
    /// The requirement of that name.
    Named(String),
}

/// What a route changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtOverride {
    /// Its requests need nothing.
    Off,
    /// They need what is called so; where nothing is, they are refused.
    Named(String),
}

/// What a token, or several, must be. The names of providers are those of [`JwtAuthn::providers`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Of this provider.
    Provider(String),
    /// Of this provider, for one of these audiences instead of the provider's.
    Audiences(String, Vec<String>),
    /// One of these, at least two.
    Any(Vec<Requirement>),
    /// All of these, at least two.
    All(Vec<Requirement>),
    /// There is none, or it is good.
    AllowMissing,
    /// There may be one, good or not.
    AllowMissingOrFailed,
}

/// Who issues tokens, where they stand in requests, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// `iss` of its tokens; `None`: any.
    pub issuer: Option<String>,
    /// One of these must be in `aud`; without any, all are good.
    pub audiences: Vec<String>,
    /// What `sub` must look like.
    pub subjects: Option<StringMatcher>,
    /// `exp` must be there.
    pub require_expiration: bool,
    /// Longest time from `iat`, or now, to `exp`.
    pub max_lifetime: Option<Duration>,
    /// Its keys.
    pub keys: Keys,
    /// The token is sent on.
    pub forward: bool,
    /// Headers in which tokens stand, each behind a text. Without any place: `authorization` behind `Bearer `, and the
    /// parameter `access_token`.
    pub from_headers: Vec<TokenHeader>,
    /// Parameters of the query in which tokens stand.
    pub from_params: Vec<String>,
    /// Cookies in which tokens stand.
    pub from_cookies: Vec<String>,
    /// Header, lower case, in which the payload is sent on.
    pub forward_payload_header: Option<String>,
    /// That payload is padded.
    pub pad_forward_payload_header: bool,
    /// Key of the filter's metadata under which the payload is written.
    pub payload_in_metadata: Option<String>,
    /// Key under which the token's header is written.
    pub header_in_metadata: Option<String>,
    /// Claims that are lists of words in the metadata.
    pub space_delimited_claims: Vec<String>,
    /// How far a token's times may be off; not zero.
    pub clock_skew: Duration,
    /// Claims that are sent on in headers.
    pub claim_to_headers: Vec<ClaimToHeader>,
}

/// A header in which tokens stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHeader {
    /// Its name, lower case.
    pub name: String,
    /// What stands before the token; may be empty.
    pub value_prefix: String,
}

/// A claim that is sent on in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimToHeader {
    /// The header's name, lower case.
    pub header: String,
    /// Name of the claim; dots lead into objects.
    pub claim: String,
}

/// Where a provider's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// A JSON Web Key Set in the configuration itself.
    Inline(String),
    /// Fetched.
    Remote(RemoteKeys),
}

/// Keys that are fetched (Envoy `RemoteJwks`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteKeys {
    /// `http://host/path`, or `https://…`; the cluster decides whether TLS is spoken.
    pub uri: String,
    /// The cluster that is asked.
    pub cluster: ClusterName,
    /// How long that may take; not zero.
    pub timeout: Duration,
    /// How long they are good.
    pub cache_duration: Duration,
}
