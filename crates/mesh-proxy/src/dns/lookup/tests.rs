use super::*;
use hickory_proto::rr::{
    Record,
    rdata::{A, AAAA, CNAME},
};
use tokio::net::UdpSocket;

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

/// A name server that knows these names, each with what it stands for and for how long.
async fn server(known: Vec<(&'static str, RData, u32)>) -> ResolvConf {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let query = Message::from_vec(&buffer[..length]).expect("a query");
            let mut answer = Message::response(query.metadata.id, OpCode::Query);
            let asked = query.queries[0].clone();
            let mut owner = asked.name().clone();
            for (is, data, ttl) in &known {
                let fits = data.record_type() == asked.query_type()
                    || data.record_type() == RecordType::CNAME;
                if name(is) == owner && fits {
                    answer.add_answer(Record::from_rdata(owner.clone(), *ttl, data.clone()));
                    if let RData::CNAME(target) = data {
                        owner = target.0.clone();
                    }
                }
            }
            if !known.iter().any(|(is, ..)| name(is) == *asked.name()) {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            answer.add_query(asked);
            let bytes = answer.to_vec().expect("a message");
            socket.send_to(&bytes, from).await.expect("sent");
        }
    });
    ResolvConf {
        servers: vec![address],
        search: vec!["svc.test".into()],
    }
}

fn v4(last: u8) -> RData {
    RData::A(A([10, 0, 0, last].into()))
}

fn v6(last: u16) -> RData {
    RData::AAAA(AAAA([0xfd00, 0, 0, 0, 0, 0, 0, last].into()))
}

fn alias(target: &str) -> RData {
    RData::CNAME(CNAME(name(target)))
}

/// What is found of `host`: addresses, and for how many seconds.
async fn found(lookups: &Lookups, host: &str, family: LookupFamily) -> Option<(String, u64)> {
    let found = lookups.addresses(host, family).await.ok()?;
    let all: Vec<_> = found.all.iter().map(ToString::to_string).collect();
    Some((all.join(" "), found.ttl.map_or(0, |ttl| ttl.as_secs())))
}

#[tokio::test]
async fn names_are_asked_of_the_pods_servers() {
    use LookupFamily::{All, Auto, V4Only, V4Preferred, V6Only};
    let conf = server(vec![
        ("both.test.", v4(1), 30),
        ("both.test.", v4(2), 20),
        ("both.test.", v6(1), 60),
        ("four.test.", v4(3), 5),
        ("alias.test.", alias("other.test."), 7),
        ("other.test.", v4(4), 9),
        ("web.svc.test.", v4(5), 1),
        ("loop.test.", alias("loop.test."), 1),
    ])
    .await;
    let lookups = Lookups::new("/nonexistent", conf);
    let text = |text: &str, ttl| Some((text.to_owned(), ttl));
    for (host, family, want) in [
        ("both.test", V4Only, text("10.0.0.1 10.0.0.2", 20)),
        ("both.test", V6Only, text("fd00::1", 60)),
        ("both.test", Auto, text("fd00::1", 60)),
        ("both.test", V4Preferred, text("10.0.0.1 10.0.0.2", 20)),
        ("both.test", All, text("10.0.0.1 10.0.0.2 fd00::1", 20)),
        ("four.test", Auto, text("10.0.0.3", 5)),
        ("four.test", V6Only, None),
        ("FOUR.test", All, text("10.0.0.3", 5)),
        ("alias.test", V4Only, text("10.0.0.4", 7)),
        ("web", V4Only, text("10.0.0.5", 1)),
        ("missing.test", V4Only, None),
        ("loop.test", V4Only, None),
    ] {
        assert_eq!(
            found(&lookups, host, family).await,
            want,
            "{host} {family:?}"
        );
    }
}

#[tokio::test]
async fn the_hosts_file_goes_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let hosts = folder.path().join("hosts");
    let text = "127.0.0.1 localhost here # there\n::1 localhost\nnonsense x\n10.1.1.1 Four.test\n";
    std::fs::write(&hosts, text).expect("written");
    let lookups = Lookups::new(hosts, server(vec![("four.test.", v4(3), 5)]).await);
    let four = found(&lookups, "four.test", LookupFamily::V4Only).await;
    assert_eq!(four, Some(("10.1.1.1".into(), 0)));
    let both = found(&lookups, "localhost", LookupFamily::All).await;
    assert_eq!(both, Some(("127.0.0.1 ::1".into(), 0)));
    assert_eq!(found(&lookups, "there", LookupFamily::All).await, None);
}
