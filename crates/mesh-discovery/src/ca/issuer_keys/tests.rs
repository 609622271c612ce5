use super::*;
use rcgen::{KeyPair, PublicKeyData};

fn count(keys: &IssuerKeys, id: Option<&str>, algorithm: Algorithm) -> usize {
    keys.candidates(id, algorithm).count()
}

fn pem(algorithm: &'static rcgen::SignatureAlgorithm) -> String {
    KeyPair::generate_for(algorithm)
        .expect("key")
        .public_key_pem()
}

#[test]
fn pem_keys_verify_only_their_own_algorithms() {
    for (algorithm, verifies, not) in [
        (&rcgen::PKCS_RSA_SHA256, Algorithm::RS256, Algorithm::ES256),
        (
            &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES256,
            Algorithm::ES384,
        ),
        (
            &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::ES384,
            Algorithm::RS256,
        ),
        (&rcgen::PKCS_ED25519, Algorithm::EdDSA, Algorithm::ES256),
    ] {
        let keys = IssuerKeys::from_text(&pem(algorithm)).expect("keys");
        assert_eq!(count(&keys, Some("any"), verifies), 1, "{verifies:?}");
        assert_eq!(count(&keys, None, not), 0, "{not:?}");
        // With a symmetric algorithm a public key would be a shared secret that everybody knows.
        assert_eq!(count(&keys, None, Algorithm::HS256), 0);
    }
}

#[test]
fn a_jwk_set_is_searched_by_id() {
    let jwks = r#"{"keys": [
        {"kty":"EC","crv":"P-256","use":"sig","kid":"a","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
        {"kty":"OKP","crv":"Ed25519","kid":"b","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty":"oct","kid":"c","k":"c2VjcmV0"},
        {"kty":"EC","crv":"P-256","use":"enc","kid":"d","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}
    ]}"#;
    let keys = IssuerKeys::from_text(jwks).expect("keys");
    assert_eq!(count(&keys, Some("a"), Algorithm::ES256), 1);
    assert_eq!(count(&keys, Some("b"), Algorithm::ES256), 0);
    assert_eq!(count(&keys, None, Algorithm::EdDSA), 1);
    assert_eq!(count(&keys, Some("c"), Algorithm::HS256), 0);
    assert_eq!(count(&keys, Some("d"), Algorithm::ES256), 0);
}

#[test]
fn says_what_is_wrong_with_a_key() {
    let private = KeyPair::generate().expect("key").serialize_pem();
    let refusal = |text: &str| {
        IssuerKeys::from_text(text)
            .map(|_| ())
            .expect_err("refused")
    };
    assert!(matches!(refusal(&private), KeyError::Private));
    assert!(matches!(refusal("hello"), KeyError::Format));
    assert!(matches!(refusal("{}"), KeyError::Json(_)));
    assert!(matches!(refusal(r#"{"keys":[]}"#), KeyError::NoKey));
    assert!(matches!(
        refusal(&pem(&rcgen::PKCS_ECDSA_P521_SHA512)),
        KeyError::NoKey
    ));
    let missing = IssuerKeys::from_file("/nonexistent/key.pem")
        .map(|_| ())
        .expect_err("missing");
    assert_eq!(missing.to_string(), "cannot read /nonexistent/key.pem");
}

#[test]
fn the_generated_pem_is_what_the_key_pair_holds() {
    let key = KeyPair::generate().expect("key");
    let keys = IssuerKeys::from_text(&key.public_key_pem()).expect("keys");
    let only = keys.candidates(None, Algorithm::ES256).next().expect("one");
    assert_eq!(only.key.try_get_as_bytes().expect("bytes"), key.der_bytes());
}
