//! Tokens: read strictly, judged by their claims, verified by keys.
//!
//! A token is hostile until it is verified. What can be read in two ways (a name that is there twice, an encoding with
//! loose ends) is not read at all; a key is only used for the algorithms of its own kind.

pub(crate) mod keys; //  key sets, and signatures
pub(crate) mod token; // what a token says

#[cfg(test)]
pub(crate) mod tests;

mod json; // JSON in which no name is there twice

pub(crate) use keys::KeySet;
pub(crate) use token::Token;

/// Why a token is not good; Envoy's texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Status {
    #[error("Jwt is missing")]
    Missing,
    #[error("Jwt not yet valid")]
    NotYetValid,
    #[error("Jwt is expired")]
    Expired,
    #[error("Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections")]
    BadFormat,
    #[error("Jwt header is an invalid Base64url encoded")]
    HeaderBase64,
    #[error("Jwt header is an invalid JSON")]
    HeaderJson,
    #[error("Jwt header [alg] field is required and must be a string")]
    HeaderAlg,
    #[error("Jwt header [alg] is not supported")]
    UnknownAlg,
    #[error("Jwt header [kid] field is not a string")]
    HeaderKid,
    #[error("Jwt payload is an invalid Base64url encoded")]
    PayloadBase64,
    #[error("Jwt payload is an invalid JSON")]
    PayloadJson,
    #[error("Jwt payload [iss] field is not a string")]
    Iss,
    #[error("Jwt payload [sub] field is not a string")]
    Sub,
    #[error("Jwt payload [iat] field is not an integer")]
    Iat,
    #[error("Jwt payload [nbf] field is not an integer")]
    Nbf,
    #[error("Jwt payload [exp] field is not an integer")]
    Exp,
    #[error("Jwt payload [aud] field is not a string or string list")]
    Aud,
    #[error("Jwt signature is an invalid Base64url encoded")]
    SignatureBase64,
    #[error("Jwt issuer is not configured")]
    UnknownIssuer,
    #[error("Audiences in Jwt are not allowed")]
    AudienceNotAllowed,
    #[error("Jwt subject is not allowed")]
    SubjectNotAllowed,
    #[error("Jwt verification fails")]
    VerificationFails,
    #[error("Jwks doesn't have key to match kid or alg from Jwt")]
    NoSuchKey,
    #[error("Jwks doesn't have any valid public key")]
    NoKeys,
    #[error("Jwks remote fetch is failed")]
    FetchFailed,
    #[error("Jwt expiration time is required")]
    NoExpiration,
    #[error("Jwt life time is too long")]
    LivesTooLong,
    #[error("Jwt requirement is not known")]
    NoRequirement,
}
