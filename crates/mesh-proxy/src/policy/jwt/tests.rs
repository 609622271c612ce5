//! What is believed of a token, and what is not.

use super::{KeySet, Status, Token};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign, jwk::Jwk};
use mesh_model::{
    matcher::StringMatch,
    policy::jwt::{DEFAULT_CLOCK_SKEW, Keys, Provider},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{sync::LazyLock, time::Duration};

/// Seconds after 1970 at which tokens are judged here.
const NOW: u64 = 1_700_000_000;

/// Who signs tokens.
pub(crate) struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    public: Value,
}

impl Signer {
    fn new(key: EncodingKey, algorithm: Algorithm, id: &str) -> Self {
        let public = Jwk::from_encoding_key(&key, algorithm).expect("a key");
        let mut public = serde_json::to_value(public).expect("JSON");
        public["kid"] = json!(id);
        Self {
            key,
            algorithm,
            public,
        }
    }

    /// With a new key on P-256.
    pub(crate) fn p256(id: &str) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        Self::new(
            EncodingKey::from_ec_der(&key.serialize_der()),
            Algorithm::ES256,
            id,
        )
    }

    fn rsa(id: &str) -> Self {
        let size = rcgen::RsaKeySize::_2048;
        let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        let pem = key.expect("a key").serialize_pem();
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a key");
        Self::new(key, Algorithm::RS256, id)
    }

    /// Its key set.
    pub(crate) fn keys(&self) -> String {
        json!({"keys": [self.public]}).to_string()
    }

    /// A token with these texts.
    fn sign(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = sign(signed.as_bytes(), &self.key, self.algorithm);
        format!("{signed}.{}", signature.expect("signed"))
    }

    /// A token that claims this.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.public["alg"], "kid": self.public["kid"]});
        let header = match header["alg"].is_null() {
            true => json!({"alg": format!("{:?}", self.algorithm), "kid": self.public["kid"]}),
            false => header,
        };
        self.sign(&header.to_string(), &claims.to_string())
    }
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// An issuer of tokens for `me`, with these keys.
pub(crate) fn provider(keys: &str) -> Provider {
    Provider {
        name: "p".into(),
        issuer: Some("https://issuer.test".into()),
        audiences: vec!["me".into()],
        subjects: None,
        require_expiration: false,
        max_lifetime: None,
        keys: Keys::Inline(keys.into()),
        forward: true,
        from_headers: Vec::new(),
        from_params: Vec::new(),
        from_cookies: Vec::new(),
        forward_payload_header: None,
        pad_forward_payload_header: false,
        payload_in_metadata: None,
        header_in_metadata: None,
        space_delimited_claims: Vec::new(),
        clock_skew: DEFAULT_CLOCK_SKEW,
        claim_to_headers: Vec::new(),
    }
}

static EC: LazyLock<Signer> = LazyLock::new(|| Signer::p256("ec"));
static RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("rsa"));

/// Both keys; neither says its algorithm.
fn keys() -> Value {
    let bare = |signer: &Signer| {
        let mut key = signer.public.clone();
        key.as_object_mut().map(|key| key.remove("alg"));
        key
    };
    json!([bare(&EC), bare(&RSA)])
}

fn claims(more: Value) -> String {
    let mut claims = json!({"iss": "https://issuer.test", "aud": "me", "sub": "somebody"});
    for (name, value) in more.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    claims.to_string()
}

fn judge_by(provider: &Provider, keys: &Value, text: &str) -> Result<(), Status> {
    let token = Token::read(text)?;
    token.judge(provider, &provider.audiences, NOW)?;
    let keys = json!({"keys": keys}).to_string();
    KeySet::read(keys.as_bytes()).expect("a set").verify(&token)
}

fn judge(text: &str) -> Result<(), Status> {
    judge_by(&provider(""), &keys(), text)
}

const ES256: &str = r#"{"alg":"ES256","kid":"ec"}"#;

fn with_header(header: &str) -> Result<(), Status> {
    judge(&EC.sign(header, &claims(json!({}))))
}

fn with_claims(more: Value) -> Result<(), Status> {
    judge(&EC.sign(ES256, &claims(more)))
}

#[test]
fn sec_38_a_good_token_is_good() {
    assert_eq!(with_claims(json!({})), Ok(()));
    assert_eq!(
        with_header(r#"{"alg":"ES256"}"#),
        Ok(()),
        "all keys are tried"
    );
    assert_eq!(
        with_header(r#"{"alg":"ES256","kid":"","typ":"JWT"}"#),
        Ok(())
    );
    let rsa = RSA.sign(r#"{"alg":"RS256","kid":"rsa"}"#, &claims(json!({})));
    assert_eq!(judge(&rsa), Ok(()));
    // The largest that a request can carry.
    let large = claims(json!({"padding": "x".repeat(40_000)}));
    assert_eq!(judge(&EC.sign(ES256, &large)), Ok(()));
}

#[test]
fn sec_38_nobody_signs_with_nothing() {
    for alg in [
        "none", "None", "NONE", "nOnE", "", "null", "HS999", "es256", "ES512", "RS1",
    ] {
        let header = json!({"alg": alg, "kid": "ec"}).to_string();
        assert_eq!(with_header(&header), Err(Status::UnknownAlg), "{alg}");
        let unsigned = format!("{}.{}.", encode(&header), encode(&claims(json!({}))));
        assert_eq!(judge(&unsigned), Err(Status::BadFormat), "{alg}");
    }
    for alg in [
        json!(null),
        json!(1),
        json!([]),
        json!(["ES256"]),
        json!({}),
    ] {
        let header = json!({"alg": alg}).to_string();
        assert_eq!(with_header(&header), Err(Status::HeaderAlg), "{alg}");
    }
    assert_eq!(with_header("{}"), Err(Status::HeaderAlg));
}

#[test]
fn sec_38_a_public_key_is_no_secret() {
    let text = |name: &str| RSA.public[name].as_str().unwrap_or_default().to_owned();
    let modulus = URL_SAFE_NO_PAD.decode(text("n")).expect("decoded");
    let whole = RSA.keys();
    for secret in [
        text("n").as_bytes(),
        &modulus,
        whole.as_bytes(),
        b"rsa",
        b"",
    ] {
        for (name, algorithm) in [
            ("HS256", Algorithm::HS256),
            ("HS384", Algorithm::HS384),
            ("HS512", Algorithm::HS512),
        ] {
            let key = EncodingKey::from_secret(secret);
            for id in ["rsa", "ec"] {
                let header = json!({"alg": name, "kid": id}).to_string();
                let signed = format!("{}.{}", encode(&header), encode(&claims(json!({}))));
                let signature = sign(signed.as_bytes(), &key, algorithm).expect("signed");
                let token = format!("{signed}.{signature}");
                assert_eq!(judge(&token), Err(Status::VerificationFails), "{name} {id}");
            }
        }
    }
}

#[test]
fn sec_38_an_algorithm_of_another_kind_of_key_verifies_nothing() {
    for (signer, alg, kid) in [
        (&EC, "RS256", "rsa"),
        (&EC, "ES256", "rsa"),
        (&EC, "ES384", "ec"),
        (&EC, "EdDSA", "ec"),
        (&EC, "PS256", "rsa"),
        (&RSA, "ES256", "ec"),
        (&RSA, "RS256", "ec"),
        (&RSA, "PS256", "rsa"),
        (&RSA, "RS512", "rsa"),
    ] {
        let header = json!({"alg": alg, "kid": kid}).to_string();
        let token = signer.sign(&header, &claims(json!({})));
        assert_eq!(judge(&token), Err(Status::VerificationFails), "{alg} {kid}");
    }
    // Where the set says which algorithm it means, no other is tried.
    let mut keys = keys();
    keys[0]["alg"] = json!("ES384");
    let token = EC.sign(ES256, &claims(json!({})));
    assert_eq!(
        judge_by(&provider(""), &keys, &token),
        Err(Status::NoSuchKey)
    );
}

#[test]
fn sec_38_a_token_does_not_say_where_its_key_is() {
    let stranger = Signer::p256("ec");
    let payload = claims(json!({}));
    let own = stranger.public.clone();
    for header in [
        json!({"alg": "ES256", "kid": "ec"}),
        json!({"alg": "ES256", "jwk": own}),
        json!({"alg": "ES256", "kid": "ec", "jwk": own, "jku": "http://evil.test/keys"}),
        json!({"alg": "ES256", "x5u": "http://evil.test/cert", "x5c": ["x"]}),
        json!({"alg": "ES256", "kid": "ec", "crit": ["x"]}),
    ] {
        let token = stranger.sign(&header.to_string(), &payload);
        assert_eq!(judge(&token), Err(Status::VerificationFails), "{header}");
    }
    for kid in [
        "../../../dev/null",
        "/dev/tcp/evil.test/80",
        "' UNION SELECT 'x",
        "ec\u{0}",
        "EC",
        " ec",
        "|sleep 10",
    ] {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        assert_eq!(with_header(&header), Err(Status::NoSuchKey), "{kid}");
    }
    for kid in [json!(1), json!(["ec"]), json!({"ec": 1}), json!(null)] {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        assert_eq!(with_header(&header), Err(Status::HeaderKid), "{kid}");
    }
}

#[test]
fn sec_38_only_known_issuers_count() {
    for issuer in [
        json!("https://evil.test"),
        json!("https://issuer.test/"),
        json!("https://issuer.test.evil.test"),
        json!("HTTPS://ISSUER.TEST"),
        json!(""),
    ] {
        let judged = with_claims(json!({"iss": issuer}));
        assert_eq!(judged, Err(Status::UnknownIssuer), "{issuer}");
    }
    for issuer in [json!(1), json!(null), json!(["https://issuer.test"])] {
        assert_eq!(
            with_claims(json!({"iss": issuer})),
            Err(Status::Iss),
            "{issuer}"
        );
    }
    let silent = EC.sign(ES256, r#"{"aud":"me"}"#);
    assert_eq!(judge(&silent), Err(Status::UnknownIssuer));
    let anybody = Provider {
        issuer: None,
        ..provider("")
    };
    assert_eq!(judge_by(&anybody, &keys(), &silent), Ok(()));
}

#[test]
fn sec_38_a_token_for_others_is_not_for_me() {
    for (audience, want) in [
        (json!("me"), Ok(())),
        (json!("https://me/"), Ok(())),
        (json!("http://me"), Ok(())),
        (json!(["other", "me"]), Ok(())),
        (json!("other"), Err(Status::AudienceNotAllowed)),
        (json!("ME"), Err(Status::AudienceNotAllowed)),
        (json!("me me"), Err(Status::AudienceNotAllowed)),
        (json!(["other", "m", "e"]), Err(Status::AudienceNotAllowed)),
        (json!([]), Err(Status::AudienceNotAllowed)),
        (json!(""), Err(Status::AudienceNotAllowed)),
        (json!(1), Err(Status::Aud)),
        (json!(["me", 1]), Err(Status::Aud)),
        (json!({"me": 1}), Err(Status::Aud)),
        (json!(null), Err(Status::Aud)),
    ] {
        assert_eq!(with_claims(json!({"aud": audience})), want, "{audience}");
    }
    let silent = EC.sign(ES256, r#"{"iss":"https://issuer.test"}"#);
    assert_eq!(judge(&silent), Err(Status::AudienceNotAllowed));
}

#[test]
fn sec_38_clocks_differ_by_a_minute_at_most() {
    for (more, want) in [
        (json!({"exp": NOW + 1}), Ok(())),
        (json!({"exp": NOW - 60}), Ok(())),
        (json!({"exp": NOW - 61}), Err(Status::Expired)),
        (json!({"exp": 0}), Err(Status::Expired)),
        (json!({"exp": u64::MAX}), Ok(())),
        (json!({"exp": (NOW + 1) as f64 + 0.5}), Ok(())),
        (json!({"exp": -1}), Err(Status::Exp)),
        (json!({"exp": "1800000000"}), Err(Status::Exp)),
        (json!({"exp": null}), Err(Status::Exp)),
        (json!({"exp": 1e300}), Err(Status::Exp)),
        (json!({"nbf": NOW + 60}), Ok(())),
        (json!({"nbf": NOW + 61}), Err(Status::NotYetValid)),
        (json!({"nbf": u64::MAX}), Err(Status::NotYetValid)),
        (json!({"nbf": "0"}), Err(Status::Nbf)),
        (json!({"nbf": NOW + 10, "exp": NOW - 10}), Ok(())),
        (json!({"iat": NOW + 1000}), Ok(())),
        (json!({"iat": "now"}), Err(Status::Iat)),
    ] {
        assert_eq!(with_claims(more.clone()), want, "{more}");
    }
}

#[test]
fn a_provider_may_want_more() {
    let short = Provider {
        max_lifetime: Some(Duration::from_secs(600)),
        ..provider("")
    };
    let ending = Provider {
        require_expiration: true,
        ..provider("")
    };
    let some = Provider {
        subjects: Some(StringMatch::Prefix("some".into()).into()),
        ..provider("")
    };
    for (provider, more, want) in [
        (&ending, json!({}), Err(Status::NoExpiration)),
        (&ending, json!({"exp": NOW + 1}), Ok(())),
        (&short, json!({}), Err(Status::NoExpiration)),
        (&short, json!({"exp": NOW + 600}), Ok(())),
        (&short, json!({"exp": NOW + 601}), Err(Status::LivesTooLong)),
        (
            &short,
            json!({"iat": NOW - 1, "exp": NOW + 600}),
            Err(Status::LivesTooLong),
        ),
        (&some, json!({"sub": "somebody"}), Ok(())),
        (
            &some,
            json!({"sub": "nobody"}),
            Err(Status::SubjectNotAllowed),
        ),
    ] {
        let token = EC.sign(ES256, &claims(more.clone()));
        assert_eq!(judge_by(provider, &keys(), &token), want, "{more}");
    }
}

#[test]
fn sec_38_what_can_be_read_in_two_ways_is_not_read() {
    let good = claims(json!({}));
    let twice = good.replacen('{', r#"{"iss":"https://evil.test","#, 1);
    let escaped = good.replacen('{', r#"{"\u0069ss":"https://evil.test","#, 1);
    for payload in [
        &twice, &escaped, "[]", "1", "null", "", "{", "{} {}", "\u{0}",
    ] {
        let judged = judge(&EC.sign(ES256, payload));
        let wrong = [Status::PayloadJson, Status::BadFormat];
        assert!(
            judged.is_err_and(|why| wrong.contains(&why)),
            "{payload} {judged:?}"
        );
    }
    let header = r#"{"alg":"none","alg":"ES256","kid":"ec"}"#;
    assert_eq!(with_header(header), Err(Status::HeaderJson));

    let token = EC.sign(ES256, &good);
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    for (text, want) in [
        (format!("{header}.{payload}"), Status::BadFormat),
        (format!("{header}.{payload}."), Status::BadFormat),
        (format!("{token}.{signature}"), Status::BadFormat),
        (format!(".{token}"), Status::BadFormat),
        (String::new(), Status::BadFormat),
        ("..".into(), Status::BadFormat),
        (format!(" {token}"), Status::HeaderBase64),
        (
            format!("{header}=.{payload}.{signature}"),
            Status::HeaderBase64,
        ),
        (
            format!("{header}.{payload}\n.{signature}"),
            Status::PayloadBase64,
        ),
        (
            format!("{header}.+/{payload}.{signature}"),
            Status::PayloadBase64,
        ),
        (format!("{token} "), Status::SignatureBase64),
        (format!("{token}="), Status::SignatureBase64),
        (
            format!("{header}.{payload}.AAAA"),
            Status::VerificationFails,
        ),
        (
            format!(
                "{header}.{}.{signature}",
                encode(&claims(json!({"sub": "root"})))
            ),
            Status::VerificationFails,
        ),
    ] {
        assert_eq!(judge(&text), Err(want), "{text}");
    }
}

#[test]
fn sec_38_giant_and_deep_tokens_are_refused_without_harm() {
    let deep = format!(r#"{{"iss":{}"#, "[".repeat(20_000));
    assert_eq!(judge(&EC.sign(ES256, &deep)), Err(Status::PayloadJson));
    let giant = "A".repeat(1 << 20);
    assert_eq!(judge(&giant), Err(Status::BadFormat));
    assert_eq!(
        judge(&format!("{giant}.{giant}.{giant}")),
        Err(Status::HeaderJson)
    );
    let dots = ".".repeat(1 << 16);
    assert_eq!(judge(&dots), Err(Status::BadFormat));
}

#[test]
fn keys_that_cannot_be_used_verify_nothing() {
    for text in [
        "",
        "[]",
        "<html>",
        r#"{"keys":1}"#,
        r#"{"keys":[],"keys":[]}"#,
    ] {
        assert!(KeySet::read(text.as_bytes()).is_none(), "{text}");
    }
    let token = EC.sign(ES256, &claims(json!({})));
    let mut wrong = keys();
    wrong[0]["use"] = json!("enc");
    for (keys, want) in [
        (json!([]), Status::NoKeys),
        (
            json!([1, {}, {"kty": "EC"}, {"kty": "oct", "k": ""}]),
            Status::NoKeys,
        ),
        (json!([{"kty": "XX", "kid": "ec"}]), Status::NoKeys),
        (
            json!([{"kty": "EC", "crv": "P-256", "kid": "ec", "x": "AA", "y": "AA"}]),
            Status::VerificationFails,
        ),
        (
            json!([{"kty": "oct", "k": "AAAA", "kid": "ec"}]),
            Status::VerificationFails,
        ),
        (wrong, Status::NoSuchKey),
    ] {
        assert_eq!(judge_by(&provider(""), &keys, &token), Err(want), "{keys}");
    }
}

proptest! {
    #[test]
    fn sec_38_no_text_does_harm(
        header in ".{0,40}",
        payload in r#"\{("(iss|aud|exp|nbf|sub)":("x"|-?[0-9]{1,25}|null|\[\]|1e400),?){0,4}\}?"#,
        signature in "[A-Za-z0-9_.=-]{0,20}",
    ) {
        for header in [header.as_str(), ES256] {
            let text = format!("{}.{}.{signature}", encode(header), encode(&payload));
            prop_assert!(judge(&text).is_err());
        }
        prop_assert!(judge(&header).is_err());
    }
}
