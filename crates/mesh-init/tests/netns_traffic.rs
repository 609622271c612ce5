//! Where connections end up: real ones, between two namespaces, past the rules of each mode.
//!
//! A pod at 10.244.0.73 (fd00::73) and a peer at 10.244.0.1 (fd00::1). Sockets stand in for the sidecar, the
//! application and the peer; who owns one is the user that makes it.

use nix::sched::{CloneFlags, setns};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

#[path = "netns/pod.rs"]
mod pod;

use pod::{ARTICLE, Pod, VARIANTS, in_pod, words};

const PATIENCE: Duration = Duration::from_secs(5);

/// Who makes a socket, as user and group.
#[derive(Clone, Copy)]
struct Owner(u32, u32);
const SIDECAR: Owner = Owner(1337, 1337);
/// In TPROXY mode the sidecar is root, of its own group.
const TPROXY_SIDECAR: Owner = Owner(0, 1337);
const APPLICATION: Owner = Owner(1000, 1000);
const ROOT: Owner = Owner(0, 0);

/// One address family's addresses.
#[derive(Clone, Copy)]
struct Addresses {
    pod: &'static str,
    peer: &'static str,
    localhost: &'static str,
    any: &'static str,
    inbound_source: &'static str,
}

const V4: Addresses = Addresses {
    pod: "10.244.0.73",
    peer: "10.244.0.1",
    localhost: "127.0.0.1",
    any: "0.0.0.0",
    inbound_source: "127.0.0.6",
};
const V6: Addresses = Addresses {
    pod: "fd00::73",
    peer: "fd00::1",
    localhost: "::1",
    any: "::",
    inbound_source: "::6",
};

fn address(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port)
}

/// The two ends of a wire.
struct Wire<'a> {
    pod: &'a Pod,
    peer_namespace: &'a str,
}

/// Runs `test` in the pod's namespace, for each kernel interface and address family.
fn on_a_wire(test: impl Fn(&Wire<'_>, &str, Addresses) + Sync) {
    for variant in VARIANTS {
        in_pod(|peer| {
            let (id, peer_namespace) = (peer.id(), peer.path());
            in_pod(|pod| {
                pod.sh(&format!(
                    "ip link add eth0 type veth peer name eth0 netns {id} && ip link set eth0 up"
                ));
                let wire = Wire {
                    pod,
                    peer_namespace: &peer_namespace,
                };
                wire.at_the_peer(|| pod.sh("ip link set eth0 up"));
                for (end, [v4, v6]) in [("pod", [V4.pod, V6.pod]), ("peer", [V4.peer, V6.peer])] {
                    let add = || {
                        pod.sh(&format!("ip address add {v4}/24 dev eth0 && ip address add {v6}/64 dev eth0 nodad"))
                    };
                    if end == "pod" {
                        add()
                    } else {
                        wire.at_the_peer(add)
                    };
                }
                test(&wire, variant, V4);
                test(&wire, variant, V6);
            });
        });
    }
}

impl Wire<'_> {
    /// Runs `work` in the peer's namespace; the sockets that it makes stay there.
    fn at_the_peer<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(
                    File::open(self.peer_namespace).unwrap(),
                    CloneFlags::CLONE_NEWNET,
                )
                .unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }

    fn apply(&self, variant: &str, args: &[&str]) {
        self.pod
            .apply(&[args, &["--dual-stack", "--force-iptables-binary", variant]].concat());
    }
}

/// A socket made by this owner.
fn socket_of(Owner(user, group): Owner, to: SocketAddr, kind: Type) -> Socket {
    let group = setfsgid(Gid::from_raw(group));
    let user = setfsuid(Uid::from_raw(user));
    let socket = Socket::new(Domain::for_address(to), kind, None).unwrap();
    setfsuid(user);
    setfsgid(group);
    socket
}

fn connect(owner: Owner, from: Option<&str>, to: SocketAddr) -> TcpStream {
    let socket = socket_of(owner, to, Type::STREAM);
    if let Some(from) = from {
        socket.bind(&SockAddr::from(address(from, 0))).unwrap();
    }
    socket
        .connect_timeout(&SockAddr::from(to), PATIENCE)
        .unwrap_or_else(|error| panic!("to {to}: {error}"));
    TcpStream::from(socket)
}

fn accept(listener: &TcpListener, what: &str) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    for _ in 0..200 {
        if let Ok((server, _)) = listener.accept() {
            server.set_nonblocking(false).unwrap();
            return server;
        }
        thread::sleep(PATIENCE / 200);
    }
    panic!("nothing arrived: {what}");
}

/// Asserts that `listener` takes a connection of `client` that was for `to`, and that bytes go both ways.
#[track_caller]
fn takes(listener: &TcpListener, mut client: TcpStream, to: SocketAddr, what: &str) {
    let mut server = accept(listener, what);
    assert_eq!(original_destination(&server), to, "{what}");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut byte = [0];
    client.write_all(b"?").unwrap();
    server.read_exact(&mut byte).unwrap();
    server.write_all(b"!").unwrap();
    client.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"!", "{what}");
}

/// Where a connection was going; its own address if it was not redirected.
fn original_destination(server: &TcpStream) -> SocketAddr {
    let local = server.local_addr().unwrap();
    let socket = SockRef::from(server);
    let original = if local.is_ipv4() {
        socket.original_dst_v4()
    } else {
        socket.original_dst_v6()
    };
    original
        .ok()
        .and_then(|address| address.as_socket())
        .unwrap_or(local)
}

fn listen(ip: &str, port: u16) -> TcpListener {
    TcpListener::bind(address(ip, port)).unwrap()
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn connections_go_where_the_article_says() {
    on_a_wire(|wire, variant, ip| {
        wire.apply(variant, ARTICLE);
        let (outbound, inbound) = (listen(ip.localhost, 15001), listen(ip.any, 15006));
        let (application, health) = (listen(ip.any, 80), listen(ip.any, 15021));
        let peer = wire.at_the_peer(|| listen(ip.peer, 80));
        let (pod_80, peer_80) = (address(ip.pod, 80), address(ip.peer, 80));

        let from_the_peer = |to| wire.at_the_peer(|| connect(APPLICATION, None, to));
        takes(
            &inbound,
            from_the_peer(pod_80),
            pod_80,
            "a peer reaches the sidecar first",
        );
        let pod_health = address(ip.pod, 15021);
        takes(
            &health,
            from_the_peer(pod_health),
            pod_health,
            "an excluded port is reached directly",
        );

        let app = |to| connect(APPLICATION, None, to);
        takes(
            &outbound,
            app(peer_80),
            peer_80,
            "the application's connections go to the sidecar",
        );
        takes(
            &application,
            app(pod_80),
            pod_80,
            "the application reaches itself directly",
        );
        let localhost = address(ip.localhost, 80);
        takes(&application, app(localhost), localhost, "also as localhost");

        let sidecar = |from, to| connect(SIDECAR, from, to);
        takes(
            &peer,
            sidecar(None, peer_80),
            peer_80,
            "the sidecar's connections leave",
        );
        takes(
            &inbound,
            sidecar(None, pod_80),
            pod_80,
            "the sidecar's to its own pod are inbound",
        );
        let from = Some(ip.inbound_source);
        takes(
            &application,
            sidecar(from, pod_80),
            pod_80,
            "what the sidecar hands in reaches the application",
        );
    });
}

#[test]
#[ignore = "netns: needs root and iptables"]
fn flags_decide_about_destinations() {
    on_a_wire(|wire, variant, ip| {
        let outbound = listen(ip.localhost, 15001);
        let peer = [81, 83].map(|port| wire.at_the_peer(|| listen(ip.peer, port)));
        let app = |port| connect(APPLICATION, None, address(ip.peer, port));

        wire.apply(
            variant,
            &words("-u 1337 -i 192.0.2.0/24,2001:db8::/32 -q 82,83 -o 83"),
        );
        takes(
            &peer[0],
            app(81),
            address(ip.peer, 81),
            "a range that is not included",
        );
        takes(
            &outbound,
            app(82),
            address(ip.peer, 82),
            "a port captured wherever it goes",
        );
        takes(
            &peer[1],
            app(83),
            address(ip.peer, 83),
            "a port excluded, whatever else",
        );

        wire.apply(variant, &words("-u 1337 -i 10.0.0.0/8,fd00::/8 -o 83"));
        takes(
            &outbound,
            app(81),
            address(ip.peer, 81),
            "an included range",
        );
        takes(
            &peer[1],
            app(83),
            address(ip.peer, 83),
            "a port excluded from it",
        );

        wire.apply(variant, &words("-u 1337 -i * -x 10.244.0.1/32,fd00::1/128"));
        takes(&peer[0], app(81), address(ip.peer, 81), "an excluded range");
    });
}

fn transparent(socket: &Socket, ip: Addresses) {
    match ip.localhost {
        "::1" => socket.set_ip_transparent_v6(true).unwrap(),
        _ => socket.set_ip_transparent_v4(true).unwrap(),
    }
}

/// The sidecar sees the peer's address on its transparent socket, and shows it to the application.
#[test]
#[ignore = "netns: needs root and iptables"]
fn tproxy_keeps_the_clients_address() {
    on_a_wire(|wire, variant, ip| {
        wire.apply(variant, &words("-m TPROXY -b * -i * -u 1337 -d 15021"));
        let inbound =
            Socket::new(Domain::for_address(address(ip.any, 0)), Type::STREAM, None).unwrap();
        // What it accepts has the port that was dialled, which the application listens on again below.
        inbound.set_reuse_address(true).unwrap();
        transparent(&inbound, ip);
        inbound
            .bind(&SockAddr::from(address(ip.any, 15006)))
            .unwrap();
        inbound.listen(8).unwrap();
        let inbound = TcpListener::from(inbound);
        let application = listen(ip.any, 80);
        let pod_80 = address(ip.pod, 80);

        let client = wire.at_the_peer(|| connect(APPLICATION, None, pod_80));
        let source = client.local_addr().unwrap();
        let server = accept(&inbound, "the peer's connection");
        assert_eq!(server.peer_addr().unwrap(), source);
        assert_eq!(server.local_addr().unwrap(), pod_80);

        let onward = socket_of(TPROXY_SIDECAR, pod_80, Type::STREAM);
        transparent(&onward, ip);
        onward.set_mark(1337).unwrap();
        onward
            .bind(&SockAddr::from(SocketAddr::new(source.ip(), 0)))
            .unwrap();
        onward
            .connect_timeout(&SockAddr::from(pod_80), PATIENCE)
            .unwrap();
        let at_the_application = accept(&application, "the sidecar's connection onward");
        assert_eq!(at_the_application.peer_addr().unwrap().ip(), source.ip());
        drop(at_the_application);

        let client = wire.at_the_peer(|| connect(APPLICATION, None, pod_80));
        takes(&inbound, client, pod_80, "bytes go both ways");
        let to_itself = connect(TPROXY_SIDECAR, None, pod_80);
        takes(
            &inbound,
            to_itself,
            pod_80,
            "the sidecar's to its own pod are inbound",
        );
        let direct = connect(APPLICATION, None, pod_80);
        takes(
            &application,
            direct,
            pod_80,
            "the application reaches itself directly",
        );
        wire.pod.apply(&["--cleanup-only"]);
        let client = wire.at_the_peer(|| connect(APPLICATION, None, pod_80));
        takes(
            &application,
            client,
            pod_80,
            "afterwards nothing is captured",
        );
    });
}

/// A query to the name server is answered by the sidecar's resolver, whose own query reaches the name server.
#[test]
#[ignore = "netns: needs root and iptables"]
fn queries_go_to_the_sidecars_resolver() {
    on_a_wire(|wire, variant, ip| {
        if ip.peer == V4.peer {
            wire.pod.nameservers(&[V4.peer, V6.peer]);
        }
        wire.apply(variant, &[ARTICLE, &["--redirect-dns"]].concat());
        let udp = |owner, at| {
            let socket = socket_of(owner, at, Type::DGRAM);
            socket.bind(&SockAddr::from(at)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            UdpSocket::from(socket)
        };
        let resolver = udp(SIDECAR, address(ip.localhost, 15053));
        let server = wire.at_the_peer(|| udp(ROOT, address(ip.peer, 53)));
        let nameserver = address(ip.peer, 53);
        let mut buffer = [0; 16];

        let application = udp(APPLICATION, address(ip.pod, 5353));
        application.send_to(b"query", nameserver).unwrap();
        let (length, asker) = resolver
            .recv_from(&mut buffer)
            .expect("the resolver is asked");
        assert_eq!(&buffer[..length], b"query");

        let upstream = udp(SIDECAR, address(ip.pod, 0));
        upstream.send_to(b"forwarded", nameserver).unwrap();
        let (length, forwarder) = server
            .recv_from(&mut buffer)
            .expect("the name server is asked");
        assert_eq!(&buffer[..length], b"forwarded");
        server.send_to(b"upstream", forwarder).unwrap();
        assert_eq!(
            upstream.recv(&mut buffer).expect("it answers the resolver"),
            8
        );

        resolver.send_to(b"answer", asker).unwrap();
        let (length, from) = application
            .recv_from(&mut buffer)
            .expect("the application has its answer");
        assert_eq!((&buffer[..length], from), (&b"answer"[..], nameserver));
    });
}
