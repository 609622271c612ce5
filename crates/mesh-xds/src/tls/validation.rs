//! How a peer's certificate is checked.

use super::{decode_secret, encode_secret};
use crate::{
    decode::At,
    matcher,
    pb::envoy::extensions::transport_sockets::tls::v3::{
        CertificateValidationContext,
        common_tls_context::{CombinedCertificateValidationContext, ValidationContextType},
    },
};
use mesh_model::{matcher::StringMatcher, tls::PeerValidation};
use std::mem::take;

// Istio writes the list of SANs without their type; what came after it is read by no Envoy of the article's age.
#[allow(deprecated)]
pub(super) fn encode(validation: &PeerValidation) -> ValidationContextType {
    let names = validation.subject_alt_names.iter();
    ValidationContextType::CombinedValidationContext(CombinedCertificateValidationContext {
        default_validation_context: Some(CertificateValidationContext {
            match_subject_alt_names: names.map(matcher::encode).collect(),
            ..Default::default()
        }),
        validation_context_sds_secret_config: Some(encode_secret(&validation.trusted_ca)),
        ..Default::default()
    })
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
) -> Option<Vec<StringMatcher>> {
    let names = take(&mut wire.match_subject_alt_names);
    let names = at.list("match_subject_alt_names", names, matcher::decode);
    at.finish(wire);
    names
}
