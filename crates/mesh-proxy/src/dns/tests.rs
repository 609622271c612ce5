//! The server over real sockets on loopback, between a client and name servers that do what a test tells them.

mod forwarding; // what name servers answer, and how
mod hostile; //    what nobody should send

use super::*;
use crate::config::DnsAddress;
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::A},
};
use mesh_model::name_table::{NameInfo, NameTable, ServiceName};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    task::JoinSet,
    time::timeout,
};

/// A port that is free, on `localhost`.
const ANY: DnsAddress = DnsAddress { ip: None, port: 0 };
/// Longer than name servers are waited for.
const SOON: Duration = Duration::from_secs(20);
const NGINX: &str = "nginx.test.svc.cluster.local.";
const MANY: &str = "many.example.com.";
const FOREIGN: &str = "foreign.example.com.";

/// A pod of namespace `test` with the server.
struct Pod {
    dns: Arc<Dns>,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Pod {
    /// One that knows no names yet.
    async fn unnamed(servers: &[SocketAddr]) -> Self {
        let dns = Arc::<Dns>::default();
        let conf = ResolvConf {
            servers: servers.to_vec(),
            search: vec!["test.svc.cluster.local".into()],
        };
        let server = Server::bind(ANY, "test.svc.cluster.local", conf, Arc::clone(&dns)).await;
        let server = server.expect("bound");
        let address = server.addresses().next().expect("IPv4's");
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run());
        Self {
            dns,
            address,
            _tasks: tasks,
        }
    }

    /// One that knows nginx at two addresses, and a host with a hundred.
    async fn named(servers: &[SocketAddr]) -> Self {
        let pod = Self::unnamed(servers).await;
        let info = |count: u8, service: Option<&str>| NameInfo {
            addresses: (1..=count)
                .map(|i| Ipv4Addr::new(10, 0, 0, i).into())
                .collect(),
            service: service.map(|name| ServiceName {
                name: name.into(),
                namespace: "test".into(),
            }),
        };
        let key = |name: &str| name.trim_end_matches('.').into();
        pod.dns.names.apply(&NameTable {
            names: [
                (key(NGINX), info(2, Some("nginx"))),
                (key(MANY), info(100, None)),
            ]
            .into(),
        });
        pod
    }

    /// The answer to a datagram, if there is one within `patience`.
    async fn datagram(&self, query: &[u8], patience: Duration) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        socket.connect(self.address).await.expect("connected");
        socket.send(query).await.expect("sent");
        let mut buffer = vec![0; 65535];
        let length = timeout(patience, socket.recv(&mut buffer))
            .await
            .ok()?
            .expect("received");
        buffer.truncate(length);
        Some(buffer)
    }

    async fn ask(&self, query: &Message) -> Message {
        let answer = self.datagram(&query.to_vec().expect("encoded"), SOON).await;
        Message::from_vec(&answer.expect("an answer")).expect("a message")
    }

    async fn ask_over_tcp(&self, queries: &[Message]) -> Vec<Message> {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        for query in queries {
            let query = query.to_vec().expect("encoded");
            stream.write_u16(query.len() as u16).await.expect("sent");
            stream.write_all(&query).await.expect("sent");
        }
        let mut answers = Vec::new();
        for _ in queries {
            let length = timeout(SOON, stream.read_u16()).await.expect("in time");
            let mut answer = vec![0; length.expect("an answer").into()];
            stream.read_exact(&mut answer).await.expect("whole");
            answers.push(Message::from_vec(&answer).expect("a message"));
        }
        answers
    }
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(fastrand::u16(..), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    message
}

fn with_edns(mut query: Message, payload: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    query.set_edns(edns);
    query
}

fn addresses(answer: &Message) -> Vec<String> {
    let addresses = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(address.to_string()),
            RData::AAAA(address) => Some(address.to_string()),
            _ => None,
        });
    addresses.collect()
}

fn code(answer: &Message) -> ResponseCode {
    answer.metadata.response_code
}

#[tokio::test]
async fn names_of_the_mesh_are_answered_without_asking_anybody() {
    let pod = Pod::named(&[]).await;
    let asked = query("Nginx.test.svc.cluster.local.", RecordType::A);
    let answer = pod.ask(&asked).await;
    assert_eq!(answer.metadata.id, asked.metadata.id);
    assert!(answer.metadata.authoritative && answer.metadata.recursion_available);
    assert_eq!(answer.queries, asked.queries);
    let first = &answer.answers[0];
    assert_eq!(
        (first.ttl, first.name.to_ascii()),
        (30, "Nginx.test.svc.cluster.local.".into())
    );
    let again = pod.ask(&asked).await;
    let (mut one, mut other) = (addresses(&answer), addresses(&again));
    assert_ne!(one, other, "another one is first");
    one.sort();
    other.sort();
    assert_eq!(
        (one, other.len()),
        (vec!["10.0.0.1".into(), "10.0.0.2".into()], 2)
    );

    let short = pod.ask(&query("nginx.", RecordType::A)).await;
    assert_eq!(addresses(&short).len(), 2);
    let none = pod.ask(&query(NGINX, RecordType::AAAA)).await;
    assert!(
        none.answers.is_empty() && code(&none) == ResponseCode::NoError,
        "{none}"
    );
    assert_eq!(pod.dns.counters.requests.get(), 4);
    assert_eq!(pod.dns.counters.upstream_requests.get(), 0);
}

#[tokio::test]
async fn a_name_behind_a_search_domain_is_an_alias_of_its_own() {
    let pod = Pod::named(&[]).await;
    let expanded = format!("{NGINX}test.svc.cluster.local.");
    let answer = pod.ask(&query(&expanded, RecordType::A)).await;
    let alias = &answer.answers[0];
    assert_eq!(alias.name.to_ascii(), expanded);
    assert!(
        matches!(&alias.data, RData::CNAME(name) if name.to_ascii() == NGINX),
        "{answer}"
    );
    assert_eq!(addresses(&answer).len(), 2);
    assert!(
        answer.answers[1..]
            .iter()
            .all(|record| record.name.to_ascii() == NGINX)
    );
}

#[tokio::test]
async fn what_does_not_fit_is_cut_and_said_to_be() {
    let pod = Pod::named(&[]).await;
    let plain = pod.ask(&query(MANY, RecordType::A)).await;
    assert!(plain.metadata.truncation);
    // As many as fit into 512 bytes: a head of 12, a question of 22, and 16 for each.
    assert_eq!(addresses(&plain).len(), (512 - 12 - 22) / 16);
    let large = pod.ask(&with_edns(query(MANY, RecordType::A), 4096)).await;
    assert!(!large.metadata.truncation && large.edns.is_some());
    assert_eq!(addresses(&large).len(), 100);
    let tiny = pod.ask(&with_edns(query(MANY, RecordType::A), 1)).await;
    assert!(tiny.metadata.truncation && tiny.edns.is_some() && !tiny.answers.is_empty());
    let whole = pod
        .ask_over_tcp(&[query(MANY, RecordType::A), query(NGINX, RecordType::A)])
        .await;
    assert!(!whole[0].metadata.truncation);
    assert_eq!(
        whole.iter().map(|a| addresses(a).len()).collect::<Vec<_>>(),
        [100, 2]
    );
}

#[tokio::test]
async fn before_the_first_table_nothing_is_answered() {
    let pod = Pod::unnamed(&[]).await;
    let answer = pod.ask(&query(NGINX, RecordType::A)).await;
    assert_eq!(code(&answer), ResponseCode::ServFail);
    pod.dns.names.apply(&NameTable::default());
    let answer = pod.ask(&query(NGINX, RecordType::A)).await;
    assert_eq!(
        code(&answer),
        ResponseCode::ServFail,
        "there is no name server"
    );
    assert_eq!(pod.dns.counters.upstream_failures.get(), 1);
}

/// The file as the kubelet wrote it, then with another search domain: what completes a name is seen in the answer.
#[tokio::test]
async fn a_changed_resolv_conf_counts_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("resolv.conf");
    let write = |search: &str| {
        let text = format!("nameserver 127.0.0.1\nsearch test.svc.cluster.local {search}\n");
        std::fs::write(&path, text).expect("written");
    };
    write("before.example");
    let dns = Arc::<Dns>::default();
    let conf = ResolvConf::read(&path).expect("read");
    let server = Server::bind(ANY, "test.svc.cluster.local", conf, Arc::clone(&dns)).await;
    let server = server.expect("bound");
    let address = server.addresses().next().expect("IPv4's");
    let server = server.following(Following::every(Duration::from_millis(20), &path));
    let mut tasks = JoinSet::new();
    tasks.spawn(server.run());
    let pod = Pod {
        dns,
        address,
        _tasks: tasks,
    };
    let info = NameInfo {
        addresses: vec![Ipv4Addr::new(10, 0, 0, 1).into()],
        service: None,
    };
    let names = [(MANY.trim_end_matches('.').into(), info)].into();
    pod.dns.names.apply(&NameTable { names });
    let known = async |search: &str| {
        let asked = query(&format!("{MANY}{search}."), RecordType::A);
        addresses(&pod.ask(&asked).await).len() == 1
    };
    assert!(known("before.example").await);
    write("after.example");
    timeout(SOON, async {
        while !known("after.example").await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("heard");
}

#[tokio::test]
async fn one_address_is_one_address() {
    let at = DnsAddress {
        ip: Some(Ipv4Addr::new(127, 0, 0, 9).into()),
        port: 0,
    };
    let server = Server::bind(at, "", ResolvConf::default(), Arc::default()).await;
    let server = server.expect("bound");
    let bound: Vec<_> = server
        .addresses()
        .map(|address| address.ip().to_string())
        .collect();
    assert_eq!(bound, ["127.0.0.9"]);
}
