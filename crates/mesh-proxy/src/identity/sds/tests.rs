//! Over a real socket, in both protocols.

use super::*;
use hyper_util::rt::TokioIo;
use mesh_model::secret::SecretValue;
use mesh_xds::pb::envoy::{
    config::core::v3::Node,
    service::secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient,
};
use std::time::Duration;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

fn roots(text: &str) -> Secret {
    Secret {
        name: "ROOTCA".into(),
        value: SecretValue::Validation {
            trusted_ca: text.into(),
        },
    }
}

fn certificate(text: &str) -> Secret {
    Secret {
        name: "default".into(),
        value: SecretValue::Certificate {
            chain: text.into(),
            key: mesh_model::secret::PrivateKey(b"key".to_vec()),
        },
    }
}

async fn connect(path: &Path) -> Channel {
    let path = path.to_owned();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move {
            tokio::net::UnixStream::connect(path)
                .await
                .map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    for _ in 0..200 {
        if let Ok(channel) = endpoint.connect_with_connector(connector.clone()).await {
            return channel;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody serves");
}

fn ask(name: &str) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: Some(Node {
            id: "envoy".into(),
            ..Node::default()
        }),
        type_url: Secret::TYPE_URL.into(),
        resource_names_subscribe: vec![name.into()],
        ..DeltaDiscoveryRequest::default()
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    served: Served,
    _task: JoinSet<io::Result<()>>,
}

impl Fixture {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let (path, served) = (folder.path().join("socket"), Served::default());
        // As a killed process leaves it.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
        let mut task = JoinSet::new();
        let serving = served.clone();
        task.spawn(async move { serve(&path, &serving, std::future::pending()).await });
        Self {
            folder,
            served,
            _task: task,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("socket")
    }
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn nobody_is_answered_before_there_is_a_certificate_and_renewals_are_pushed() {
    let fixture = Fixture::start();
    let mut client = SecretDiscoveryServiceClient::new(connect(&fixture.path()).await);
    let (requests, outgoing) = mpsc::channel(4);
    requests.send(ask("default")).await.expect("open");
    let call = client.delta_secrets(ReceiverStream::new(outgoing));
    let mut answers = call.await.expect("served").into_inner();
    fixture.served.set(&roots("root"));
    let early = timeout(Duration::from_millis(200), answers.message()).await;
    assert!(early.is_err(), "{early:?}");
    for life in ["first", "second"] {
        fixture.served.set(&certificate(life));
        let answer = timeout(SOON, answers.message()).await.expect("in time");
        let answer = answer.expect("open").expect("an answer");
        let names: Vec<_> = answer.resources.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["default"], "only what was asked for");
        let any = answer.resources[0].resource.as_ref().expect("content");
        let secret = Secret::decode(&any.value).expect("a secret").value;
        assert_eq!(secret, certificate(life));
    }
    let mode = fs::metadata(fixture.path())
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn the_older_protocol_is_spoken_too() {
    let fixture = Fixture::start();
    fixture.served.set(&roots("root"));
    fixture.served.set(&certificate("c"));
    let mut client = SecretDiscoveryServiceClient::new(connect(&fixture.path()).await);
    let (requests, outgoing) = mpsc::channel(4);
    let mut request = DiscoveryRequest {
        node: ask("").node,
        type_url: Secret::TYPE_URL.into(),
        resource_names: vec!["ROOTCA".into()],
        ..DiscoveryRequest::default()
    };
    requests.send(request.clone()).await.expect("open");
    let call = client.stream_secrets(ReceiverStream::new(outgoing));
    let mut answers = call.await.expect("served").into_inner();
    let answer = timeout(SOON, answers.message()).await.expect("in time");
    let answer = answer.expect("open").expect("an answer");
    assert_eq!(answer.resources.len(), 1);
    request.version_info = answer.version_info;
    request.response_nonce = answer.nonce;
    requests.send(request).await.expect("open");
    let silence = timeout(Duration::from_millis(200), answers.message()).await;
    assert!(silence.is_err(), "an ACK is not answered: {silence:?}");
}

#[tokio::test]
async fn only_secrets_are_served_and_only_by_one_process() {
    let fixture = Fixture::start();
    let mut client = SecretDiscoveryServiceClient::new(connect(&fixture.path()).await);
    let (requests, outgoing) = mpsc::channel(4);
    let mut request = ask("x");
    request.type_url = ResourceType::Cluster.type_url().into();
    requests.send(request).await.expect("open");
    let call = client.delta_secrets(ReceiverStream::new(outgoing));
    let mut answers = call.await.expect("served").into_inner();
    let refused = answers.message().await.expect_err("refused");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    let second = serve(&fixture.path(), &fixture.served, std::future::pending()).await;
    assert_eq!(second.expect_err("taken").kind(), io::ErrorKind::AddrInUse);
}
