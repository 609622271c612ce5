//! Connections that are used again, and their end.

use super::harness::*;
use mesh_model::cluster::Limits;
use std::time::Duration;
use tokio::time::sleep;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";

fn answering_once_then(close: impl AsyncFnOnce(Wire) + 'static) -> Script {
    script(async move |mut wire| {
        wire.message().await;
        wire.send(OK).await;
        close(wire).await;
    })
}

fn good() -> Script {
    script(async |mut wire| {
        while wire.has_more().await {
            wire.message().await;
            wire.send(OK).await;
        }
    })
}

#[test]
fn a_connection_that_was_closed_while_idle_costs_nothing() {
    run(async {
        let server = Server::scripted([answering_once_then(async |_| ()), good()]).await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut client = proxy.connect().await;
        for request in [POST, POST] {
            client.send(request).await;
            assert!(client.message().await.starts_with("HTTP/1.1 200"));
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(server.requests().len(), 2);
    });
}

/// The server closes an idle connection in the same moment in which a request is sent on it, many times over.
#[test]
fn the_keep_alive_race_loses_nothing_and_doubles_nothing() {
    run(async {
        let closing = || answering_once_then(async |_| ());
        let server = Server::scripted(std::iter::repeat_with(closing).take(400)).await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut client = proxy.connect().await;
        for i in 0..100 {
            // No pause: the FIN is under way while the next request is.
            client.send(POST).await;
            let response = client.message().await;
            assert!(response.starts_with("HTTP/1.1 200"), "{i}: {response}");
        }
        assert_eq!(server.requests().len(), 100);
    });
}

#[test]
fn an_idempotent_request_goes_again_when_a_used_connection_breaks_under_it() {
    run(async {
        let breaks_at_the_second = || {
            answering_once_then(async |mut wire: Wire| {
                wire.message().await;
                wire.reset();
            })
        };
        let server = Server::scripted([breaks_at_the_second(), good()]).await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut client = proxy.connect().await;
        for _ in 0..2 {
            client.send(GET).await;
            assert!(client.message().await.starts_with("HTTP/1.1 200"));
        }
        let server = Server::scripted([breaks_at_the_second(), good()]).await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut client = proxy.connect().await;
        client.send(POST).await;
        assert!(client.message().await.starts_with("HTTP/1.1 200"));
        client.send(POST).await;
        let response = client.message().await;
        assert!(
            response.starts_with("HTTP/1.1 503"),
            "it may have been read: {response}"
        );
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn a_servers_idle_limit_is_learned() {
    run(async {
        let keep_alive = "HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 0\r\n\r\n";
        let server = Server::answering(keep_alive).await;
        let proxy = Setup::to(&[server.address]).start().await;
        let mut client = proxy.connect().await;
        client.send(GET).await;
        client.message().await;
        sleep(Duration::from_millis(600)).await;
        client.send(GET).await;
        client.message().await;
        assert_eq!(
            server.connections(),
            2,
            "the first had been idle for too long to be safe"
        );
    });
}

#[test]
fn connections_close_when_idle_or_when_their_endpoint_goes() {
    run(async {
        let server = Server::answering(OK).await;
        let setup = Setup::to(&[server.address]);
        let proxy = setup
            .cluster(|c| c.idle_timeout = Some(Duration::from_millis(500)))
            .start()
            .await;
        let mut client = proxy.connect().await;
        client.send(GET).await;
        client.message().await;
        assert_eq!(proxy.worker.pools.open_connections(), 1);
        sleep(Duration::from_millis(2500)).await;
        assert_eq!(proxy.worker.pools.open_connections(), 0, "idle");
    });
}

#[test]
fn a_removed_endpoint_finishes_what_it_has_and_gets_no_more() {
    run(async {
        let slow = script(async |mut wire| {
            wire.message().await;
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsl")
                .await;
            sleep(Duration::from_millis(1500)).await;
            wire.send("ow").await;
            assert!(!wire.has_more().await, "its connection closes");
        });
        let old = Server::scripted([slow]).await;
        let new = Server::answering(OK).await;
        let proxy = Setup::to(&[old.address]).start().await;
        let mut first = proxy.connect().await;
        first.send(GET).await;
        first.until("sl").await;

        let changed = Setup::to(&[new.address]).clusters.remove(0);
        proxy.shared.clusters.apply(changed, &proxy.shared.secrets);
        let mut second = proxy.connect().await;
        for _ in 0..10 {
            second.send(GET).await;
            assert!(second.message().await.ends_with("ok"));
        }
        assert_eq!(first.until("ow").await, "ow");
        sleep(Duration::from_millis(1500)).await;
        assert_eq!(
            proxy.worker.pools.open_connections(),
            1,
            "the old one's is closed"
        );
        assert_eq!((old.requests().len(), new.requests().len()), (1, 10));
    });
}

#[test]
fn endpoints_may_change_under_load() {
    run(async {
        let servers = [
            Server::answering(OK).await,
            Server::answering(OK).await,
            Server::answering(OK).await,
        ];
        let proxy = Setup::to(&[servers[0].address]).start().await;
        let requests = async {
            let mut client = proxy.connect().await;
            for i in 0..300 {
                client.send(POST).await;
                let response = client.message().await;
                assert!(response.starts_with("HTTP/1.1 200"), "{i}: {response}");
            }
        };
        let changes = async {
            for i in 0..100 {
                let server = &servers[i % 3];
                let changed = Setup::to(&[server.address]).clusters.remove(0);
                proxy.shared.clusters.apply(changed, &proxy.shared.secrets);
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::join!(requests, changes);
        let arrived: usize = servers.iter().map(|s| s.requests().len()).sum();
        assert_eq!(arrived, 300);
    });
}

#[test]
fn a_request_waits_for_a_connection_where_they_are_limited() {
    run(async {
        let slow = || {
            script(async |mut wire| {
                while wire.has_more().await {
                    wire.message().await;
                    sleep(Duration::from_millis(50)).await;
                    wire.send(OK).await;
                }
            })
        };
        let server = Server::scripted([slow(), slow()]).await;
        let limits = Limits {
            max_connections: 1,
            max_pending_requests: 2,
            ..Limits::UNLIMITED
        };
        let proxy = Setup::to(&[server.address])
            .cluster(|c| c.limits = limits)
            .start()
            .await;
        let mut clients = vec![];
        for _ in 0..4 {
            let mut client = proxy.connect().await;
            client.send(GET).await;
            clients.push(client);
            sleep(Duration::from_millis(5)).await;
        }
        let mut statuses = vec![];
        for client in &mut clients {
            statuses.push(client.message().await[9..12].to_owned());
        }
        assert_eq!(statuses, ["200", "200", "200", "503"]);
        assert_eq!(server.connections(), 1);
        let overflow = proxy
            .all_seen(4)
            .await
            .into_iter()
            .find(|s| s.status == Some(503));
        assert_eq!(overflow.map(|s| s.flags).as_deref(), Some("UO"));
    });
}

#[test]
fn requests_in_flight_are_limited() {
    run(async {
        let never = || {
            script(async |mut wire| {
                while wire.has_more().await {
                    wire.message().await;
                }
            })
        };
        let server = Server::scripted([never(), never()]).await;
        let limits = Limits {
            max_requests: 1,
            ..Limits::UNLIMITED
        };
        let proxy = Setup::to(&[server.address])
            .cluster(|c| c.limits = limits)
            .start()
            .await;
        let mut first = proxy.connect().await;
        first.send(GET).await;
        sleep(Duration::from_millis(20)).await;
        let mut second = proxy.connect().await;
        second.send(GET).await;
        let response = second.message().await;
        assert!(response.ends_with("reset reason: overflow"), "{response}");
        drop(first);
        sleep(Duration::from_millis(20)).await;
        let breaker = proxy
            .shared
            .clusters
            .active()
            .remove(0)
            .info
            .breaker
            .clone();
        let in_use = breaker.in_use(crate::upstream::breaker::Resource::Requests);
        assert_eq!(in_use, 0, "a client that leaves gives its permit back");
    });
}

/// A server on a thread of its own that closes connections at any moment. What may be lost is a POST that it had not read
/// when it closed, and nothing is read twice.
#[test]
fn a_server_that_closes_at_any_moment_reads_nothing_twice() {
    use std::io::{Read, Write};
    const REQUESTS: usize = 300;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    let server = std::thread::spawn(move || {
        let mut read = Vec::new();
        while let Ok((mut tcp, _)) = listener.accept() {
            for i in 0.. {
                let mut buffer = [0; 4096];
                let n = tcp.read(&mut buffer).unwrap_or(0);
                if n == 0 {
                    break;
                }
                let request = String::from_utf8_lossy(&buffer[..n]).into_owned();
                if request.contains("/stop") {
                    return read;
                }
                read.push(header(&request, "x-id").unwrap_or_default().to_owned());
                let _ = tcp.write_all(OK.as_bytes());
                if i % 2 == 1 {
                    std::thread::sleep(Duration::from_micros(fastrand::u64(..200)));
                    break;
                }
            }
        }
        read
    });
    run(async move {
        let proxy = Setup::to(&[address]).start().await;
        let mut client = proxy.connect().await;
        for id in 0..REQUESTS {
            let method = ["GET", "POST"][id % 2];
            client
                .send(&format!(
                    "{method} / HTTP/1.1\r\nhost: a\r\nx-id: {id}\r\ncontent-length: 0\r\n\r\n"
                ))
                .await;
            let response = client.message().await;
            let lost = response.starts_with("HTTP/1.1 503");
            assert!(
                response.starts_with("HTTP/1.1 200") || (method == "POST" && lost),
                "{response}"
            );
            sleep(Duration::from_micros(fastrand::u64(..200))).await;
        }
        let mut last = Wire::to(address).await;
        last.send("GET /stop").await;
    });
    let mut read = server.join().expect("the server ends");
    let all = read.len();
    read.sort();
    read.dedup();
    assert!(
        all == read.len() && all > REQUESTS / 2,
        "{all} of which {} differ",
        read.len()
    );
}

#[test]
fn a_connection_takes_as_many_requests_as_it_may() {
    run(async {
        let server = Server::scripted([good(), good(), good()]).await;
        let setup = Setup::to(&[server.address]).cluster(|cluster| {
            cluster.max_requests_per_connection = std::num::NonZeroU32::new(2);
        });
        let proxy = setup.start().await;
        let mut client = proxy.connect().await;
        for _ in 0..5 {
            client.send(GET).await;
            assert!(client.message().await.starts_with("HTTP/1.1 200"));
        }
        assert_eq!(server.requests().len(), 5);
        assert_eq!(server.connections(), 3);
    });
}
