//! Our certificate and roots for another data plane of the pod: Envoy's secret discovery service on a Unix socket.
//!
//! Speaks both protocols, and pushes when a secret is renewed. Nobody is answered before there is a certificate: an
//! empty answer would be taken for "there is none". The socket is for our own user alone: over it the key leaves us.

use futures_util::stream;
use mesh_model::secret::Secret;
use mesh_xds::{
    ads::{
        Protocol, Refusal, Request as Ask, ResourceType, Response as Answer, Server as State,
        SharedResource, Stamp, control_plane,
    },
    pb::envoy::service::{
        discovery::v3::{
            DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
        },
        secret::v3::secret_discovery_service_server::{
            SecretDiscoveryService, SecretDiscoveryServiceServer,
        },
    },
    resource::Resource,
};
use prost::Message;
use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    pin::Pin,
    sync::Arc,
    time::SystemTime,
};
use tokio::{net::UnixListener, sync::watch};
use tokio_stream::{Stream, StreamExt, wrappers::UnixListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// Names that are answered: nothing is said before all of them are there.
const NAMES: [&str; 2] = [
    mesh_model::name::DEFAULT_SECRET,
    mesh_model::name::ROOT_CA_SECRET,
];

/// The secrets that are served.
#[derive(Clone, Debug, Default)]
pub struct Served(Arc<watch::Sender<BTreeMap<String, SharedResource>>>);

impl Served {
    /// Serves a secret from now on; who holds another version gets this one.
    pub fn set(&self, secret: &Secret) {
        let shared = SharedResource::new(ResourceType::Secret, secret.name(), &secret.encode());
        self.0
            .send_modify(|all| drop(all.insert(secret.name().to_owned(), shared)));
    }
}

/// Serves on the socket at `path` until `end`. A socket that a dead process left behind is replaced.
///
/// # Errors
/// If another process serves there, or no socket can be made.
pub async fn serve(path: &Path, served: &Served, end: impl Future<Output = ()>) -> io::Result<()> {
    let listener = bind(path)?;
    let service = SecretDiscoveryServiceServer::new(Service(served.clone()));
    tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), end)
        .await
        .map_err(io::Error::other)
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("another process serves on {}", path.display()),
        ));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

struct Service(Served);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl SecretDiscoveryService for Service {
    type DeltaSecretsStream = Answers<DeltaDiscoveryResponse>;
    type StreamSecretsStream = Answers<DiscoveryResponse>;

    async fn delta_secrets(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        let answers = Session::open(Protocol::Delta, request.into_inner(), &self.0);
        Ok(Response::new(Box::pin(answers.map(|a| a.and_then(delta)))))
    }

    async fn stream_secrets(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        let answers = Session::open(Protocol::Sotw, request.into_inner(), &self.0);
        Ok(Response::new(Box::pin(answers.map(|a| a.and_then(whole)))))
    }

    async fn fetch_secrets(
        &self,
        _: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        Err(Status::unimplemented("secrets are served by stream"))
    }
}

/// One stream.
struct Session<Q> {
    state: State,
    requests: Streaming<Q>,
    secrets: watch::Receiver<BTreeMap<String, SharedResource>>,
    answers: VecDeque<Answer>,
}

impl<Q: Into<Ask> + Send + 'static> Session<Q> {
    fn open(
        protocol: Protocol,
        requests: Streaming<Q>,
        served: &Served,
    ) -> impl Stream<Item = Result<Answer, Status>> + Send + use<Q> {
        let session = Self {
            state: State::new(
                protocol,
                fastrand::u64(..),
                control_plane("mesh-proxy agent"),
            ),
            requests,
            secrets: served.0.subscribe(),
            answers: VecDeque::new(),
        };
        stream::unfold(Some(session), async |session| {
            let mut session = session?;
            match session.next().await? {
                Ok(answer) => Some((Ok(answer), Some(session))),
                Err(status) => Some((Err(status), None)),
            }
        })
    }

    /// The next answer; `None`: the client is gone.
    async fn next(&mut self) -> Option<Result<Answer, Status>> {
        loop {
            if let Err(refusal) = self.answer() {
                return Some(Err(Status::invalid_argument(refusal.to_string())));
            }
            if let Some(answer) = self.answers.pop_front() {
                return Some(Ok(answer));
            }
            tokio::select! {
                request = self.requests.next() => {
                    if let Err(status) = self.hear(request?.ok()?.into()) {
                        return Some(Err(status));
                    }
                }
                changed = self.secrets.changed() => changed.ok()?,
            }
        }
    }

    fn hear(&mut self, request: Ask) -> Result<(), Status> {
        if request.type_url() != ResourceType::Secret.type_url() {
            return Err(Status::invalid_argument("only secrets are served here"));
        }
        if let Some(error) = request.error() {
            tracing::warn!("a data plane refused a secret: {}", error.message);
        }
        let heard = self.state.on_request(&request, SystemTime::now());
        heard.map_err(|refusal| Status::invalid_argument(refusal.to_string()))?;
        Ok(())
    }

    /// Makes what is due: what was asked for, and what is newer than what the client holds.
    fn answer(&mut self) -> Result<(), Refusal> {
        let secrets = self.secrets.borrow_and_update();
        if NAMES.iter().any(|name| !secrets.contains_key(*name)) {
            return Ok(());
        }
        let stamp = Stamp {
            version: secrets.values().map(|s| s.version().to_string()).collect(),
            now: SystemTime::now(),
        };
        while let Some(ask) = self.state.asked() {
            self.answers
                .extend(self.state.answer(&ask, secrets.values(), &stamp)?);
        }
        if let Some(ask) = self.state.refresh(ResourceType::Secret) {
            self.answers
                .extend(self.state.answer(&ask, secrets.values(), &stamp)?);
        }
        Ok(())
    }
}

/// The generated messages own their bytes; ours are shared. There are so few secrets that copying them does not matter.
fn delta(answer: Answer) -> Result<DeltaDiscoveryResponse, Status> {
    let encoded = mesh_xds::ads::EncodedDeltaResponse::from(answer).encode_to_vec();
    DeltaDiscoveryResponse::decode(&encoded[..]).map_err(|e| Status::internal(e.to_string()))
}

fn whole(answer: Answer) -> Result<DiscoveryResponse, Status> {
    let encoded = mesh_xds::ads::EncodedResponse::from(answer).encode_to_vec();
    DiscoveryResponse::decode(&encoded[..]).map_err(|e| Status::internal(e.to_string()))
}

#[cfg(test)]
mod tests;
