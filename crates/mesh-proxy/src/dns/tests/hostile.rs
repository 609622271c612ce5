//! What nobody should send: garbage, names that go round in circles, answers to other questions, far too much of it.

use super::{
    forwarding::{Asked, Upstream, add_addresses, reply},
    *,
};
use crate::dns::message::{Received, Transport, judge};
use proptest::prelude::*;

/// Long enough for an answer on loopback.
const QUIET: Duration = Duration::from_millis(200);

/// A query whose name has these bytes.
fn raw(name: &[u8]) -> Vec<u8> {
    [
        &b"\0\x01\x01\0\0\x01\0\0\0\0\0\0"[..],
        name,
        b"\0\x01\0\x01",
    ]
    .concat()
}

#[tokio::test]
async fn sec_53_what_is_no_query_is_refused_or_passed_over() {
    let pod = Pod::named(&[]).await;
    let mut answer = query(NGINX, RecordType::A);
    answer.metadata.message_type = MessageType::Response;
    for silent in [vec![], vec![0; 11], answer.to_vec().expect("encoded")] {
        assert_eq!(pod.datagram(&silent, QUIET).await, None, "{silent:?}");
    }
    let mut two = query(NGINX, RecordType::A);
    two.add_query(two.queries[0].clone());
    let mut update = query(NGINX, RecordType::A);
    update.metadata.op_code = OpCode::Update;
    let announced = [
        &b"\0\x01\x01\0\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        &[0; 30],
    ]
    .concat();
    for (bytes, want) in [
        (two.to_vec().expect("encoded"), ResponseCode::FormErr),
        (update.to_vec().expect("encoded"), ResponseCode::NotImp),
        (announced, ResponseCode::FormErr),
        // A pointer to itself, one forward, and one past the end.
        (raw(b"\xc0\x0c"), ResponseCode::FormErr),
        (raw(b"\xc0\x0e\xc0\x0c"), ResponseCode::FormErr),
        (raw(b"\xff\xff"), ResponseCode::FormErr),
        // A label that is too long, and one that has no end.
        (raw(b"\x40a"), ResponseCode::FormErr),
        (raw(b"\x3fa"), ResponseCode::FormErr),
    ] {
        let refused = pod.datagram(&bytes, SOON).await.expect("a refusal");
        let refused = Message::from_vec(&refused).expect("a message");
        assert_eq!(code(&refused), want, "{bytes:?}");
    }
    let fine = pod.ask(&query(NGINX, RecordType::A)).await;
    assert_eq!(addresses(&fine).len(), 2, "it still answers");
}

#[tokio::test]
async fn sec_53_answers_to_other_questions_are_not_taken() {
    let forged = |asked: &Asked| {
        let mut right = reply(asked, ResponseCode::NoError);
        add_addresses(&mut right, 1);
        let mut other_id = reply(asked, ResponseCode::NoError);
        other_id.metadata.id = other_id.metadata.id.wrapping_add(1);
        add_addresses(&mut other_id, 9);
        let mut other_name = reply(asked, ResponseCode::NoError);
        other_name.queries = query("other.example.com.", RecordType::A).queries;
        let mut other_type = reply(asked, ResponseCode::NoError);
        other_type.queries = query(FOREIGN, RecordType::AAAA).queries;
        let mut unasked = reply(asked, ResponseCode::NoError);
        unasked.queries.clear();
        let all = [
            asked.message(),
            other_id,
            other_name,
            other_type,
            unasked,
            right,
        ];
        let mut all: Vec<_> = all.map(|m| m.to_vec().expect("encoded")).into();
        all.insert(0, vec![0xff; 9]);
        all
    };
    let upstream = Upstream::new(forged).await;
    let pod = Pod::named(&[upstream.address]).await;
    let answer = pod.ask(&query(FOREIGN, RecordType::A)).await;
    assert_eq!(addresses(&answer), ["192.0.2.1"]);
}

/// More than the client said it takes, and more than anybody takes.
#[tokio::test]
async fn sec_53_huge_answers_are_not_handed_on() {
    let upstream = Upstream::new(|asked| {
        let mut answer = reply(asked, ResponseCode::NoError);
        add_addresses(&mut answer, 60);
        let mut bytes = answer.to_vec().expect("encoded");
        bytes.resize(60_000, 0);
        vec![bytes]
    })
    .await;
    let pod = Pod::named(&[upstream.address]).await;
    let bytes = query(FOREIGN, RecordType::A).to_vec().expect("encoded");
    let answer = pod.datagram(&bytes, SOON).await.expect("an answer");
    assert!(answer.len() <= 512, "{} bytes", answer.len());
    let answer = Message::from_vec(&answer).expect("a message");
    assert!(answer.metadata.truncation && answer.answers.is_empty());
}

/// As many queries as name servers will never answer leave room for names of the mesh.
#[tokio::test]
async fn sec_53_a_flood_is_bounded_and_hides_no_name_of_the_mesh() {
    let silent = Upstream::new(|_| vec![]).await;
    let pod = Pod::named(&[silent.address]).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let flood = query(FOREIGN, RecordType::A).to_vec().expect("encoded");
    let flooded = async {
        while pod.dns.counters.dropped.get() == 0 {
            for _ in 0..32 {
                socket.send_to(&flood, pod.address).await.expect("sent");
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, flooded).await.expect("there is a bound");
    assert!(pod.dns.counters.upstream_requests.get() <= 512);
    let asked = query(NGINX, RecordType::A).to_vec().expect("encoded");
    let mut answered = false;
    // A full socket buffer may cost some of them.
    for _ in 0..20 {
        answered |= pod.datagram(&asked, QUIET).await.is_some();
    }
    assert!(answered);
}

#[tokio::test]
async fn sec_53_a_connection_that_says_nothing_holds_up_nobody() {
    let pod = Pod::named(&[]).await;
    let mut cut = TcpStream::connect(pod.address).await.expect("connected");
    cut.write_all(b"\xff\xff\0\x01").await.expect("sent");
    let mut garbage = TcpStream::connect(pod.address).await.expect("connected");
    garbage.write_all(b"\0\0").await.expect("sent");
    let closed = timeout(SOON, garbage.read_u8()).await.expect("in time");
    assert!(closed.is_err(), "there is no answer to nothing");
    let answers = pod.ask_over_tcp(&[query(NGINX, RecordType::A)]).await;
    assert_eq!(addresses(&answers[0]).len(), 2);
}

proptest! {
    #[test]
    fn sec_53_no_bytes_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..600),
        plausible in any::<bool>(),
    ) {
        if plausible && bytes.len() > 12 {
            bytes[2..12].copy_from_slice(b"\x01\0\0\x01\0\x01\0\x01\0\x01");
        }
        let question = query(NGINX, RecordType::A);
        judge(&bytes, 1, &question.queries[0]);
        for transport in [Transport::Udp, Transport::Tcp] {
            if let Received::Question(question) = Received::read(&bytes, transport) {
                prop_assert!(question.failure().is_none_or(|f| f.len() <= 600));
            }
        }
    }
}
