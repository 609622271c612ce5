//! A proxy with one listener, servers that do as they are told byte by byte, and clients as plain.

use crate::{
    connection::{Connection, DownstreamPeer},
    http::{
        Manager,
        downstream::tests::connection,
        exchange::tests::{Seen, take},
        manager::tests::model,
        route::tests::{configuration, forward},
        serve,
    },
    tls::{DownstreamContext, Rewind, Stream},
    upstream::cluster::tests::cluster,
    worker::{Shared, Worker},
};
use mesh_model::{
    cluster,
    http::HttpConnectionManager,
    name::Direction,
    route::{self, RouteAction},
    secret::Secret,
    tls::DownstreamTls,
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{LocalSet, spawn_local},
};
use tokio_util::sync::CancellationToken;

/// Longest time that anything in a test may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test on one thread, as a worker does.
pub(super) fn run<F: Future<Output = ()>>(test: F) {
    on(false, test);
}

/// The same with a clock that jumps to the next timer when nothing else happens.
pub(super) fn run_paused<F: Future<Output = ()>>(test: F) {
    on(true, test);
}

fn on<F: Future<Output = ()>>(paused: bool, test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(paused)
        .build()
        .expect("a runtime");
    take();
    LocalSet::new().block_on(&runtime, async {
        if paused {
            return test.await;
        }
        tokio::time::timeout(PATIENCE, test)
            .await
            .expect("the test takes too long");
    });
}

/// What a proxy is made of. The default: outbound, everything goes to cluster `c`.
pub(super) struct Setup {
    pub(super) manager: HttpConnectionManager,
    pub(super) routes: Vec<route::Route>,
    pub(super) clusters: Vec<cluster::Cluster>,
    pub(super) connection: Connection,
    /// TLS that is terminated.
    pub(super) tls: Option<DownstreamTls>,
    pub(super) secrets: Vec<Secret>,
}

impl Setup {
    /// To these servers.
    pub(super) fn to(servers: &[SocketAddr]) -> Self {
        Self {
            manager: model(),
            routes: vec![forward("/", "c")],
            clusters: vec![cluster("c", servers)],
            connection: connection(Direction::Outbound),
            tls: None,
            secrets: vec![],
        }
    }

    /// Changes the only route.
    pub(super) fn route(mut self, change: impl FnOnce(&mut route::Forward)) -> Self {
        let RouteAction::Forward(forward) = &mut self.routes[0].action else {
            unreachable!("a forward")
        };
        change(forward);
        self
    }

    /// Changes the only cluster.
    pub(super) fn cluster(mut self, change: impl FnOnce(&mut cluster::Cluster)) -> Self {
        change(&mut self.clusters[0]);
        self
    }

    /// Changes the connection manager.
    pub(super) fn manager(mut self, change: impl FnOnce(&mut HttpConnectionManager)) -> Self {
        change(&mut self.manager);
        self
    }

    /// The client is a peer that proved who it is.
    pub(super) fn of_a_peer(mut self) -> Self {
        self.connection = Connection {
            tls: Some(DownstreamPeer {
                uri_san: Some("spiffe://td/ns/a/sa/client".into()),
                local_uri_san: Some("spiffe://td/ns/a/sa/server".into()),
                certificate: Some(Arc::from(&b"der"[..])),
                alpn: None,
            }),
            ..connection(Direction::Inbound)
        };
        self
    }

    /// Starts it.
    pub(super) async fn start(self) -> Proxy {
        let shared = Arc::<Shared>::default();
        for secret in self.secrets {
            shared.secrets.set(secret).expect("a good secret");
        }
        for cluster in self.clusters {
            shared.clusters.apply(cluster, &shared.secrets);
        }
        let routes = configuration("80", vec![("all", vec!["*"], self.routes)]);
        let applied = shared.routes.apply(&routes, &shared.clusters);
        applied.expect("good formats");
        let manager = Manager::compile(&self.manager, None, &shared).expect("compiles");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let proxy = Proxy {
            address: listener.local_addr().expect("an address"),
            worker: Rc::new(Worker::new(0, Arc::clone(&shared))),
            shared,
            drain: CancellationToken::new(),
        };
        let connection = Rc::new(self.connection);
        let (worker, drain) = (Rc::clone(&proxy.worker), proxy.drain.clone());
        let manager = Arc::new(manager);
        let tls = self
            .tls
            .map(|tls| DownstreamContext::new(tls, &proxy.shared.secrets));
        let tls = Rc::new(tls);
        spawn_local(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let _ = tcp.set_nodelay(true);
                let (connection, manager) = (Rc::clone(&connection), Arc::clone(&manager));
                let (worker, drain, tls) = (Rc::clone(&worker), drain.clone(), Rc::clone(&tls));
                spawn_local(async move {
                    let Some((io, connection)) =
                        secured(tcp, connection, tls.as_ref().as_ref()).await
                    else {
                        return;
                    };
                    serve(io, connection, manager, worker, drain).await;
                });
            }
        });
        proxy
    }
}

async fn secured(
    tcp: TcpStream,
    connection: Rc<Connection>,
    tls: Option<&DownstreamContext>,
) -> Option<(Stream, Rc<Connection>)> {
    let Some(tls) = tls else {
        return Some((Stream::plain(tcp), connection));
    };
    let io = Rewind::new(Default::default(), tcp);
    let (stream, peer) = tls.accept(io, PATIENCE).await.ok()?;
    let connection = Connection {
        tls: Some(peer),
        ..(*connection).clone()
    };
    Some((Stream::Server(Box::new(stream)), Rc::new(connection)))
}

/// A proxy that runs.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    pub(super) shared: Arc<Shared>,
    pub(super) worker: Rc<Worker>,
    pub(super) drain: CancellationToken,
}

impl Proxy {
    /// A new connection to it.
    pub(super) async fn connect(&self) -> Wire {
        Wire::to(self.address).await
    }

    /// Sends `request` on a new connection and returns all that comes back until the proxy closes it.
    pub(super) async fn ask(&self, request: &str) -> String {
        let mut wire = self.connect().await;
        wire.send(request).await;
        wire.rest().await
    }

    /// A counter by its full name.
    pub(super) fn counter(&self, name: &str) -> u64 {
        let stats = self.shared.telemetry.stats();
        let stat = stats.iter().find(|s| s.full_name() == name);
        stat.expect("a counter").value
    }

    /// What telemetry was told of the only request since the last call.
    pub(super) async fn seen(&self) -> Seen {
        let mut all = self.all_seen(1).await;
        all.remove(0)
    }

    /// What telemetry was told of the `n` requests since the last call.
    pub(super) async fn all_seen(&self, n: usize) -> Vec<Seen> {
        let mut all = take();
        for _ in 0..1000 {
            if all.len() >= n {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            all.extend(take());
        }
        assert_eq!(all.len(), n, "{all:?}");
        all
    }
}

/// A connection as bytes.
pub(super) struct Wire {
    tcp: TcpStream,
    buffer: Vec<u8>,
    log: Rc<RefCell<Vec<String>>>,
}

impl Wire {
    pub(super) async fn to(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.expect("connected");
        Self::of(tcp, Rc::default())
    }

    fn of(tcp: TcpStream, log: Rc<RefCell<Vec<String>>>) -> Self {
        tcp.set_nodelay(true).expect("an option");
        Self {
            tcp,
            buffer: vec![],
            log,
        }
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.tcp.write_all(text.as_bytes()).await.expect("sent");
    }

    /// Sends what the other side takes.
    pub(super) async fn send_some(&mut self, text: &str) {
        let _ = self.tcp.write_all(text.as_bytes()).await;
    }

    /// Sends no more; still reads.
    pub(super) async fn end(&mut self) {
        self.tcp.shutdown().await.expect("half-closed");
    }

    /// All bytes up to and with `end`; the rest is kept. Panics if the connection ends before.
    pub(super) async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = find(&self.buffer, end.as_bytes()) {
                let rest = self.buffer.split_off(at + end.len());
                let all = std::mem::replace(&mut self.buffer, rest);
                return String::from_utf8(all).expect("text");
            }
            let n = self.tcp.read_buf(&mut self.buffer).await.unwrap_or(0);
            assert!(
                n > 0,
                "ended before {end:?}: {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
        }
    }

    /// A message with its body, by content-length.
    pub(super) async fn message(&mut self) -> String {
        let head = self.until("\r\n\r\n").await;
        let length = header(&head, "content-length").map_or(0, |l| l.parse().expect("a number"));
        while self.buffer.len() < length {
            let n = self.tcp.read_buf(&mut self.buffer).await.unwrap_or(0);
            assert!(n > 0, "ended in a body of {length}");
        }
        let rest = self.buffer.split_off(length);
        let body = std::mem::replace(&mut self.buffer, rest);
        let message = head + &String::from_utf8(body).expect("text");
        self.log.borrow_mut().push(message.clone());
        message
    }

    /// A message with its body, by content-length or in chunks, as a strict server reads it: both at once, or a body that
    /// breaks off, ends the connection without being counted.
    async fn chunked_message(&mut self) {
        let Some(head) = self.try_until("\r\n\r\n").await else {
            return;
        };
        let length = header(&head, "content-length");
        let coding = header(&head, "transfer-encoding");
        assert!(length.is_none() || coding.is_none(), "{head}");
        let whole = match (length, coding) {
            (_, Some("chunked")) => self.try_until("0\r\n\r\n").await.is_some(),
            (Some(length), _) => {
                let length = length.parse().expect("a number");
                self.take(length).await
            }
            _ => true,
        };
        if whole {
            self.log.borrow_mut().push(head);
        }
    }

    async fn try_until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = find(&self.buffer, end.as_bytes()) {
                let rest = self.buffer.split_off(at + end.len());
                let all = std::mem::replace(&mut self.buffer, rest);
                return String::from_utf8(all).ok();
            }
            if !matches!(self.tcp.read_buf(&mut self.buffer).await, Ok(n) if n > 0) {
                return None;
            }
        }
    }

    async fn take(&mut self, length: usize) -> bool {
        while self.buffer.len() < length {
            if !matches!(self.tcp.read_buf(&mut self.buffer).await, Ok(n) if n > 0) {
                return false;
            }
        }
        self.buffer.drain(..length);
        true
    }

    /// Sends a request and returns its response.
    pub(super) async fn exchange(&mut self, request: &str) -> String {
        self.send(request).await;
        self.message().await
    }

    /// All that comes until the other side closes, or resets.
    pub(super) async fn rest(&mut self) -> String {
        while matches!(self.tcp.read_buf(&mut self.buffer).await, Ok(n) if n > 0) {}
        String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned()
    }

    /// Closes without waiting for anything: the peer sees a reset.
    pub(super) fn reset(self) {
        socket2::SockRef::from(&self.tcp)
            .set_linger(Some(Duration::ZERO))
            .expect("an option");
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|w| w == wanted)
}

/// Value of the first header of that name in a message.
pub(super) fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let head = message.split("\r\n\r\n").next()?;
    head.lines().skip(1).find_map(|line| {
        let (n, value) = line.split_once(':')?;
        n.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// What a server does on one connection.
pub(super) type Script = Box<dyn FnOnce(Wire) -> std::pin::Pin<Box<dyn Future<Output = ()>>>>;

/// Makes a script of an async closure.
pub(super) fn script<F: Future<Output = ()> + 'static>(
    act: impl FnOnce(Wire) -> F + 'static,
) -> Script {
    Box::new(move |wire| Box::pin(act(wire)))
}

/// An address at which nobody listens.
pub(super) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    listener.local_addr().expect("an address")
}

/// A server that does as it is told, and remembers what it was asked.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: Rc<RefCell<Vec<String>>>,
    connections: Rc<Cell<u32>>,
}

impl Server {
    /// Each connection follows one of `scripts`, in the order of arrival; further ones are closed at once.
    pub(super) async fn scripted(scripts: impl IntoIterator<Item = Script>) -> Self {
        let mut scripts: VecDeque<Script> = scripts.into_iter().collect();
        Self::start(move || scripts.pop_front()).await
    }

    /// Answers every request on every connection with `response`.
    pub(super) async fn answering(response: &'static str) -> Self {
        Self::start(move || {
            Some(script(async move |mut wire| {
                while wire.has_more().await {
                    wire.message().await;
                    wire.send(response).await;
                }
            }))
        })
        .await
    }

    /// The same for requests whose bodies may be chunked.
    pub(super) async fn answering_chunked(response: &'static str) -> Self {
        Self::start(move || {
            Some(script(async move |mut wire| {
                while wire.has_more().await {
                    wire.chunked_message().await;
                    wire.send(response).await;
                }
            }))
        })
        .await
    }

    async fn start(mut next: impl FnMut() -> Option<Script> + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let server = Self {
            address: listener.local_addr().expect("an address"),
            requests: Rc::default(),
            connections: Rc::default(),
        };
        let (requests, connections) = (Rc::clone(&server.requests), Rc::clone(&server.connections));
        spawn_local(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                connections.set(connections.get() + 1);
                if let Some(script) = next() {
                    spawn_local(script(Wire::of(tcp, Rc::clone(&requests))));
                }
            }
        });
        server
    }

    /// The requests that it has read.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    /// The connections that it has accepted.
    pub(super) fn connections(&self) -> u32 {
        self.connections.get()
    }
}

impl Wire {
    /// Whether bytes are there, or come; not if the other side has closed.
    pub(super) async fn has_more(&mut self) -> bool {
        !self.buffer.is_empty()
            || matches!(self.tcp.read_buf(&mut self.buffer).await, Ok(n) if n > 0)
    }
}

impl Wire {
    /// The same within so many milliseconds.
    pub(super) async fn has_more_within(&mut self, millis: u64) -> bool {
        let wait = Duration::from_millis(millis);
        tokio::time::timeout(wait, self.has_more())
            .await
            .unwrap_or(false)
    }
}

/// A plain 200 with the body `ok`.
pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
