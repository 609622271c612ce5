//! What name servers answer, and how.

use super::*;
use parking_lot::Mutex;
use tokio::net::TcpListener;

/// How a query reached a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Udp,
    Tcp,
}

/// A query as a name server received it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    over: Over,
    from: SocketAddr,
    bytes: Vec<u8>,
}

impl Asked {
    pub(super) fn message(&self) -> Message {
        Message::from_vec(&self.bytes).expect("a query")
    }
}

/// A name server that answers as it is told.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    /// `answer` makes the messages that are sent back, in order.
    pub(super) async fn new(
        answer: impl Fn(&Asked) -> Vec<Vec<u8>> + Clone + Send + 'static,
    ) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = tcp.local_addr().expect("an address");
        let udp = UdpSocket::bind(address).await.expect("bound");
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let mut tasks = JoinSet::new();
        let (seen, reply) = (Arc::clone(&asked), answer.clone());
        tasks.spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                let bytes = buffer[..length].to_vec();
                let asked = Asked {
                    over: Over::Udp,
                    from,
                    bytes,
                };
                seen.lock().push(asked.clone());
                for message in reply(&asked) {
                    udp.send_to(&message, from).await.expect("sent");
                }
            }
        });
        let seen = Arc::clone(&asked);
        tasks.spawn(async move {
            while let Ok((mut stream, from)) = tcp.accept().await {
                let length = stream.read_u16().await.expect("a query");
                let mut bytes = vec![0; length.into()];
                stream.read_exact(&mut bytes).await.expect("whole");
                let asked = Asked {
                    over: Over::Tcp,
                    from,
                    bytes,
                };
                seen.lock().push(asked.clone());
                for message in answer(&asked) {
                    stream.write_u16(message.len() as u16).await.expect("sent");
                    stream.write_all(&message).await.expect("sent");
                }
            }
        });
        Self {
            address,
            asked,
            _tasks: tasks,
        }
    }

    /// One that knows `count` addresses of every name; over UDP it says only that there are some, if they are many.
    async fn knowing(count: u8) -> Self {
        Self::new(move |asked| {
            let mut answer = reply(asked, ResponseCode::NoError);
            match asked.over {
                Over::Udp if count > 20 => answer.metadata.truncation = true,
                _ => add_addresses(&mut answer, count),
            }
            vec![answer.to_vec().expect("encoded")]
        })
        .await
    }

    /// One that has only this to say.
    async fn failing(code: ResponseCode) -> Self {
        Self::new(move |asked| vec![reply(asked, code).to_vec().expect("encoded")]).await
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

pub(super) fn reply(asked: &Asked, code: ResponseCode) -> Message {
    let mut reply = asked.message().into_response();
    reply.metadata.response_code = code;
    reply
}

pub(super) fn add_addresses(answer: &mut Message, count: u8) {
    let name = answer.queries[0].name().clone();
    answer
        .add_answers((1..=count).map(|i| {
            Record::from_rdata(name.clone(), 7, RData::A(A(Ipv4Addr::new(192, 0, 2, i))))
        }));
}

#[tokio::test]
async fn other_names_are_asked_of_the_name_servers() {
    let upstream = Upstream::knowing(1).await;
    let pod = Pod::named(&[upstream.address]).await;
    for kind in [RecordType::A, RecordType::TXT] {
        let asked = with_edns(query(FOREIGN, kind), 1232);
        let answer = pod.ask(&asked).await;
        assert_eq!(answer.metadata.id, asked.metadata.id);
        assert_eq!(
            (addresses(&answer), answer.answers[0].ttl),
            (vec!["192.0.2.1".into()], 7)
        );
        let seen = upstream.asked().pop().expect("asked").message();
        assert_eq!(
            (seen.queries, seen.edns),
            (asked.queries, asked.edns),
            "as it was asked"
        );
    }
    let service = pod.ask(&query(NGINX, RecordType::SRV)).await;
    assert!(!service.answers.is_empty(), "the table has addresses only");
    assert_eq!(pod.dns.counters.upstream_requests.get(), 3);
    assert_eq!(pod.dns.counters.upstream_failures.get(), 0);
}

#[tokio::test]
async fn each_query_goes_under_an_id_and_from_a_port_of_its_own() {
    let upstream = Upstream::knowing(1).await;
    let pod = Pod::named(&[upstream.address]).await;
    let mut asked = query(FOREIGN, RecordType::A);
    asked.metadata.id = 7;
    for _ in 0..16 {
        pod.ask(&asked).await;
    }
    let distinct = |of: fn(&Asked) -> u16| {
        let mut all: Vec<_> = upstream.asked().iter().map(of).collect();
        all.sort();
        all.dedup();
        all.len()
    };
    assert!(distinct(|a| a.message().metadata.id) > 12);
    assert!(distinct(|a| a.from.port()) > 12);
}

#[tokio::test]
async fn a_cut_answer_is_fetched_whole_if_the_client_can_take_it() {
    let upstream = Upstream::knowing(100).await;
    let pod = Pod::named(&[upstream.address]).await;
    let large = pod
        .ask(&with_edns(query(FOREIGN, RecordType::A), 4096))
        .await;
    assert_eq!(
        (addresses(&large).len(), large.metadata.truncation),
        (100, false)
    );
    let small = pod.ask(&query(FOREIGN, RecordType::A)).await;
    assert!(small.metadata.truncation && small.answers.is_empty());
    let over: Vec<_> = upstream.asked().iter().map(|a| a.over).collect();
    assert_eq!(over, [Over::Udp, Over::Tcp, Over::Udp, Over::Tcp]);
    let whole = pod.ask_over_tcp(&[query(FOREIGN, RecordType::A)]).await;
    assert_eq!(addresses(&whole[0]).len(), 100);
    assert_eq!(upstream.asked().last().expect("asked").over, Over::Tcp);
}

/// Who has trouble with TCP has at least what came before.
#[tokio::test]
async fn a_cut_answer_that_cannot_be_fetched_whole_is_better_than_none() {
    let upstream = Upstream::new(|asked| match asked.over {
        Over::Tcp => vec![],
        Over::Udp => {
            let mut answer = reply(asked, ResponseCode::NoError);
            answer.metadata.truncation = true;
            add_addresses(&mut answer, 2);
            vec![answer.to_vec().expect("encoded")]
        }
    })
    .await;
    let pod = Pod::named(&[upstream.address]).await;
    let answer = pod.ask(&query(FOREIGN, RecordType::A)).await;
    assert!(
        answer.metadata.truncation && addresses(&answer).len() == 2,
        "{answer}"
    );
}

#[tokio::test]
async fn who_cannot_help_is_followed_by_the_next() {
    let broken = Upstream::failing(ResponseCode::ServFail).await;
    let good = Upstream::knowing(1).await;
    let pod = Pod::named(&[broken.address, good.address]).await;
    assert_eq!(
        addresses(&pod.ask(&query(FOREIGN, RecordType::A)).await),
        ["192.0.2.1"]
    );
    // Nobody listens there.
    let gone = UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("bound")
        .local_addr()
        .expect("at");
    let pod = Pod::named(&[gone, good.address]).await;
    assert_eq!(
        addresses(&pod.ask(&query(FOREIGN, RecordType::A)).await),
        ["192.0.2.1"]
    );
    let pod = Pod::named(&[gone, broken.address]).await;
    let answer = pod.ask(&query(FOREIGN, RecordType::A)).await;
    assert_eq!(
        code(&answer),
        ResponseCode::ServFail,
        "what the last had to say"
    );
    assert_eq!(pod.dns.counters.upstream_failures.get(), 0);
    assert_eq!(broken.asked().len(), 2, "who has failed is not asked again");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_an_answer() {
    let first = Upstream::failing(ResponseCode::NXDomain).await;
    let second = Upstream::knowing(1).await;
    let pod = Pod::named(&[first.address, second.address]).await;
    let answer = pod.ask(&query(FOREIGN, RecordType::A)).await;
    assert_eq!(code(&answer), ResponseCode::NXDomain);
    assert!(second.asked().is_empty());
}

#[tokio::test]
async fn who_is_silent_is_followed_by_the_next_and_waited_for_no_longer_than_that() {
    let silent = Upstream::new(|_| vec![]).await;
    let good = Upstream::knowing(1).await;
    let pod = Pod::named(&[silent.address, good.address]).await;
    assert_eq!(
        addresses(&pod.ask(&query(FOREIGN, RecordType::A)).await),
        ["192.0.2.1"]
    );
    let pod = Pod::named(&[silent.address]).await;
    let started = std::time::Instant::now();
    let answer = pod.ask(&query(FOREIGN, RecordType::A)).await;
    assert_eq!(code(&answer), ResponseCode::ServFail);
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(silent.asked().len(), 3, "a datagram may be lost: once more");
    assert_eq!(pod.dns.counters.upstream_failures.get(), 1);
}
