//! Against servers on loopback, some of which mean no good.

use super::{Error, request::request, wait::wait};
use crate::config::{Command, Verb};
use clap::Parser;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

/// Answers each connection with the next of its answers, the last one again and again.
struct Server {
    port: u16,
    asked: Arc<parking_lot::Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Server {
    async fn new(answers: impl Into<Vec<&'static str>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let port = listener.local_addr().expect("bound").port();
        let (answers, count) = (answers.into(), AtomicUsize::new(0));
        let asked = Arc::<parking_lot::Mutex<Vec<String>>>::default();
        let mut task = JoinSet::new();
        let heard = Arc::clone(&asked);
        task.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = vec![0; 4096];
                let read = stream.read(&mut bytes).await.unwrap_or_default();
                heard
                    .lock()
                    .push(String::from_utf8_lossy(&bytes[..read]).into_owned());
                let index = count.fetch_add(1, Relaxed).min(answers.len() - 1);
                let _ = stream.write_all(answers[index].as_bytes()).await;
            }
        });
        Self {
            port,
            asked,
            _task: task,
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes";
const NOT_YET: &str =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 24\r\n\r\ncds updates: 0 successful";

async fn waited(port: u16, more: &[&str]) -> Result<(), Error> {
    let url = format!("http://localhost:{port}/healthz/ready");
    let words = ["mesh-proxy", "wait", "--periodMillis=20", "--url", &url];
    let command = Command::try_parse_from(words.iter().chain(more)).expect("parsed");
    let Some(Verb::Wait(typed)) = command.verb else {
        panic!("not a wait")
    };
    wait(&typed).await
}

async fn asked(port: u16, words: &[&str]) -> Result<String, Error> {
    let port = format!("--debug-port={port}");
    let first = ["mesh-proxy", "request", &port];
    let command = Command::try_parse_from(first.iter().chain(words)).expect("parsed");
    let Some(Verb::Request(typed)) = command.verb else {
        panic!("not a request")
    };
    let mut out = Vec::new();
    request(&typed, &mut out).await?;
    Ok(String::from_utf8(out).expect("text"))
}

#[tokio::test]
async fn it_waits_until_the_proxy_is_ready() {
    let server = Server::new([NOT_YET, "", NOT_YET, OK]).await;
    waited(server.port, &[]).await.expect("ready");
    let asked = server.asked.lock().clone();
    assert_eq!(asked.len(), 4);
    assert!(
        asked[0].starts_with("GET /healthz/ready HTTP/1.1\r\n"),
        "{}",
        asked[0]
    );
}

#[tokio::test]
async fn it_gives_up_in_time_and_says_why() {
    let server = Server::new([NOT_YET]).await;
    let begun = Instant::now();
    let error = waited(server.port, &["--timeoutSeconds=1"])
        .await
        .expect_err("never ready");
    assert!(begun.elapsed() < Duration::from_secs(3));
    let text = crate::reason::one_line(&error);
    assert!(
        text.starts_with("the proxy is not ready after 1s: ") && text.contains("cds updates: 0"),
        "{text}"
    );
}

#[tokio::test]
async fn one_question_without_an_answer_is_not_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = silent.local_addr().expect("bound").port();
    let begun = Instant::now();
    let more = ["--requestTimeoutMillis=100", "--timeoutSeconds=1"];
    let error = waited(port, &more).await.expect_err("never ready");
    assert!(begun.elapsed() < Duration::from_secs(3));
    let text = crate::reason::one_line(&error);
    assert!(text.contains("did not answer in 100ms"), "{text}");
}

#[tokio::test]
async fn an_order_is_given_and_its_answer_printed() {
    let server = Server::new([OK]).await;
    let answer = asked(server.port, &["POST", "drain"]).await.expect("done");
    assert_eq!(answer, "yes");
    let sent = server.asked.lock()[0].clone();
    assert!(sent.starts_with("POST /drain HTTP/1.1\r\n"), "{sent}");
    assert!(
        sent.contains(&format!("host: localhost:{}\r\n", server.port)),
        "{sent}"
    );
    let answer = asked(server.port, &["POST", "/logging?level=debug", "a body"]).await;
    assert_eq!(answer.expect("done"), "yes");
    assert!(server.asked.lock()[1].ends_with("\r\n\r\na body"));
}

#[tokio::test]
async fn answers_that_are_none_are_errors() {
    const ENDLESS: &str =
        "HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n";
    for (answer, why) in [
        ("SSH-2.0-OpenSSH_9.6\r\n", "HTTP with localhost:"),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "HTTP with"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf",
            "HTTP with",
        ),
        ("", "HTTP with"),
        (NOT_YET, "answered 503 Service Unavailable: cds updates"),
        (ENDLESS, "answered 500 Internal Server Error"),
    ] {
        let server = Server::new([answer]).await;
        let error = asked(server.port, &["GET", "stats"]).await;
        let text = crate::reason::one_line(&error.expect_err("no answer"));
        assert!(text.contains(why), "{answer}: {text}");
    }
}
