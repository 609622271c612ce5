//! HTTP/1 and HTTP/2 on either side.

use super::harness::*;
use crate::http::{Body, codec::LocalExec};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use mesh_model::{
    cluster::UpstreamHttp,
    http::HttpFilter,
    route::{RetryOn, RetryPolicy},
};
use std::{cell::RefCell, net::SocketAddr, rc::Rc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::spawn_local,
    time::sleep,
};

type Client<B> = http2::SendRequest<B>;

/// An HTTP/2 client with prior knowledge.
async fn client<B>(proxy: &Proxy) -> Client<B>
where
    B: http_body::Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let tcp = TcpStream::connect(proxy.address).await.expect("connected");
    let (sender, connection) = http2::Builder::new(LocalExec)
        .handshake(TokioIo::new(tcp))
        .await
        .expect("HTTP/2");
    spawn_local(connection);
    sender
}

/// What one stream of an HTTP/2 server is to do.
type Stream = (Request<h2::RecvStream>, h2::server::SendResponse<Bytes>);

/// An HTTP/2 server. `act` is called for each stream with its number on its connection, and the connection's.
async fn server<F: Future<Output = ()> + 'static>(
    act: impl Fn(u32, u32, Stream) -> F + Copy + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    spawn_local(async move {
        for number in 0.. {
            let (tcp, _) = listener.accept().await.expect("accepted");
            spawn_local(async move {
                let mut connection = h2::server::handshake(tcp).await.expect("HTTP/2");
                let mut stream = 0;
                while let Some(Ok(request)) = connection.accept().await {
                    spawn_local(act(number, stream, request));
                    stream += 1;
                }
            });
        }
    });
    address
}

/// Answers 200 with the body `ok`.
async fn ok((_, mut respond): Stream) {
    let mut body = respond
        .send_response(Response::new(()), false)
        .expect("sent");
    body.send_data("ok".into(), true).expect("sent");
}

fn http2_to(address: SocketAddr) -> Setup {
    Setup::to(&[address]).cluster(|c| c.http_protocol = UpstreamHttp::Http2)
}

fn get(path: &str) -> Request<Body> {
    Request::get(format!("http://a.test{path}"))
        .body(Body::empty())
        .expect("a request")
}

fn post(body: &'static str) -> Request<Body> {
    Request::post("http://a.test/")
        .body(Body::full(body.into()))
        .expect("a request")
}

async fn text(response: Response<hyper::body::Incoming>) -> String {
    let body = response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

#[test]
fn http2_becomes_http1() {
    run(async {
        let server = Server::answering(OK).await;
        let setup = Setup::to(&[server.address]);
        let proxy = setup
            .cluster(|c| c.http_protocol = UpstreamHttp::Http1)
            .start()
            .await;
        let mut client = client(&proxy).await;
        let request = Request::post("http://a.test:8080/x?y")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("te", "trailers")
            .body(Body::full("abc".into()))
            .expect("a request");
        let response = client.send_request(request).await.expect("answered");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["server"], "envoy");
        assert_eq!(text(response).await, "ok");
        let request = &server.requests()[0];
        assert!(request.starts_with("POST /x?y HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\nabc"), "{request}");
        assert_eq!(header(request, "host"), Some("a.test:8080"));
        assert_eq!(header(request, "cookie"), Some("a=1; b=2"));
        assert_eq!(header(request, "content-length"), Some("3"));
    });
}

#[test]
fn http1_becomes_http2() {
    run(async {
        let address = server(async |_, _, (request, mut respond)| {
            assert_eq!(request.uri().to_string(), "http://a.test/x?y");
            assert_eq!(request.headers().get("host"), None);
            assert_eq!(request.headers().get("connection"), None);
            let mut body = request.into_body();
            let data = body.data().await.expect("a body").expect("data");
            let response = Response::builder().header("x-echo", &data[..]);
            let response = response.body(()).expect("a response");
            respond.send_response(response, true).expect("sent");
        })
        .await;
        let proxy = http2_to(address).start().await;
        let mut client = proxy.connect().await;
        client
            .send("POST /x?y HTTP/1.1\r\nhost: a.test\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nabc")
            .await;
        let response = client.until("\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert_eq!(header(&response, "x-echo"), Some("abc"));
    });
}

#[test]
fn a_grpc_call_passes_with_its_trailers() {
    run(async {
        let address = server(async |_, _, (request, mut respond)| {
            assert_eq!(request.headers()["te"], "trailers");
            let mut body = request.into_body();
            while let Some(data) = body.data().await {
                let n = data.expect("data").len();
                body.flow_control().release_capacity(n).expect("released");
            }
            let response = Response::builder().header("content-type", "application/grpc");
            let mut body = respond
                .send_response(response.body(()).expect("a response"), false)
                .expect("sent");
            body.send_data("\0\0\0\0\x01a".into(), false).expect("sent");
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "5".parse().expect("a value"));
            body.send_trailers(trailers).expect("sent");
        })
        .await;
        // The client's protocol is the server's.
        let setup = Setup::to(&[address]).manager(|m| {
            m.filters = [HttpFilter::GrpcStats, HttpFilter::Router]
                .map(Into::into)
                .into();
        });
        let proxy = setup.start().await;
        let mut client = client(&proxy).await;
        let frames = [Ok::<_, std::convert::Infallible>(http_body::Frame::data(
            Bytes::from("\0\0\0\0\x01x\0\0\0\0\0"),
        ))];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let request = Request::post("http://a.test/p.S/m")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body)
            .expect("a request");
        let response = client.send_request(request).await.expect("answered");
        let collected = response.into_body().collect().await.expect("a body");
        let trailers = collected.trailers().expect("trailers");
        assert_eq!(trailers["grpc-status"], "5");
        assert_eq!(collected.to_bytes(), "\0\0\0\0\x01a");
        let seen = proxy.seen().await;
        assert_eq!(
            (seen.status, seen.grpc_status, seen.bytes),
            (Some(200), Some(5), (11, 6))
        );
        assert_eq!(seen.messages, Some((2, 1)));
    });
}

#[test]
fn streams_share_a_connection_up_to_its_limit() {
    run(async {
        let address = server(async |number, _, mut stream: Stream| {
            stream.0.body_mut().flow_control();
            sleep(Duration::from_millis(30)).await;
            let response = Response::builder().header("x-connection", number);
            stream
                .1
                .send_response(response.body(()).expect("a response"), true)
                .expect("sent");
        })
        .await;
        let proxy = http2_to(address).start().await;
        let client = client(&proxy).await;
        let mut calls = vec![];
        for _ in 0..150 {
            let mut client = client.clone();
            calls.push(spawn_local(async move {
                client
                    .send_request(get("/"))
                    .await
                    .expect("answered")
                    .headers()["x-connection"]
                    .clone()
            }));
        }
        let mut used = vec![];
        for call in calls {
            used.push(call.await.expect("ended"));
        }
        used.sort();
        used.dedup();
        // 100 before the server has said how many it takes, which is more: the rest waits or takes a second connection.
        assert!((1..=2).contains(&used.len()), "{used:?}");
        assert!(proxy.worker.pools.open_connections() <= 2);
    });
}

/// A stream that has ended makes room for the next: one connection serves more requests than it has streams.
#[test]
fn a_stream_that_has_ended_makes_room() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        spawn_local(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                spawn_local(async move {
                    let mut server = h2::server::Builder::new();
                    server.max_concurrent_streams(4);
                    let connection = server.handshake::<_, Bytes>(tcp).await;
                    let mut connection = connection.expect("HTTP/2");
                    while let Some(Ok(stream)) = connection.accept().await {
                        ok(stream).await;
                    }
                });
            }
        });
        let proxy = http2_to(address).start().await;
        let mut client = client(&proxy).await;
        for _ in 0..50 {
            let response = client.send_request(get("/")).await.expect("answered");
            assert_eq!(text(response).await, "ok");
        }
        assert_eq!(proxy.worker.pools.open_connections(), 1);
    });
}

fn refused_stream() -> RetryPolicy {
    RetryPolicy {
        retry_on: vec![RetryOn::RefusedStream],
        num_retries: 2,
        back_off_base: Some(Duration::from_millis(1)),
        ..RetryPolicy::default()
    }
}

#[test]
fn a_refused_stream_is_tried_again_whatever_the_method() {
    run(async {
        let address = server(
            async |_, stream, (request, mut respond): Stream| match stream {
                0 => respond.send_reset(h2::Reason::REFUSED_STREAM),
                _ => ok((request, respond)).await,
            },
        )
        .await;
        let setup = http2_to(address).route(|r| r.retry = Some(refused_stream()));
        let proxy = setup.start().await;
        let mut client = client(&proxy).await;
        let response = client.send_request(post("abc")).await.expect("answered");
        assert_eq!(text(response).await, "ok");
    });
}

#[test]
fn a_stream_that_was_reset_otherwise_is_not() {
    run(async {
        thread_local!(static STREAMS: RefCell<u32> = const { RefCell::new(0) });
        let address = server(async |_, _, (_, mut respond): Stream| {
            STREAMS.with_borrow_mut(|n| *n += 1);
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
        })
        .await;
        let policy = RetryPolicy {
            retry_on: RetryOn::ALL.to_vec(),
            ..refused_stream()
        };
        let proxy = http2_to(address)
            .route(|r| r.retry = Some(policy))
            .start()
            .await;
        let mut client = client(&proxy).await;
        let response = client.send_request(post("abc")).await.expect("answered");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(text(response).await.ends_with("reset reason: remote reset"));
        assert_eq!(STREAMS.take(), 1);
        assert_eq!(proxy.seen().await.flags, "UR");
    });
}

/// A server that goes away loses nothing beyond the stream that it names, even without a retry policy.
#[test]
fn what_is_beyond_a_goaway_goes_to_a_new_connection() {
    /// SETTINGS, their acknowledgement, `:status: 200` on stream 1, and GOAWAY after stream 1.
    const GOES_AWAY: &[&[u8]] = &[
        &[0, 0, 0, 4, 0, 0, 0, 0, 0],
        &[0, 0, 0, 4, 1, 0, 0, 0, 0],
        &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88],
        &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    ];
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        spawn_local(async move {
            let (mut first, _) = listener.accept().await.expect("accepted");
            sleep(Duration::from_millis(30)).await;
            first.write_all(&GOES_AWAY.concat()).await.expect("sent");
            let (tcp, _) = listener.accept().await.expect("accepted");
            let mut connection = h2::server::handshake(tcp).await.expect("HTTP/2");
            while let Some(Ok(stream)) = connection.accept().await {
                ok(stream).await;
            }
        });
        let proxy = http2_to(address).start().await;
        let client = client(&proxy).await;
        let mut calls = vec![];
        for _ in 0..5 {
            let mut client = client.clone();
            calls.push(spawn_local(async move {
                text(client.send_request(post("abc")).await.expect("answered")).await
            }));
        }
        let mut answers = vec![];
        for call in calls {
            answers.push(call.await.expect("ended"));
        }
        answers.sort();
        assert_eq!(answers, ["", "ok", "ok", "ok", "ok"]);
    });
}

#[test]
fn a_client_that_cancels_cancels_upstream() {
    run(async {
        thread_local!(static ENDED: RefCell<u32> = const { RefCell::new(0) });
        let address = server(async |_, _, (_, mut respond): Stream| {
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            assert_eq!(reason.ok(), Some(h2::Reason::CANCEL));
            ENDED.with_borrow_mut(|n| *n += 1);
        })
        .await;
        let proxy = http2_to(address).start().await;
        let mut client = client(&proxy).await;
        let call = spawn_local(async move {
            let _ = client.send_request(get("/")).await;
        });
        sleep(Duration::from_millis(30)).await;
        call.abort();
        let seen = proxy.seen().await;
        assert_eq!((seen.status, seen.flags.as_str()), (None, "DC"));
        sleep(Duration::from_millis(30)).await;
        assert_eq!(ENDED.take(), 1);
    });
}

#[test]
fn a_connection_that_drains_finishes_its_streams() {
    run(async {
        let address = server(async |_, _, stream: Stream| {
            sleep(Duration::from_millis(100)).await;
            ok(stream).await;
        })
        .await;
        let proxy = http2_to(address).start().await;
        let mut client = client(&proxy).await;
        let mut other = client.clone();
        let call = spawn_local(async move {
            text(other.send_request(get("/")).await.expect("answered")).await
        });
        sleep(Duration::from_millis(30)).await;
        proxy.drain.cancel();
        assert_eq!(call.await.expect("ended"), "ok");
        sleep(Duration::from_millis(30)).await;
        assert!(client.ready().await.is_err(), "the connection has ended");
    });
}

#[test]
fn many_cookie_crumbs_pass_and_many_headers_do_not() {
    run(async {
        let server = Server::answering(OK).await;
        let setup = Setup::to(&[server.address]);
        let proxy = setup
            .cluster(|c| c.http_protocol = UpstreamHttp::Http1)
            .start()
            .await;
        let mut client = client(&proxy).await;
        let with = |name: &str, n: usize, size: usize| {
            let value = "v".repeat(size);
            let request = Request::get("http://a.test/");
            let request = (0..n).fold(request, |r, i| {
                r.header(name.replace('#', &i.to_string()), &value)
            });
            request.body(Body::empty()).expect("a request")
        };
        let response = client
            .send_request(with("cookie", 150, 320))
            .await
            .expect("answered");
        assert_eq!(response.status(), StatusCode::OK, "48 KB of cookies");
        let response = client
            .send_request(with("x-#", 250, 1))
            .await
            .expect("answered");
        assert_eq!(response.status().as_u16(), 431);
        let response = client.send_request(with("cookie", 300, 320)).await;
        let refused = response.map_or(true, |r| r.status().as_u16() == 431);
        assert!(refused, "more than 64 KB");
    });
}

#[test]
fn header_case_is_kept_where_configured() {
    run(async {
        let answer = "HTTP/1.1 200 OK\r\nX-AbC: 1\r\nContent-Length: 0\r\n\r\n";
        let server = Server::answering(answer).await;
        for (keep, up, down) in [
            (true, "X-ReQ: 1", "X-AbC: 1"),
            (false, "x-req: 1", "x-abc: 1"),
        ] {
            let setup = Setup::to(&[server.address]).manager(|m| m.preserve_header_case = keep);
            let proxy = setup.start().await;
            let mut client = proxy.connect().await;
            client
                .send("GET / HTTP/1.1\r\nHost: a\r\nX-ReQ: 1\r\n\r\n")
                .await;
            let response = client.until("\r\n\r\n").await;
            assert!(response.contains(down), "{response}");
            let request = server.requests().pop().unwrap_or_default();
            assert!(request.contains(up), "{request}");
        }
    });
}

#[test]
fn http1_trailers_reach_http2() {
    run(async {
        let proxied: Rc<RefCell<Option<HeaderMap>>> = Rc::default();
        thread_local!(static TRAILERS: RefCell<Option<HeaderMap>> = const { RefCell::new(None) });
        let address = server(async |_, _, (request, mut respond): Stream| {
            let mut body = request.into_body();
            while let Some(data) = body.data().await {
                data.expect("data");
            }
            let trailers = body.trailers().await.expect("a body");
            TRAILERS.with_borrow_mut(|t| *t = trailers);
            respond
                .send_response(Response::new(()), true)
                .expect("sent");
        })
        .await;
        let proxy = http2_to(address).start().await;
        let mut client = proxy.connect().await;
        client
            .send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n")
            .await;
        assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
        proxied.replace(TRAILERS.take());
        let trailers = proxied.take().expect("trailers");
        assert_eq!(trailers["x-sum"], "7");
    });
}

#[test]
fn an_http2_connection_takes_as_many_requests_as_it_may() {
    run(async {
        let server = server(|number, _, (_, mut respond)| async move {
            let head = respond.send_response(Response::new(()), false);
            let mut body = head.expect("sent");
            body.send_data(number.to_string().into(), true)
                .expect("sent");
        })
        .await;
        let setup = http2_to(server).cluster(|cluster| {
            cluster.max_requests_per_connection = std::num::NonZeroU32::new(2);
        });
        let proxy = setup.start().await;
        let client = client(&proxy).await;
        let asked = (0..5).map(|_| {
            let mut client = client.clone();
            async move { text(client.send_request(get("/")).await.expect("answered")).await }
        });
        let mut all = futures_util::future::join_all(asked).await;
        all.sort();
        assert_eq!(all, ["0", "0", "1", "1", "2"], "by their connections");
    });
}
