//! Certificates and trust ↔ Envoy `Secret`.

use crate::{
    decode::{self, At},
    pb::envoy::{
        config::core::v3::DataSource,
        extensions::transport_sockets::tls::v3::{
            self as wire, CertificateValidationContext, TlsCertificate, secret::Type,
        },
    },
    resource::{Decoded, Invalid, Resource, ResourceType},
    source,
};
use bytes::Bytes;
use mesh_model::secret::{PrivateKey, Secret, SecretValue};
use prost::Message;
use std::mem::take;

impl Resource for Secret {
    const KIND: ResourceType = ResourceType::Secret;

    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn encode(&self) -> Bytes {
        let wire = wire::Secret {
            name: self.name.to_string(),
            r#type: Some(encode_value(&self.value)),
        };
        wire.encode_to_vec().into()
    }

    fn decode(bytes: &[u8]) -> Result<Decoded<Self>, Invalid> {
        decode::decode(bytes, self::decode)
    }
}

fn encode_value(value: &SecretValue) -> Type {
    match value {
        SecretValue::Certificate { chain, key } => Type::TlsCertificate(TlsCertificate {
            certificate_chain: Some(source::encode(chain)),
            private_key: Some(source::encode(&key.0)),
            ..Default::default()
        }),
        SecretValue::Validation { trusted_ca } => {
            Type::ValidationContext(CertificateValidationContext {
                trusted_ca: Some(source::encode(trusted_ca)),
                ..Default::default()
            })
        }
    }
}

pub(crate) fn decode(mut wire: wire::Secret, at: &At<'_>) -> Option<Secret> {
    let name = at.text("name", take(&mut wire.name));
    let value = match wire.r#type.take() {
        Some(Type::TlsCertificate(wire)) => decode_certificate(wire, &at.field("tls_certificate")),
        Some(Type::ValidationContext(wire)) => {
            decode_validation(wire, &at.field("validation_context"))
        }
        Some(Type::SessionTicketKeys(_) | Type::GenericSecret(_)) => {
            at.refuse("is neither a certificate nor a set of roots")
        }
        None => at.refuse("holds nothing"),
    };
    at.finish(wire);
    Some(Secret {
        name: name?.into(),
        value: value?,
    })
}

fn decode_certificate(mut wire: TlsCertificate, at: &At<'_>) -> Option<SecretValue> {
    let chain = at.required(
        "certificate_chain",
        wire.certificate_chain.take(),
        decode_pem,
    );
    let key = at.required("private_key", wire.private_key.take(), decode_pem);
    at.finish(wire);
    Some(SecretValue::Certificate {
        chain: chain?,
        key: PrivateKey(key?),
    })
}

fn decode_validation(mut wire: CertificateValidationContext, at: &At<'_>) -> Option<SecretValue> {
    let trusted_ca = at.required("trusted_ca", wire.trusted_ca.take(), decode_pem);
    at.finish(wire);
    Some(SecretValue::Validation {
        trusted_ca: trusted_ca?,
    })
}

/// Whether the PEM holds what it should is for the TLS library to say, which reads it anyway.
fn decode_pem(wire: DataSource, at: &At<'_>) -> Option<Vec<u8>> {
    let bytes = source::decode(wire, at)?;
    match bytes.is_empty() {
        true => at.refuse("is empty"),
        false => Some(bytes),
    }
}

#[cfg(test)]
mod tests;
