//! Connections that may be made, and those that may not, through whole workers.

use crate::{
    listener::Listeners,
    upstream::cluster::tests::cluster,
    worker::{Shared, Workers},
};
use mesh_model::{
    filter::{NetworkFilter, TcpProxy},
    listener::{FilterChain, Listener},
    policy::rbac::{Action, NetworkRbac, Permission, Policy, Principal, Rules},
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// A server that speaks first, and how many have come.
fn banner() -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = socket.local_addr().expect("an address");
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    thread::spawn(move || {
        for tcp in socket.incoming() {
            count.fetch_add(1, SeqCst);
            let _ = tcp.and_then(|mut tcp| tcp.write_all(b"220 hello\r\n"));
        }
    });
    (address, came)
}

fn rules(action: Action, permission: Permission, principal: Principal) -> Option<Rules> {
    Some(Rules {
        action,
        policies: vec![Policy {
            name: "p".into(),
            permissions: vec![permission],
            principals: vec![principal],
        }],
    })
}

/// What a silent client hears, and what was counted of access control.
fn connect(rules: Option<Rules>, server: SocketAddr) -> (String, Vec<(String, u64)>) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("bound");
    socket.set_nonblocking(true).expect("an option");
    let address = socket.local_addr().expect("an address");
    let shared = Arc::new(Shared {
        listeners: Listeners::new(vec![address]),
        ..Shared::default()
    });
    shared
        .clusters
        .apply(cluster("c", &[server]), &shared.secrets);
    let rbac = NetworkRbac {
        rules,
        shadow_rules: self::rules(Action::Deny, Permission::Any, Principal::Any),
        stat_prefix: "tcp.".into(),
        shadow_stat_prefix: "dry_".into(),
    };
    let filters = vec![
        NetworkFilter::Rbac(rbac),
        NetworkFilter::TcpProxy(TcpProxy::to("c".into())),
    ];
    let mut model = Listener::new("test".into(), address);
    model.filter_chains = vec![FilterChain::new(filters)];
    let applied = shared.listeners.apply(model, &shared);
    assert!(applied.expect("a good listener"), "in force at once");
    let workers = Workers::start(2, &shared, &[(address, socket)]).expect("started");
    let mut client = TcpStream::connect(address).expect("connected");
    let patience = Some(Duration::from_secs(20));
    client.set_read_timeout(patience).expect("an option");
    let mut heard = Vec::new();
    // A reset is an end, too.
    let _ = client.read_to_end(&mut heard);
    workers.stop();
    let stats = shared.telemetry.stats().into_iter();
    let stats = stats.filter(|stat| stat.full_name().starts_with("tcp.rbac."));
    let stats = stats.map(|stat| (stat.full_name(), stat.value)).collect();
    (String::from_utf8_lossy(&heard).into_owned(), stats)
}

fn stats(allowed: u64, denied: u64) -> Vec<(String, u64)> {
    let names = [
        "allowed",
        "denied",
        "dry_.shadow_allowed",
        "dry_.shadow_denied",
    ];
    let counts = [allowed, denied, 0, 1];
    let all = names.iter().zip(counts);
    all.map(|(name, count)| (format!("tcp.rbac.{name}"), count))
        .collect()
}

#[test]
fn who_may_connect_is_served() {
    let (server, came) = banner();
    let here = Principal::PeerIp("127.0.0.0/8".parse().expect("a range"));
    let allowed = connect(rules(Action::Allow, Permission::Any, here), server);
    assert_eq!(allowed, ("220 hello\r\n".to_owned(), stats(1, 0)));
    assert_eq!(came.load(SeqCst), 1);
}

#[test]
fn who_may_not_connect_hears_nothing_and_nobody_hears_of_it() {
    let (server, came) = banner();
    let elsewhere = Principal::PeerIp("10.0.0.0/8".parse().expect("a range"));
    for rules in [
        rules(Action::Allow, Permission::Any, elsewhere.clone()),
        rules(Action::Deny, Permission::Any, Principal::Any),
        // A policy on what only requests have says nothing of a connection that is not one.
        rules(
            Action::Allow,
            Permission::Path(mesh_model::matcher::StringMatch::Prefix("/".into()).into()),
            Principal::Any,
        ),
        Some(Rules::default()),
    ] {
        let denied = connect(rules, server);
        assert_eq!(denied, (String::new(), stats(0, 1)));
    }
    assert_eq!(came.load(SeqCst), 0, "no server was dialled");
}
