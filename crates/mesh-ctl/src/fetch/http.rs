//! One HTTP request: through a Unix socket, or through a forwarded port of a pod.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use super::{Cluster, ClusterError, block_on};

/// How long an answer may take; a large proxy needs seconds to print its configuration.
const DEADLINE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody listens.
    #[error("cannot reach {peer} at {}", socket.display())]
    Connect {
        /// Who was asked.
        peer: String,
        /// Where.
        socket: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The cluster brings no port here.
    #[error("cannot reach {peer} through the cluster")]
    Forward {
        /// Who was asked.
        peer: String,
        /// Why not.
        #[source]
        source: Box<ClusterError>,
    },
    /// The connection broke.
    #[error("{peer} did not answer {path}")]
    Broken {
        /// Who was asked.
        peer: String,
        /// What.
        path: String,
        /// How.
        #[source]
        source: hyper::Error,
    },
    /// It took too long.
    #[error("{peer} did not answer {path} in {} s", DEADLINE.as_secs())]
    Late {
        /// Who was asked.
        peer: String,
        /// What.
        path: String,
    },
    /// It refused.
    #[error("{peer} answered {path} with {status}: {text}")]
    Refused {
        /// Who was asked.
        peer: String,
        /// What.
        path: String,
        /// The status of the answer.
        status: StatusCode,
        /// Its text.
        text: String,
    },
    /// No runtime to ask with.
    #[error("cannot start")]
    Runtime(#[from] io::Error),
}

impl Error {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Connect { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => "the demo runs as root: use sudo",
                io::ErrorKind::ConnectionRefused => {
                    "the demo that made this socket has ended; start it again"
                }
                _ => "the pod may have gone; try again",
            },
            Self::Forward { source, .. } => return Some(source.hint()),
            Self::Broken { .. } => {
                "nothing may listen there yet: see the pod's log, or try again in a moment"
            }
            Self::Late { .. } | Self::Refused { .. } | Self::Runtime(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// Bytes to and from a server.
pub(crate) type Connection = Box<dyn Duplex>;

/// Both ways of a connection.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A server that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    way: Way,
    peer: String,
}

/// How it is reached.
#[derive(Debug, Clone)]
enum Way {
    Socket(PathBuf),
    Forward {
        cluster: Cluster,
        namespace: String,
        pod: String,
        port: u16,
    },
}

impl Server {
    /// Behind a Unix socket; `peer` is what messages call the server.
    pub(crate) fn socket(path: PathBuf, peer: impl Into<String>) -> Self {
        let (way, peer) = (Way::Socket(path), peer.into());
        Self { way, peer }
    }

    /// Behind a port of a pod.
    pub(crate) fn forwarded(
        cluster: Cluster,
        namespace: String,
        pod: String,
        port: u16,
        peer: String,
    ) -> Self {
        let way = Way::Forward {
            cluster,
            namespace,
            pod,
            port,
        };
        Self { way, peer }
    }

    /// The body of the answer to `GET path`.
    ///
    /// # Errors
    /// If there is none, or its status is not 200.
    pub(crate) fn get(&self, path: &str) -> Result<String, Error> {
        self.ask(Method::GET, path, Body::None)
    }

    /// The body of the answer to `POST path`.
    ///
    /// # Errors
    /// If there is none, or its status is not 200.
    pub(crate) fn post(&self, path: &str) -> Result<String, Error> {
        self.ask(Method::POST, path, Body::None)
    }

    /// The body of the answer to `PUT path` with `body`.
    ///
    /// # Errors
    /// If there is none, or its status is not 200.
    pub(crate) fn put(&self, path: &str, body: &serde_json::Value) -> Result<String, Error> {
        self.ask(Method::PUT, path, Body::Json(body.to_string()))
    }

    fn ask(&self, method: Method, path: &str, body: Body) -> Result<String, Error> {
        block_on(async {
            let answer = tokio::time::timeout(DEADLINE, self.exchange(method, path, body)).await;
            answer.unwrap_or_else(|_| {
                Err(Error::Late {
                    peer: self.peer.clone(),
                    path: path.to_owned(),
                })
            })
        })
    }

    /// A connection to it.
    ///
    /// # Errors
    /// If there is no way to it; that nobody listens there may show only when the connection is used.
    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        match &self.way {
            Way::Socket(socket) => match UnixStream::connect(socket).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(source) => Err(Error::Connect {
                    peer: self.peer.clone(),
                    socket: socket.clone(),
                    source,
                }),
            },
            Way::Forward {
                cluster,
                namespace,
                pod,
                port,
            } => match cluster.forward(namespace, pod, *port).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(source) => Err(Error::Forward {
                    peer: self.peer.clone(),
                    source: Box::new(source),
                }),
            },
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Body) -> Result<String, Error> {
        let answer = request(self.connect().await?, method, path, body).await;
        let (status, body) = answer.map_err(|source| Error::Broken {
            peer: self.peer.clone(),
            path: path.to_owned(),
            source,
        })?;
        let text = String::from_utf8_lossy(&body).into_owned();
        if status == StatusCode::OK {
            return Ok(text);
        }
        Err(Error::Refused {
            peer: self.peer.clone(),
            path: path.to_owned(),
            status,
            text: text.trim().to_owned(),
        })
    }
}

/// What is sent along.
enum Body {
    None,
    Json(String),
}

async fn request(
    stream: Connection,
    method: Method,
    path: &str,
    body: Body,
) -> hyper::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let (text, kind) = match body {
        Body::None => (String::new(), None),
        Body::Json(text) => (text, Some("application/json")),
    };
    let mut request = Request::new(Full::new(Bytes::from(text)));
    if let Some(kind) = kind {
        let kind = http::HeaderValue::from_static(kind);
        request
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, kind);
    }
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap_or_default();
    request.headers_mut().insert(
        http::header::HOST,
        http::HeaderValue::from_static("localhost"),
    );
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => { ended?; answer.await }
    }
}
