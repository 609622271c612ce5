//! How a peer's certificate is checked.

use super::{decode_secret, encode_secret};
use crate::{
    decode::At,
    pb::envoy::{
        extensions::transport_sockets::tls::v3::{
            CertificateValidationContext,
            common_tls_context::{CombinedCertificateValidationContext, ValidationContextType},
        },
        r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern},
    },
};
use mesh_model::{matcher::StringMatch, tls::PeerValidation};
use std::mem::take;

// Istio writes the list of SANs without their type; what came after it is read by no Envoy of the article's age.
#[allow(deprecated)]
pub(super) fn encode(validation: &PeerValidation) -> ValidationContextType {
    let names = validation.subject_alt_names.iter();
    ValidationContextType::CombinedValidationContext(CombinedCertificateValidationContext {
        default_validation_context: Some(CertificateValidationContext {
            match_subject_alt_names: names.map(encode_match).collect(),
            ..Default::default()
        }),
        validation_context_sds_secret_config: Some(encode_secret(&validation.trusted_ca)),
        ..Default::default()
    })
}

fn encode_match(matcher: &StringMatch) -> StringMatcher {
    StringMatcher {
        ignore_case: false,
        match_pattern: Some(match matcher.clone() {
            StringMatch::Exact(text) => MatchPattern::Exact(text),
            StringMatch::Prefix(text) => MatchPattern::Prefix(text),
            StringMatch::Suffix(text) => MatchPattern::Suffix(text),
            StringMatch::Contains(text) => MatchPattern::Contains(text),
        }),
    }
}

pub(super) fn decode(wire: ValidationContextType, at: &At<'_>) -> Option<PeerValidation> {
    match wire {
        ValidationContextType::CombinedValidationContext(wire) => {
            decode_combined(wire, &at.field("combined_validation_context"))
        }
        ValidationContextType::ValidationContextSdsSecretConfig(wire) => {
            let at = at.field("validation_context_sds_secret_config");
            decode_secret(wire, &at).map(|trusted_ca| PeerValidation {
                trusted_ca,
                subject_alt_names: vec![],
            })
        }
        _ => at
            .field("validation_context_type")
            .refuse("roots of trust come from the agent alone"),
    }
}

fn decode_combined(
    mut wire: CombinedCertificateValidationContext,
    at: &At<'_>,
) -> Option<PeerValidation> {
    let names = at.required(
        "default_validation_context",
        wire.default_validation_context.take(),
        decode_subject_names,
    );
    let trusted_ca = at.required(
        "validation_context_sds_secret_config",
        wire.validation_context_sds_secret_config.take(),
        decode_secret,
    );
    at.finish(wire);
    Some(PeerValidation {
        trusted_ca: trusted_ca?,
        subject_alt_names: names?,
    })
}

#[allow(deprecated)] // see `encode`
fn decode_subject_names(
    mut wire: CertificateValidationContext,
    at: &At<'_>,
) -> Option<Vec<StringMatch>> {
    let names = take(&mut wire.match_subject_alt_names);
    let names = at.list("match_subject_alt_names", names, decode_match);
    at.finish(wire);
    names
}

fn decode_match(mut wire: StringMatcher, at: &At<'_>) -> Option<StringMatch> {
    let (matcher, empty) = match wire.match_pattern.take() {
        Some(MatchPattern::Exact(text)) => (StringMatch::Exact(text), false),
        Some(MatchPattern::Prefix(text)) => (StringMatch::Prefix(text.clone()), text.is_empty()),
        Some(MatchPattern::Suffix(text)) => (StringMatch::Suffix(text.clone()), text.is_empty()),
        Some(MatchPattern::Contains(text)) => {
            (StringMatch::Contains(text.clone()), text.is_empty())
        }
        Some(MatchPattern::SafeRegex(_) | MatchPattern::Custom(_)) => {
            return at.refuse("only exact, prefix, suffix and contains are matched");
        }
        None => return at.refuse("must be set"),
    };
    at.finish(wire);
    match empty {
        true => at.refuse("an empty text matches everything"),
        false => Some(matcher),
    }
}
