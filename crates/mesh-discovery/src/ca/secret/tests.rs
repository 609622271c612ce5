use super::*;
use crate::testing::api::Api as ApiServer;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use std::time::SystemTime;

const DOMAIN: &str = "cluster.local";

fn of(api: &ApiServer) -> CaSecret {
    CaSecret::new(api.client(), "istio-system")
}

async fn load(api: &ApiServer) -> Result<Authority, SecretError> {
    of(api).load(DOMAIN, SystemTime::now()).await
}

/// Writes a Secret with these keys.
fn write(api: &ApiServer, keys: &[(&str, &str)]) {
    let data: Vec<_> = keys
        .iter()
        .map(|(key, text)| format!("{key}: {}", BASE64.encode(text)))
        .collect();
    let data = data.join(", ");
    api.apply(&format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {NAME}, namespace: istio-system}}\ndata: {{{data}}}\n"
    ));
}

#[tokio::test]
async fn replicas_that_start_together_share_the_root_of_the_first() {
    let api = ApiServer::start().await;
    let now = SystemTime::now();
    let (a, b, c) = (of(&api), of(&api), of(&api));
    let (a, b, c) = tokio::join!(
        a.load_or_create(DOMAIN, now),
        b.load_or_create(DOMAIN, now),
        c.load_or_create(DOMAIN, now)
    );
    let first = a.expect("an authority");
    assert!(first == b.expect("an authority") && first == c.expect("an authority"));
    let written = api.get("secrets", "istio-system", NAME).expect("written");
    assert_eq!(written["type"], "istio.io/ca-root");
    assert_eq!(first.roots().ders().count(), 1);
}

#[tokio::test]
async fn istios_own_secret_without_a_root_is_its_own_root() {
    let api = ApiServer::start().await;
    let (certificate, key) = Authority::self_signed(DOMAIN, SystemTime::now()).expect("root");
    write(
        &api,
        &[
            ("ca-cert.pem", &certificate),
            ("ca-key.pem", &key),
            ("key.pem", ""),
            ("cert-chain.pem", ""),
            ("root-cert.pem", ""),
        ],
    );
    let authority = of(&api)
        .load_or_create(DOMAIN, SystemTime::now())
        .await
        .expect("an authority");
    assert_eq!(authority.roots().to_pem(), certificate);
}

#[tokio::test]
async fn f17_a_root_is_rotated_by_trusting_both_between() {
    let api = ApiServer::start().await;
    let now = SystemTime::now();
    let make = || Authority::self_signed(DOMAIN, now).expect("root");
    let ((old, old_key), (new, new_key)) = (make(), make());
    let both = format!("{old}{new}");
    for (certificate, key, roots, count) in [
        (&old, &old_key, &old, 1),
        (&old, &old_key, &both, 2),
        (&new, &new_key, &both, 2),
        (&new, &new_key, &new, 1),
    ] {
        write(
            &api,
            &[
                ("ca-cert.pem", certificate),
                ("ca-key.pem", key),
                ("root-cert.pem", roots),
            ],
        );
        let authority = load(&api).await.expect("an authority");
        assert_eq!(authority.roots().ders().count(), count);
    }
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let api = ApiServer::start().await;
    assert!(matches!(load(&api).await, Err(SecretError::Gone)));
    let (certificate, key) = Authority::self_signed(DOMAIN, SystemTime::now()).expect("root");
    write(&api, &[("ca-cert.pem", &certificate)]);
    assert!(matches!(
        load(&api).await,
        Err(SecretError::Key("ca-key.pem"))
    ));
    let other = Authority::self_signed(DOMAIN, SystemTime::now())
        .expect("root")
        .0;
    write(&api, &[("ca-cert.pem", &other), ("ca-key.pem", &key)]);
    assert!(matches!(load(&api).await, Err(SecretError::Authority(_))));
    api.set_broken(Some(http::StatusCode::FORBIDDEN));
    assert!(matches!(
        load(&api).await,
        Err(SecretError::Access { verb: "read", .. })
    ));
}

#[tokio::test]
async fn a_root_that_has_long_to_live_is_not_replaced_and_one_that_ends_is() {
    let api = ApiServer::start().await;
    let (secret, now) = (of(&api), SystemTime::now());
    let longest = std::time::Duration::from_secs(1);
    let old = secret
        .load_or_create(DOMAIN, now)
        .await
        .expect("an authority");
    assert!(!secret.rotate(DOMAIN, longest, now).await.expect("looked"));
    let late = old.not_after() - std::time::Duration::from_secs(3600);
    assert!(secret.rotate(DOMAIN, longest, late).await.expect("a step"));
    assert_eq!(
        load(&api)
            .await
            .expect("an authority")
            .roots()
            .ders()
            .count(),
        2
    );
}
