//! Arbitrary TLS contexts and secrets.

use super::{matcher, word};
use mesh_model::{
    secret::{PrivateKey, Secret, SecretValue},
    tls::{CommonTls, DownstreamTls, PeerValidation, TlsVersion, UpstreamTls},
};
use proptest::{collection, option, prelude::*};

fn versions() -> impl Strategy<Value = (TlsVersion, TlsVersion)> {
    prop::sample::select(vec![
        (TlsVersion::V1_2, TlsVersion::V1_2),
        (TlsVersion::V1_2, TlsVersion::V1_3),
        (TlsVersion::V1_3, TlsVersion::V1_3),
    ])
}

fn cipher_suites() -> impl Strategy<Value = Vec<String>> {
    let some = vec!["ECDHE-RSA-AES128-GCM-SHA256", "AES256-GCM-SHA384"];
    prop::sample::subsequence(some, 0..=2)
        .prop_map(|suites| suites.into_iter().map(String::from).collect())
}

fn validation() -> impl Strategy<Value = PeerValidation> {
    (word(), collection::vec(matcher::string(), 0..3)).prop_map(|(ca, subject_alt_names)| {
        PeerValidation {
            trusted_ca: ca.into(),
            subject_alt_names,
        }
    })
}

fn common() -> impl Strategy<Value = CommonTls> {
    let alpn = prop_oneof![word(), Just("istio-peer-exchange".to_owned())];
    (
        versions(),
        cipher_suites(),
        option::of(word()),
        option::of(validation()),
        collection::vec(alpn, 0..3),
    )
        .prop_map(
            |(versions, cipher_suites, certificate, validation, alpn)| CommonTls {
                min_version: versions.0,
                max_version: versions.1,
                cipher_suites,
                certificate: certificate.map(Into::into),
                validation,
                alpn,
            },
        )
}

/// TLS towards a server.
pub(crate) fn upstream() -> impl Strategy<Value = UpstreamTls> {
    (common(), prop_oneof![Just(String::new()), word()])
        .prop_map(|(common, sni)| UpstreamTls { common, sni })
}

/// TLS towards a client; a server has a certificate, and asks for one only if it can check it.
pub(crate) fn downstream() -> impl Strategy<Value = DownstreamTls> {
    (common(), word(), any::<bool>()).prop_map(|(mut common, certificate, require)| {
        common.certificate = Some(certificate.into());
        DownstreamTls {
            require_client_certificate: require && common.validation.is_some(),
            common,
        }
    })
}

/// A secret.
pub(crate) fn secret() -> impl Strategy<Value = Secret> {
    let bytes = || collection::vec(any::<u8>(), 1..20);
    let value = prop_oneof![
        (bytes(), bytes()).prop_map(|(chain, key)| SecretValue::Certificate {
            chain,
            key: PrivateKey(key),
        }),
        bytes().prop_map(|trusted_ca| SecretValue::Validation { trusted_ca }),
    ];
    (word(), value).prop_map(|(name, value)| Secret {
        name: name.into(),
        value,
    })
}
