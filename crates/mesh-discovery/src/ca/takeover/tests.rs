use super::*;
use crate::{
    ca::{CertificateAuthority, directory::CaDirectory, secret::NAME},
    testing::api::Api as ApiServer,
};
use std::path::Path;

const DOMAIN: &str = "cluster.local";
const HOUR: Duration = Duration::from_secs(3600);

fn of(api: &ApiServer) -> CaSecret {
    CaSecret::new(api.client(), "istio-system")
}

/// Puts a new authority into the folder, as the kubelet brings a Secret that has come.
fn plug_in(folder: &Path) -> String {
    let (certificate, key) = Authority::self_signed(DOMAIN, SystemTime::now()).expect("a root");
    for (name, text) in [
        ("ca-cert.pem", &certificate),
        ("root-cert.pem", &certificate),
        ("cert-chain.pem", &certificate),
        ("ca-key.pem", &key),
    ] {
        std::fs::write(folder.join(name), text).expect("written");
    }
    certificate
}

async fn replica(api: &ApiServer, folder: &Path) -> CertificateAuthority {
    let directory = CaDirectory::new(folder);
    let opened =
        CertificateAuthority::open_cluster(directory, of(api), DOMAIN, Lifetime::default(), |_| ());
    opened.await.expect("an authority")
}

/// Tells the mesh of roots, as the leader does.
fn distribute(api: &ApiServer, roots: &str) {
    let lines: String = roots.lines().map(|line| format!("    {line}\n")).collect();
    api.apply(&format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio-ca-root-cert, namespace: istio-system}}\ndata:\n  root-cert.pem: |\n{lines}"
    ));
}

/// Whether what `authority` signs now is trusted by `roots` alone.
fn is_vouched_for(authority: &Authority, roots: &str) -> bool {
    let key = rcgen::KeyPair::generate().expect("a key");
    let names = ["localhost".to_owned()];
    let leaf = authority.sign_server(&key, &names, HOUR, SystemTime::now());
    let mut store = rustls::RootCertStore::empty();
    for root in Bundle::from_pem(roots).expect("roots").ders() {
        store.add(root.clone()).expect("a root");
    }
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        store.into(),
        crate::ca::authority::provider(),
    );
    let leaf = leaf.expect("signed").der;
    let now = rustls_pki_types::UnixTime::now();
    let verifier = verifier.build().expect("a verifier");
    verifier.verify_client_cert(&leaf, &[], now).is_ok()
}

/// What is in force at `now` in a replica that reads `folder`.
async fn at(api: &ApiServer, folder: &Path, now: SystemTime) -> (Authority, Stage) {
    let plugged = CaDirectory::new(folder).load(DOMAIN, SystemTime::now());
    let loaded = load(&of(api), plugged.expect("files"), Lifetime::default(), now).await;
    loaded.expect("an authority")
}

#[tokio::test]
async fn f17_files_that_appear_later_take_over_once_they_are_trusted_whenever_a_replica_started() {
    let api = ApiServer::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let before = replica(&api, folder.path()).await;
    let old = before.authority().roots().to_pem();
    distribute(&api, &old);
    assert!(before.secret().is_some());

    let new = plug_in(folder.path());
    assert!(before.reload().await.expect("read"));
    assert!(
        before.secret().is_none(),
        "nobody rotates what is on its way out"
    );
    let after = replica(&api, folder.path()).await;
    assert_eq!(*before.authority(), *after.authority());
    for replica in [&before, &after] {
        let authority = replica.authority();
        assert_eq!(authority.roots().to_pem(), format!("{old}{new}"));
        assert!(is_vouched_for(&authority, &old), "the old one signs");
    }
    assert!(!before.reload().await.expect("read"), "nothing has changed");

    // The ConfigMap follows; what counts is when it began.
    distribute(&api, &format!("{old}{new}"));
    let now = SystemTime::now();
    let (authority, stage) = at(&api, folder.path(), now + 23 * HOUR).await;
    assert!(matches!(stage, Stage::Trusted(_)), "{stage:?}");
    assert!(is_vouched_for(&authority, &old));
    let (authority, stage) = at(&api, folder.path(), now + 25 * HOUR).await;
    assert!(matches!(stage, Stage::Signing(_)), "{stage:?}");
    assert!(is_vouched_for(&authority, &new) && !is_vouched_for(&authority, &old));
    assert_eq!(authority.roots().to_pem(), format!("{new}{old}"));
    let (authority, stage) = at(&api, folder.path(), now + 92 * 24 * HOUR).await;
    assert_eq!(stage, Stage::Alone);
    assert_eq!(authority.roots().to_pem(), new);
}

#[tokio::test]
async fn roots_that_the_mesh_trusts_already_sign_at_once() {
    let api = ApiServer::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let old = replica(&api, folder.path()).await.authority();
    let old = old.roots().to_pem();
    let new = plug_in(folder.path());
    // The mesh ran on the files before, and the Secret is left from earlier.
    distribute(&api, &new);
    let alone = replica(&api, folder.path()).await;
    assert_eq!(alone.authority().roots().to_pem(), new);
    assert!(
        api.get("secrets", "istio-system", NAME).expect("there")["metadata"]["annotations"]
            .is_null()
    );
    // Its owner has had both trusted before.
    distribute(&api, &format!("{old}{new}"));
    let both = replica(&api, folder.path()).await;
    assert!(is_vouched_for(&both.authority(), &new));
    assert_eq!(both.authority().roots().to_pem(), format!("{new}{old}"));
}

#[tokio::test]
async fn where_there_is_no_secret_or_one_that_cannot_sign_files_are_alone() {
    let api = ApiServer::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let new = plug_in(folder.path());
    let first = replica(&api, folder.path()).await;
    assert_eq!(first.authority().roots().to_pem(), new);
    assert_eq!(api.get("secrets", "istio-system", NAME), None);
    let before = api.requests();
    assert!(!first.reload().await.expect("read"));
    assert_eq!(api.requests(), before, "nothing more is asked");

    api.apply(&format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {NAME}, namespace: istio-system}}\ndata: {{}}\n"));
    let (authority, stage) = at(&api, folder.path(), SystemTime::now()).await;
    assert_eq!((authority.roots().to_pem(), stage), (new, Stage::Alone));
}

#[tokio::test]
async fn files_that_are_taken_away_again_leave_what_is_in_force() {
    let api = ApiServer::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let running = replica(&api, folder.path()).await;
    plug_in(folder.path());
    assert!(running.reload().await.expect("read"));
    let in_force = running.authority();
    std::fs::remove_file(folder.path().join("ca-key.pem")).expect("removed");
    running.reload().await.expect_err("there is no key");
    assert_eq!(*running.authority(), *in_force);
}
