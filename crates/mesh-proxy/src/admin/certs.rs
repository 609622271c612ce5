//! `/certs`: certificates in force, and until when.

use super::{Facts, descriptor, query::Query, reply::Reply};
use crate::tls::secret::Received;
use mesh_model::secret::SecretValue;
use mesh_xds::pb::{
    envoy::admin::v3::{self as admin, subject_alternate_name::Name},
    google::protobuf::Timestamp,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
    time::ASN1Time,
};

/// The page, an `envoy.admin.v3.Certificates`. Envoy pairs each chain with the roots that stand beside it; so do we.
pub(super) fn answer(facts: &Arc<Facts>, _: &Query) -> Reply {
    let secrets = facts.shared.secrets.status();
    let (mut ca_cert, mut cert_chain) = (Vec::new(), Vec::new());
    for secret in &secrets {
        match &secret.secret.value {
            SecretValue::Certificate { chain, .. } => cert_chain.extend(details(secret, chain)),
            SecretValue::Validation { trusted_ca } => ca_cert.extend(details(secret, trusted_ca)),
        }
    }
    let nothing = ca_cert.is_empty() && cert_chain.is_empty();
    let certificate = admin::Certificate {
        ca_cert,
        cert_chain,
    };
    let page = admin::Certificates {
        certificates: (!nothing).then_some(certificate).into_iter().collect(),
    };
    descriptor::page_with(&page, complete)
}

// Envoy prints what is nothing too: the last day of a certificate is its day 0.
fn complete(json: &mut Value) {
    let pairs = json.get_mut("certificates").and_then(Value::as_array_mut);
    let pairs = pairs.into_iter().flatten();
    let lists = pairs.flat_map(|pair| pair.as_object_mut().into_iter().flatten());
    let details = lists.flat_map(|(_, list)| list.as_array_mut().into_iter().flatten());
    for detail in details.filter_map(Value::as_object_mut) {
        detail
            .entry("days_until_expiration")
            .or_insert_with(|| "0".into());
        detail
            .entry("subject_alt_names")
            .or_insert_with(|| Value::Array(Vec::new()));
    }
}

fn details(secret: &Received, pem: &[u8]) -> Vec<admin::CertificateDetails> {
    // What is in force was parsed when it came, so that nothing is left out here.
    let certificates = CertificateDer::pem_slice_iter(pem).flatten();
    certificates
        .filter_map(|der| {
            let (_, certificate) = X509Certificate::from_der(&der).ok()?;
            Some(one(secret.secret.name.as_str(), &certificate))
        })
        .collect()
}

fn one(path: &str, certificate: &X509Certificate<'_>) -> admin::CertificateDetails {
    let validity = certificate.validity();
    admin::CertificateDetails {
        path: path.to_owned(),
        serial_number: certificate
            .raw_serial()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        subject_alt_names: names(certificate),
        days_until_expiration: days_until(validity.not_after),
        valid_from: Some(timestamp(validity.not_before)),
        expiration_time: Some(timestamp(validity.not_after)),
        ..Default::default()
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<admin::SubjectAlternateName> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension
        .map(|e| e.value.general_names.as_slice())
        .unwrap_or_default();
    names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(Name::Uri((*uri).to_owned())),
            GeneralName::DNSName(dns) => Some(Name::Dns((*dns).to_owned())),
            _ => None,
        })
        .map(|name| admin::SubjectAlternateName { name: Some(name) })
        .collect()
}

fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        nanos: 0,
    }
}

fn days_until(time: ASN1Time) -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    u64::try_from(time.timestamp())
        .unwrap_or(0)
        .saturating_sub(now)
        / (24 * 60 * 60)
}
