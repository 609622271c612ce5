//! Against a scripted control plane over loopback, with a data path that only writes down what it is told.

mod broken; // a control plane that is hostile or broken

use super::{
    fake_ads::{FakeAds, FakeStream, raw, wire},
    *,
};
use crate::identity::{self, fake_ca::Root, tests::Pod};
use mesh_model::{
    ClusterName, ListenerName, RouteName,
    cluster::{Cluster, Discovery, Limits},
    endpoint::ClusterLoadAssignment,
    filter::NetworkFilter,
    http::{HttpConnectionManager, HttpFilter, RouteSource},
    listener::{FilterChain, Listener},
    name_table::NameTable,
    route::RouteConfiguration,
};
use mesh_runtime::readiness::Readiness;
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};
use tokio::{sync::watch, task::JoinSet, time::timeout};

const SOON: Duration = Duration::from_secs(20);
/// The patience with a server that hangs.
const QUICK: Duration = Duration::from_millis(200);

/// Writes down what it is told; what waits is set by the test.
#[derive(Default)]
pub(crate) struct Notes {
    told: Mutex<Vec<String>>,
    pub(crate) waiting: Mutex<BTreeSet<String>>,
}

impl Notes {
    fn note(&self, what: String) {
        self.told.lock().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock())
    }
}

impl Target for Notes {
    fn apply_cluster(&self, cluster: Cluster) {
        self.note(format!("+cluster {}", cluster.name));
    }
    fn remove_cluster(&self, name: &ClusterName) {
        self.note(format!("-cluster {name}"));
    }
    fn apply_endpoints(&self, endpoints: ClusterLoadAssignment) {
        self.note(format!("+endpoints {}", endpoints.cluster));
    }
    fn remove_endpoints(&self, name: &ClusterName) {
        self.note(format!("-endpoints {name}"));
    }
    fn apply_listener(&self, listener: Listener) -> Result<(), String> {
        if listener.name.as_str() == "impossible" {
            return Err("it is impossible".into());
        }
        self.note(format!("+listener {}", listener.name));
        Ok(())
    }
    fn remove_listener(&self, name: &ListenerName) {
        self.note(format!("-listener {name}"));
    }
    fn apply_routes(&self, routes: RouteConfiguration) -> Result<(), String> {
        self.note(format!("+routes {}", routes.name));
        Ok(())
    }
    fn remove_routes(&self, name: &RouteName) {
        self.note(format!("-routes {name}"));
    }
    fn apply_names(&self, names: &NameTable) {
        self.note(format!("+names {:?}", names.names.keys()));
    }
    fn settle(&self) {}
    fn warming(&self, _: ResourceType) -> BTreeSet<String> {
        self.waiting.lock().clone()
    }
}

pub(crate) fn cluster(name: &str) -> Cluster {
    Cluster {
        limits: Limits::UNLIMITED,
        ..Cluster::new(name.into(), Discovery::Eds(name.into()))
    }
}

pub(crate) fn listener(name: &str, port: u16, routes: &str) -> Listener {
    let manager = HttpConnectionManager {
        filters: vec![HttpFilter::Router.into()],
        ..HttpConnectionManager::new(format!("outbound_{name}"), RouteSource::Rds(routes.into()))
    };
    let manager = NetworkFilter::HttpConnectionManager(Box::new(manager));
    Listener {
        bind_to_port: false,
        direction: Some(mesh_model::name::Direction::Outbound),
        filter_chains: vec![FilterChain::new(vec![manager])],
        ..Listener::new(name.into(), ([0, 0, 0, 0], port).into())
    }
}

fn endpoints(name: &str) -> ClusterLoadAssignment {
    ClusterLoadAssignment::new(name.into())
}

fn routes(name: &str) -> RouteConfiguration {
    RouteConfiguration {
        ignore_port_in_host_matching: true,
        ..RouteConfiguration::new(name.into(), vec![])
    }
}

struct Running {
    target: Arc<Notes>,
    store: Arc<Store>,
    readiness: Readiness,
    secrets: watch::Sender<identity::Status>,
    _pod: Pod,
    _tasks: JoinSet<()>,
}

impl Running {
    fn start(root: &Root, port: u16) -> Self {
        Self::of(Pod::new(root), port)
    }

    fn of(pod: Pod, port: u16) -> Self {
        let (target, store) = (Arc::<Notes>::default(), Arc::<Store>::default());
        let plane = pod.control_plane(port);
        let xds = Xds::of(
            plane,
            &pod.settings,
            Arc::clone(&target),
            Arc::clone(&store),
        );
        let (secrets, identity) = watch::channel(identity::Status::default());
        let progress = Progress::new(Arc::clone(&target), Arc::clone(&store), identity);
        let readiness = Readiness::new();
        let condition = readiness.condition("xds", "not asked yet");
        let mut tasks = JoinSet::new();
        tasks.spawn(xds.run());
        tasks.spawn(progress.run(condition));
        Self {
            target,
            store,
            readiness,
            secrets,
            _pod: pod,
            _tasks: tasks,
        }
    }

    /// Waits until the reason for not being ready contains `text`.
    async fn unready_because(&self, text: &str) {
        let waiting = timeout(SOON, async {
            loop {
                let why = self
                    .readiness
                    .check()
                    .map_or_else(|u| u.to_string(), |()| "ready".into());
                if why.contains(text) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        if waiting.await.is_err() {
            panic!("`{text}` is not in {:?}", self.readiness.check());
        }
    }
}

use ResourceType::{Cluster as Cds, Endpoint as Eds, Listener as Lds, Route as Rds};

/// A first configuration: one cluster, its endpoints, one listener, its routes.
async fn configure(stream: &mut FakeStream) {
    let ack = stream
        .push(Cds, "c1", vec![wire(&cluster("a"), "1")], &[])
        .await;
    assert!(ack.error_detail.is_none(), "{ack:?}");
    let ask = stream
        .push(
            Lds,
            "l1",
            vec![wire(&listener("0.0.0.0_80", 80, "80"), "1")],
            &[],
        )
        .await;
    assert!(ask.error_detail.is_none(), "{ask:?}");
    stream
        .push(Eds, "e1", vec![wire(&endpoints("a"), "1")], &[])
        .await;
    stream
        .push(Rds, "r1", vec![wire(&routes("80"), "1")], &[])
        .await;
}

#[tokio::test]
async fn a_stream_begins_with_who_we_are_and_asks_for_what_is_referred_to() {
    let root = Root::new("a");
    let ads = FakeAds::serve(&root).await;
    let running = Running::start(&root, ads.server.port);
    let mut stream = ads.stream().await;
    assert_eq!(stream.authorization, "Bearer first");
    let first = stream.request().await;
    let node = first.node.expect("who we are");
    assert_eq!(
        node.id,
        "sidecar~10.244.0.73~nginx-1.test~test.svc.cluster.local"
    );
    assert!(node.extensions.iter().any(|e| e.name == "istio.alpn"));
    assert_eq!(first.type_url, Cds.type_url());
    let second = stream.request().await;
    assert!(second.node.is_none() && second.type_url == Lds.type_url());

    stream
        .send(Cds, "c1", vec![wire(&cluster("a"), "1")], &[])
        .await;
    let eds = stream.request_of(Eds).await;
    assert_eq!(eds.resource_names_subscribe, ["a"]);
    stream
        .push(Eds, "e1", vec![wire(&endpoints("a"), "1")], &[])
        .await;
    stream
        .send(
            Lds,
            "l1",
            vec![wire(&listener("0.0.0.0_80", 80, "80"), "1")],
            &[],
        )
        .await;
    let rds = stream.request_of(Rds).await;
    assert_eq!(rds.resource_names_subscribe, ["80"]);
    stream
        .push(Rds, "r1", vec![wire(&routes("80"), "1")], &[])
        .await;
    assert_eq!(
        running.target.take(),
        [
            "+cluster a",
            "+endpoints a",
            "+listener 0.0.0.0_80",
            "+routes 80"
        ]
    );
    running.readiness.ready().await;
}

/// Istio's table has no name of its own, whatever name it is sent under.
#[tokio::test]
async fn names_are_asked_for_where_dns_is_captured() {
    const NDS: ResourceType = ResourceType::NameTable;
    let root = Root::new("a");
    let ads = FakeAds::serve(&root).await;
    let mut pod = Pod::new(&root);
    pod.settings.captures_dns = true;
    let running = Running::of(pod, ads.server.port);
    let mut stream = ads.stream().await;
    let asked = [
        stream.request().await,
        stream.request().await,
        stream.request().await,
    ];
    assert_eq!(
        asked.map(|r| r.type_url),
        [Cds, Lds, NDS].map(ResourceType::type_url)
    );
    let table = raw(NDS.type_url(), "", "1", b"\x0a\x03\x0a\x01a");
    let ack = stream.push(NDS, "n1", vec![table], &[]).await;
    assert!(ack.error_detail.is_none(), "{ack:?}");
    let named = raw(NDS.type_url(), "names", "2", b"");
    let ack = stream.push(NDS, "n2", vec![named], &[]).await;
    assert!(ack.error_detail.is_none(), "{ack:?}");
    assert_eq!(running.target.take(), ["+names [\"a\"]", "+names []"]);
    let broken = raw(NDS.type_url(), "", "3", b"\xff");
    let nack = stream.push(NDS, "n3", vec![broken], &[]).await;
    assert!(nack.error_detail.is_some());
    assert_eq!(running.target.take(), [""; 0]);
}

#[tokio::test]
async fn sec_60_what_cannot_be_executed_is_refused_and_the_old_one_stays() {
    let root = Root::new("a");
    let ads = FakeAds::serve(&root).await;
    let running = Running::start(&root, ads.server.port);
    let mut stream = ads.stream().await;
    configure(&mut stream).await;
    running.target.take();
    let nack = stream
        .push(
            Lds,
            "l2",
            vec![
                raw(Lds.type_url(), "0.0.0.0_80", "2", b"\xff\xff"),
                wire(&listener("impossible", 81, "81"), "2"),
                raw(
                    Lds.type_url(),
                    "alias",
                    "2",
                    &mesh_xds::resource::Resource::encode(&listener("name", 82, "82")),
                ),
                wire(&listener("0.0.0.0_90", 90, "80"), "2"),
            ],
            &[],
        )
        .await;
    let message = nack.error_detail.expect("a refusal").message;
    for part in ["0.0.0.0_80", "it is impossible", "calls itself `name`"] {
        assert!(message.contains(part), "{part} is missing in {message}");
    }
    assert_eq!(
        running.target.take(),
        ["+listener 0.0.0.0_90"],
        "the good one is in force"
    );
    let entries = running.store.entries(Lds);
    let entry = |name: &str| &entries.iter().find(|e| e.0 == name).expect(name).1;
    let kept = entry("0.0.0.0_80");
    assert_eq!(kept.latest.as_ref().expect("kept").version, "1");
    assert!(kept.refused.is_some() && entry("impossible").latest.is_none());
    assert_eq!(running.store.stats(Lds).update_rejected, 1);
}

#[tokio::test]
async fn a_lost_stream_changes_nothing_and_the_next_one_says_what_is_held() {
    let root = Root::new("a");
    let ads = FakeAds::serve(&root).await;
    let running = Running::start(&root, ads.server.port);
    let mut stream = ads.stream().await;
    configure(&mut stream).await;
    running.readiness.ready().await;
    running.target.take();
    stream.fail(tonic::Status::unavailable("restarting")).await;
    let mut stream = ads.stream().await;
    let cds = stream.request_of(Cds).await;
    assert_eq!(
        cds.initial_resource_versions,
        [("a".to_owned(), "1".to_owned())].into()
    );
    assert!(cds.node.is_some());
    let eds = stream.request_of(Eds).await;
    assert_eq!(eds.initial_resource_versions["a"], "1");
    assert!(running.target.take().is_empty(), "nothing was dropped");
    assert!(running.readiness.check().is_ok(), "still ready");
    // Gone while we were away: its endpoints go with it.
    stream
        .push(Cds, "c2", vec![wire(&cluster("b"), "1")], &["a"])
        .await;
    assert_eq!(
        running.target.take(),
        ["+cluster b", "-cluster a", "-endpoints a"]
    );
}

#[tokio::test]
async fn a_replaced_listener_is_shown_until_the_new_one_is_in_force() {
    let root = Root::new("a");
    let ads = FakeAds::serve(&root).await;
    let running = Running::start(&root, ads.server.port);
    let mut stream = ads.stream().await;
    configure(&mut stream).await;
    running.target.waiting.lock().insert("0.0.0.0_80".into());
    stream
        .push(
            Lds,
            "l2",
            vec![wire(&listener("0.0.0.0_80", 80, "later"), "2")],
            &[],
        )
        .await;
    assert!(
        !running.target.take().contains(&"-routes 80".to_owned()),
        "the one that serves needs them"
    );
    let entry = |running: &Running| running.store.entries(Lds).remove(0).1;
    let waiting = entry(&running);
    assert_eq!(waiting.previous.expect("serves").version, "1");
    assert_eq!(waiting.latest.expect("waits").version, "2");
    running.target.waiting.lock().clear();
    stream
        .push(Rds, "r2", vec![wire(&routes("later"), "1")], &[])
        .await;
    assert!(entry(&running).previous.is_none());
    assert_eq!(running.target.take(), ["+routes later", "-routes 80"]);
}

/// While nobody can check the token, the certificate is shown beside it, and no longer than that.
#[tokio::test]
async fn f14_a_certificate_helps_a_token_that_cannot_be_checked() {
    let root = Root::new("a");
    let (ads, pod) = (FakeAds::serve(&root).await, Pod::new(&root));
    let mut xds = Xds::of(
        pod.control_plane(ads.server.port),
        &pod.settings,
        Arc::<Notes>::default(),
        Arc::<Store>::default(),
    );
    xds.own = root.own();
    let mut tasks = JoinSet::new();
    tasks.spawn(xds.run());
    let away = || tonic::Status::unavailable("the API server cannot be asked for the token");
    ads.stream().await.fail(away()).await;
    let mut stream = ads.stream().await;
    configure(&mut stream).await;
    stream.fail(away()).await;
    ads.stream().await;
    assert_eq!(*ads.server.shown.lock(), [false, true, false]);
}

#[tokio::test]
async fn a_control_plane_that_hangs_is_left() {
    let root = Root::new("a");
    let (ads, pod) = (FakeAds::serve(&root).await, Pod::new(&root));
    let middle = Middle::start(ads.server.port).await;
    let plane = pod.control_plane(middle.port).with_keep_alive(QUICK, QUICK);
    let store = Arc::<Store>::default();
    let xds = Xds::of(
        plane,
        &pod.settings,
        Arc::<Notes>::default(),
        Arc::clone(&store),
    );
    let mut tasks = JoinSet::new();
    tasks.spawn(xds.run());
    let mut stream = ads.stream().await;
    configure(&mut stream).await;
    assert!(store.connection().is_connected);
    middle
        .hang
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let lost = timeout(SOON, async {
        let mut changes = store.changes();
        while store.connection().is_connected {
            changes.changed().await.expect("alive");
        }
    });
    lost.await.expect("noticed");
    middle
        .hang
        .store(false, std::sync::atomic::Ordering::Relaxed);
    let mut stream = ads.stream().await;
    assert_eq!(
        stream.request_of(Cds).await.initial_resource_versions["a"],
        "1"
    );
}

/// Carries bytes to a port, until told to hang: then connections stay open and nothing moves.
struct Middle {
    port: u16,
    hang: Arc<std::sync::atomic::AtomicBool>,
    _task: JoinSet<()>,
}

impl Middle {
    async fn start(to: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let hang = Arc::<std::sync::atomic::AtomicBool>::default();
        let mut task = JoinSet::new();
        let hanging = Arc::clone(&hang);
        task.spawn(async move {
            let mut pipes = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = tokio::net::TcpStream::connect(("127.0.0.1", to)).await;
                let (client, server) = (client.into_split(), server.expect("served").into_split());
                pipes.spawn(pipe(client.0, server.1, Arc::clone(&hanging)));
                pipes.spawn(pipe(server.0, client.1, Arc::clone(&hanging)));
            }
        });
        Self {
            port,
            hang,
            _task: task,
        }
    }
}

async fn pipe(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    hang: Arc<std::sync::atomic::AtomicBool>,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if hang.load(std::sync::atomic::Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn unreadiness_says_why() {
    let root = Root::new("a");
    let ads = FakeAds::serve(&root).await;
    let port = ads.server.port;
    drop(ads);
    let running = Running::start(&root, port);
    let expected = "config not received from XDS server (is Istiod running?): cds updates: 0 successful, 0 rejected; \
                    lds updates: 0 successful, 0 rejected; connecting to localhost:";
    running.unready_because(expected).await;
    let ads = FakeAds::serve_at(&root, port).await;
    let mut stream = ads.stream().await;
    stream
        .push(Cds, "c1", vec![raw(Cds.type_url(), "a", "1", b"\xff")], &[])
        .await;
    running
        .unready_because("config received from XDS server, but was rejected: cds updates: 0 successful, 1 rejected;")
        .await;
    running
        .target
        .waiting
        .lock()
        .insert("virtualInbound".into());
    configure(&mut stream).await;
    running
        .unready_because("waiting for what these need: virtualInbound")
        .await;
    running
        .secrets
        .send_modify(|s| s.error = Some("the token is missing".into()));
    running
        .unready_because("no certificate: the token is missing")
        .await;
    running.target.waiting.lock().clear();
    running
        .secrets
        .send_modify(|s| s.not_after = Some(SystemTime::now()));
    timeout(SOON, running.readiness.ready())
        .await
        .expect("ready");
}

/// Puts resources into a store without a stream; what is refused comes back.
pub(crate) fn fill<T: Target>(
    target: &Arc<T>,
    store: &Arc<Store>,
    kind: ResourceType,
    resources: &[(&str, &str, Vec<u8>)],
) -> Vec<ads::Refused> {
    let added = resources
        .iter()
        .map(|(name, version, bytes)| ads::Resource {
            name: (*name).into(),
            version: (*version).into(),
            bytes: bytes.clone().into(),
        });
    let update = ads::Update {
        kind,
        version: "system".into(),
        added: added.collect(),
        removed: vec![],
        ignored: vec![],
    };
    let refused = Applier::new(Arc::clone(target), Arc::clone(store)).apply(&update);
    store.answered(kind, "system", ads::TypeStats::default());
    refused
}
