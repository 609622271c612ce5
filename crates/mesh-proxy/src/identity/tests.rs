//! Against a scripted authority over loopback.

mod outage; // the authority is away for longer than a certificate lives

use super::{
    fake_ca::{Answer, FakeCa, FakeServer, Root, serve, serve_until},
    *,
};
use crate::{
    config::Settings,
    tls::{Secrets, secret::Material},
};
use mesh_model::{SecretName, name::ROOT_CA_SECRET, secret::SecretValue};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tonic::Code;

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_secs(20);

/// A pod's files and settings.
pub(crate) struct Pod {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) settings: Settings,
}

impl Pod {
    pub(crate) fn new(root: &Root) -> Self {
        use clap::Parser;
        let folder = tempfile::tempdir().expect("folder");
        let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let arguments = [
            "mesh-proxy",
            "agent",
            "--pod-name",
            "nginx-1",
            "--pod-namespace",
            "test",
            "--instance-ip",
            "10.244.0.73",
            "--pod-info-dir",
            "/nonexistent",
            "--token-path",
            &file("token"),
            "--ca-root-path",
            &file("root"),
            "--sds-socket",
            &file("sds"),
        ];
        let command = crate::config::Command::try_parse_from(arguments).expect("parsed");
        let Some(crate::config::Verb::Agent(typed)) = command.verb else {
            panic!("not the agent")
        };
        let settings = Settings::new(*typed, std::iter::empty()).expect("valid");
        std::fs::write(folder.path().join("token"), "first\n").expect("written");
        std::fs::write(folder.path().join("root"), &root.pem).expect("written");
        Self { folder, settings }
    }

    pub(crate) fn control_plane(&self, port: u16) -> ControlPlane {
        control_plane(&format!("localhost:{port}"), &self.settings)
    }
}

struct Running {
    pod: Pod,
    secrets: Arc<Secrets>,
    status: watch::Receiver<Status>,
    _task: JoinSet<()>,
}

impl Running {
    fn start(pod: Pod, port: u16) -> Self {
        Self::start_at(pod, port, Clock::default())
    }

    fn start_at(pod: Pod, port: u16, clock: Clock) -> Self {
        let secrets = Arc::new(Secrets::default());
        let identity = pod.settings.identity.clone();
        let renewal = Renewal::new(pod.control_plane(port), identity, clock);
        let status = renewal.status();
        let mut task = JoinSet::new();
        let sink = Arc::clone(&secrets);
        task.spawn(renewal.run(move |secret| sink.set(secret)));
        Self {
            pod,
            secrets,
            status,
            _task: task,
        }
    }

    async fn until(&mut self, what: impl FnMut(&Status) -> bool) -> Status {
        let waiting = timeout(SOON, self.status.wait_for(what));
        waiting.await.expect("in time").expect("alive").clone()
    }

    fn roots(&self) -> usize {
        let slot = self.secrets.slot(&SecretName::from(ROOT_CA_SECRET));
        match slot.load().as_deref() {
            Some(Material::Roots(roots)) => roots.len(),
            _ => 0,
        }
    }

    fn leaf(&self) -> Option<Arc<str>> {
        let slot = self.secrets.slot(&SecretName::from("default"));
        match slot.load().as_deref() {
            Some(Material::Certificate { uri_san, .. }) => uri_san.clone(),
            _ => None,
        }
    }
}

async fn serve_ca(root: &Root, ca: &Arc<FakeCa>) -> FakeServer {
    serve(root, ca.routes(), 0).await
}

#[tokio::test]
async fn a_token_buys_a_certificate() {
    let root = Root::new("a");
    let ca = FakeCa::new([Answer::Sign(Arc::clone(&root), HOUR)]);
    let server = serve_ca(&root, &ca).await;
    let mut running = Running::start(Pod::new(&root), server.port);
    let status = running.until(|s| s.renewals == 1).await;
    assert_eq!(status.error, None);
    assert_eq!(
        running.leaf().as_deref(),
        Some("spiffe://cluster.local/ns/test/sa/default")
    );
    assert_eq!(running.roots(), 1, "the same from file and answer");
    assert_eq!(*ca.tokens.lock(), ["Bearer first"]);
}

#[tokio::test]
async fn it_is_renewed_with_the_token_of_the_day_and_a_failure_costs_nothing() {
    let root = Root::new("a");
    let ca = FakeCa::new([
        Answer::Sign(Arc::clone(&root), Duration::from_secs(3)),
        Answer::Refuse(Code::Unavailable),
        Answer::Sign(Arc::clone(&root), HOUR),
    ]);
    let server = serve_ca(&root, &ca).await;
    let mut running = Running::start(Pod::new(&root), server.port);
    running.until(|s| s.renewals == 1).await;
    std::fs::write(running.pod.folder.path().join("token"), "second").expect("written");
    let failed = running.until(|s| s.failures == 1).await;
    let reason = failed.error.expect("told");
    assert!(reason.contains("answered Unavailable: not you"), "{reason}");
    assert!(running.leaf().is_some(), "the old one stays");
    running
        .until(|s| s.renewals == 2 && s.error.is_none())
        .await;
    assert_eq!(
        *ca.tokens.lock(),
        ["Bearer first", "Bearer second", "Bearer second"]
    );
}

#[tokio::test]
async fn a_new_root_is_trusted_beside_the_old_one() {
    let (old, new) = (Root::new("old"), Root::new("new"));
    let ca = FakeCa::new([Answer::Sign(Arc::clone(&old), HOUR)]);
    let server = serve_ca(&old, &ca).await;
    let mut running = Running::start(Pod::new(&old), server.port);
    running.until(|s| s.renewals == 1).await;
    let both = format!("{}{}", old.pem, new.pem);
    let file = running.pod.folder.path().join("root");
    std::fs::write(&file, both).expect("written");
    until_roots(&running, 2).await;
    // A file that is being broken changes nothing.
    std::fs::write(
        &file,
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
    )
    .expect("written");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(running.roots(), 2);
}

/// Old → both → new: what is signed by the new root is used only once that is trusted, and the old one ends with what
/// it signed, without waiting for half a day.
#[tokio::test]
async fn a_root_is_replaced_in_three_steps() {
    let (old, new) = (Root::new("old"), Root::new("new"));
    let ca = FakeCa::new([
        Answer::Sign(Arc::clone(&old), HOUR),
        Answer::Sign(Arc::clone(&new), HOUR),
    ]);
    let server = serve_ca(&old, &ca).await;
    let pod = Pod::new(&old);
    let file = pod.folder.path().join("root");
    let mut running = Running::start(pod, server.port);
    running.until(|s| s.renewals == 1).await;
    // The next certificate is asked for under the new root.
    std::fs::write(&file, format!("{}{}", old.pem, new.pem)).expect("written");
    until_roots(&running, 2).await;
    assert_eq!(
        running.status.borrow().renewals,
        1,
        "nothing is wrong with it"
    );
    let port = server.port;
    drop(server);
    until_free(port).await;
    let _server = serve(&new, ca.routes(), port).await;
    std::fs::write(&file, &new.pem).expect("written");
    running.until(|s| s.renewals == 2).await;
    assert_eq!(running.roots(), 1, "the old one is trusted no more");
    assert_eq!(running.status.borrow().failures, 0);
}

/// A replica that has not heard yet that the old root is gone does not bring it back, and is asked again.
#[tokio::test]
async fn f17_a_root_that_is_gone_does_not_come_back() {
    let (old, new) = (Root::new("old"), Root::new("new"));
    let ca = FakeCa::new([
        Answer::Sign(Arc::clone(&old), HOUR),
        Answer::Sign(Arc::clone(&old), HOUR),
        Answer::Sign(Arc::clone(&new), HOUR),
    ]);
    let server = serve_ca(&new, &ca).await;
    let pod = Pod::new(&old);
    let file = pod.folder.path().join("root");
    std::fs::write(&file, format!("{}{}", old.pem, new.pem)).expect("written");
    let mut running = Running::start(pod, server.port);
    running.until(|s| s.renewals == 1).await;
    assert_eq!(running.roots(), 2);
    std::fs::write(&file, &new.pem).expect("written");
    running.until(|s| s.renewals == 2).await;
    assert_eq!(
        running.roots(),
        1,
        "though what came is signed by the old one"
    );
    running.until(|s| s.renewals == 3).await;
    assert_eq!(running.roots(), 1);
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_not_put_in_force() {
    let root = Root::new("a");
    let ca = FakeCa::new([
        Answer::SignFor("spiffe://cluster.local/ns/test/sa/other", Arc::clone(&root)),
        Answer::Sign(Arc::clone(&root), HOUR),
    ]);
    let server = serve_ca(&root, &ca).await;
    let mut running = Running::start(Pod::new(&root), server.port);
    let failed = running.until(|s| s.failures == 1).await;
    let reason = failed.error.expect("told");
    assert!(reason.contains("sa/other rather than"), "{reason}");
    assert!(running.leaf().is_none());
    running.until(|s| s.renewals == 1).await;
}

/// A leaf of a new root that the file does not know yet is preceded by that root.
#[tokio::test]
async fn a_root_is_published_before_what_it_signed() {
    let (old, new) = (Root::new("old"), Root::new("new"));
    let ca = FakeCa::new([
        Answer::Sign(Arc::clone(&old), Duration::from_secs(3)),
        Answer::Sign(Arc::clone(&new), HOUR),
    ]);
    let server = serve_ca(&old, &ca).await;
    let pod = Pod::new(&old);
    let renewal = Renewal::new(
        pod.control_plane(server.port),
        pod.settings.identity.clone(),
        Clock::default(),
    );
    let mut status = renewal.status();
    let published = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let sink = Arc::clone(&published);
    let mut task = JoinSet::new();
    task.spawn(renewal.run(move |secret| {
        let roots = match &secret.value {
            SecretValue::Validation { trusted_ca } => {
                let pem = String::from_utf8_lossy(trusted_ca);
                pem.matches("-----BEGIN").count()
            }
            SecretValue::Certificate { .. } => 0,
        };
        sink.lock().push((secret.name.to_string(), roots));
        Ok(())
    }));
    let both = timeout(SOON, status.wait_for(|s| s.renewals == 2));
    both.await.expect("in time").expect("alive");
    let published = published.lock().clone();
    let (leaf, before) = published.split_last().expect("published");
    assert_eq!(leaf, &("default".to_owned(), 0));
    assert_eq!(before.last(), Some(&(ROOT_CA_SECRET.to_owned(), 2)));
}

/// A server that was dropped lets go of its port a little later.
async fn until_free(port: u16) {
    timeout(SOON, async {
        while std::net::TcpListener::bind(("127.0.0.1", port)).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("in time");
}

async fn until_roots(running: &Running, count: usize) {
    timeout(SOON, async {
        while running.roots() != count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("in time");
}

/// The token can't be checked for a while: the certificate is shown beside it, and no longer than that.
#[tokio::test]
async fn while_tokens_are_not_checked_the_certificate_is_shown() {
    let root = Root::new("a");
    let ca = FakeCa::new([
        Answer::Refuse(Code::Unavailable),
        Answer::Sign(Arc::clone(&root), 24 * HOUR),
        Answer::Refuse(Code::Unavailable),
        Answer::Refuse(Code::Unavailable),
        Answer::Refuse(Code::Unavailable),
        Answer::Sign(Arc::clone(&root), 24 * HOUR),
    ]);
    let server = serve_ca(&root, &ca).await;
    let (ahead, clock) = clock();
    let mut running = Running::start_at(Pod::new(&root), server.port, clock);
    running.until(|s| s.renewals == 1).await;
    ahead.store(13 * 3600, std::sync::atomic::Ordering::Relaxed);
    running.until(|s| s.renewals == 2).await;
    // None to show; bought by the token; refused, shown, not shown, shown.
    let shown = [false, false, false, true, false, true];
    assert_eq!(*server.shown.lock(), shown);
    assert_eq!(
        ca.tokens.lock().len(),
        shown.len(),
        "a token is always sent"
    );
}

/// A clock that a test sets.
fn clock() -> (Arc<std::sync::atomic::AtomicU64>, Clock) {
    let ahead = Arc::<std::sync::atomic::AtomicU64>::default();
    let read = Arc::clone(&ahead);
    let clock = Clock::new(move || {
        let ahead = read.load(std::sync::atomic::Ordering::Relaxed);
        std::time::SystemTime::now() + Duration::from_secs(ahead)
    });
    (ahead, clock)
}

/// An hour is nothing to a certificate of a day. Half its life is, though no timer has moved; and by a clock that is more
/// than a day ahead nothing is valid that comes.
#[tokio::test]
async fn f19_a_clock_that_jumps_is_noticed_and_named() {
    let set = |ahead: &std::sync::atomic::AtomicU64, hours: u64| {
        ahead.store(hours * 3600, std::sync::atomic::Ordering::Relaxed);
    };
    let root = Root::new("a");
    let ca = FakeCa::new([Answer::Sign(Arc::clone(&root), 24 * HOUR)]);
    let server = serve_ca(&root, &ca).await;
    let (ahead, clock) = clock();
    let mut running = Running::start_at(Pod::new(&root), server.port, clock);
    running.until(|s| s.renewals == 1).await;
    set(&ahead, 1);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(running.status.borrow().renewals, 1, "it is good for longer");
    set(&ahead, 13);
    running.until(|s| s.renewals == 2).await;
    set(&ahead, 25);
    let failed = running.until(|s| s.error.is_some()).await;
    let reason = failed.error.expect("told");
    assert!(
        reason.starts_with("cert_time: ") && reason.contains("clocks"),
        "{reason}"
    );
    assert!(running.leaf().is_some(), "what is in force stays");
    set(&ahead, 0);
    running.until(|s| s.error.is_none()).await;
}

/// What is wrong is said in one line that names it.
#[tokio::test]
async fn reasons_name_what_is_missing() {
    let (root, stranger) = (Root::new("a"), Root::new("b"));
    let ca = FakeCa::new([Answer::Refuse(Code::Unauthenticated)]);
    let server = serve_ca(&root, &ca).await;
    let reason = async |pod: Pod, port: u16| {
        let mut running = Running::start(pod, port);
        running
            .until(|s| s.error.is_some())
            .await
            .error
            .expect("told")
    };
    let pod = Pod::new(&root);
    std::fs::remove_file(pod.folder.path().join("token")).expect("removed");
    let no_token = reason(pod, server.port).await;
    let pod = Pod::new(&root);
    std::fs::remove_file(pod.folder.path().join("root")).expect("removed");
    let no_root = reason(pod, server.port).await;
    let other_root = reason(Pod::new(&stranger), server.port).await;
    let unreachable = reason(Pod::new(&root), 1).await;
    let refused = reason(Pod::new(&root), server.port).await;
    let yesterday = std::time::SystemTime::now() - 24 * HOUR;
    let late = serve_until(&root, ca.routes(), 0, yesterday).await;
    let over = reason(Pod::new(&root), late.port).await;
    for (got, want) in [
        (no_token, "token of the service account: "),
        (no_root, "istio-ca-root-cert has to be mounted"),
        (other_root, "invalid peer certificate: UnknownIssuer"),
        (unreachable, "(hint: is istiod running?)"),
        (refused, "answered Unauthenticated"),
        (
            over.clone(),
            ": cert_time: invalid peer certificate: certificate expired",
        ),
        (over, "(hint: one of the two clocks is wrong"),
    ] {
        assert!(got.contains(want) && !got.contains('\n'), "{got}");
    }
}

#[tokio::test]
async fn a_server_of_another_name_is_not_spoken_with() {
    let root = Root::new("a");
    let ca = FakeCa::new([Answer::Refuse(Code::Unauthenticated)]);
    let server = serve_ca(&root, &ca).await;
    let pod = Pod::new(&root);
    let plane = control_plane(&format!("127.0.0.1:{}", server.port), &pod.settings);
    let error = plane.connect().await.expect_err("another name").explain();
    assert!(
        error.contains("NotValidForName") || error.contains("not valid for name"),
        "{error}"
    );
    assert!(ca.tokens.lock().is_empty(), "the token was not shown");
}
