use super::*;
use crate::{
    ca::{CertificateAuthority, directory::CaDirectory, lifetime::Lifetime, secret::CaSecret},
    testing::api::Api as ApiServer,
};
use tokio::task::JoinSet;

fn namespace(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
}

fn says(api: &ApiServer, namespace: &str) -> Option<String> {
    let map = api.get("configmaps", namespace, NAME)?;
    Some(map["data"][KEY].as_str().unwrap_or_default().to_owned())
}

async fn eventually(what: &str, is: impl Fn() -> bool) {
    for _ in 0..500 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 10 s: {what}");
}

async fn authority(api: &ApiServer) -> CertificateAuthority {
    let secret = CaSecret::new(api.client(), "istio-system");
    CertificateAuthority::open_cluster(
        CaDirectory::new("/nonexistent"),
        secret,
        "cluster.local",
        Lifetime::default(),
        |_| (),
    )
    .await
    .expect("authority")
}

#[tokio::test]
async fn every_namespace_has_the_roots_whatever_happens_to_them() {
    let api = ApiServer::start().await;
    api.apply(&(namespace("a") + &namespace("b")));
    let authority = authority(&api).await;
    let mut tasks = JoinSet::new();
    tasks
        .spawn(RootCertificates::new(api.client(), Watchers::default(), authority.changes()).run());
    let roots = authority.authority().roots().to_pem();
    let right = |ns: &str| says(&api, ns).as_ref() == Some(&roots);
    eventually("both have them", || right("a") && right("b")).await;
    api.apply(&namespace("c"));
    eventually("a new namespace gets them", || right("c")).await;
    api.delete("configmaps", "a", NAME);
    eventually("what is deleted is written again", || right("a")).await;
    api.apply(&format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {NAME}, namespace: b}}\ndata: {{{KEY}: mine}}\n"));
    eventually("what is edited is mended", || right("b")).await;
    let written = api.get("configmaps", "b", NAME).expect("there");
    assert_eq!(written["metadata"]["labels"]["istio.io/config"], "true");
    let before = api.requests();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(api.requests(), before, "what is right is left alone");
}

#[tokio::test]
async fn f17_a_changed_root_goes_to_every_namespace() {
    let api = ApiServer::start().await;
    api.apply(&(namespace("a") + &namespace("b")));
    let authority = authority(&api).await;
    let mut tasks = JoinSet::new();
    tasks
        .spawn(RootCertificates::new(api.client(), Watchers::default(), authority.changes()).run());
    eventually("the first roots", || says(&api, "b").is_some()).await;
    api.delete("secrets", "istio-system", crate::ca::secret::NAME);
    let first = authority.authority().roots().to_pem();
    assert!(
        authority.reload().await.is_err(),
        "a Secret that is gone changes nothing"
    );
    let second = self::authority(&api).await.authority().roots().to_pem();
    assert!(authority.reload().await.expect("read") && first != second);
    eventually("the second roots", || {
        [says(&api, "a"), says(&api, "b")]
            .iter()
            .all(|s| s.as_ref() == Some(&second))
    })
    .await;
}
