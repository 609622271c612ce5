use super::*;
use rcgen::{CertificateParams, KeyPair, PublicKeyData, SignatureAlgorithm};

fn csr_with(algorithm: &'static SignatureAlgorithm) -> String {
    let key = KeyPair::generate_for(algorithm).expect("key");
    CertificateParams::default()
        .serialize_request(&key)
        .and_then(|csr| csr.pem())
        .expect("request")
}

fn refusal(text: &str) -> RequestError {
    match SigningRequest::from_pem(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(e) => e,
    }
}

#[test]
fn sec_62_key_types() {
    for algorithm in KEY_TYPES {
        assert!(
            SigningRequest::from_pem(&csr_with(algorithm)).is_ok(),
            "{algorithm:?}"
        );
    }
    let p521 = csr_with(&rcgen::PKCS_ECDSA_P521_SHA512);
    assert!(matches!(refusal(&p521), RequestError::KeyType));
}

#[test]
fn sec_62_garbage_is_refused() {
    let good = csr_with(&rcgen::PKCS_ECDSA_P256_SHA256);
    assert!(matches!(refusal(""), RequestError::Pem(_)));
    assert!(matches!(refusal("hello"), RequestError::Pem(_)));
    assert!(matches!(
        refusal(&"x".repeat(MAX_BYTES + 1)),
        RequestError::TooLarge(_)
    ));
    assert!(matches!(
        refusal("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"),
        RequestError::Malformed
    ));
    let certificate = rcgen::generate_simple_self_signed(["a".to_owned()]).expect("certificate");
    assert!(matches!(
        refusal(&certificate.cert.pem()),
        RequestError::Pem(_)
    ));
    assert!(matches!(
        refusal(&good[..good.len() / 2]),
        RequestError::Pem(_)
    ));
}

#[test]
fn sec_62_every_truncation_and_flip_is_refused_or_harmless() {
    let key = KeyPair::generate().expect("key");
    let csr = CertificateParams::default()
        .serialize_request(&key)
        .expect("request");
    let der = csr.der().to_vec();
    for at in 0..der.len() {
        let mut flipped = der.clone();
        flipped[at] ^= 0x01;
        let harmless = parse(&flipped).is_none_or(|r| r.public_key.der_bytes() == key.der_bytes());
        assert!(harmless, "byte {at} changes the key");
        assert!(parse(&der[..at]).is_none(), "truncated at {at}");
    }
    assert!(parse(&der).is_some());
}

/// What parses gives back the key that signed it.
fn parse(der: &[u8]) -> Option<SigningRequest> {
    let (rest, csr) = X509CertificationRequest::from_der(der).ok()?;
    verified(rest, &csr).ok()
}
