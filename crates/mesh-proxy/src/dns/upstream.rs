//! The pod's name servers: they are sent the very bytes of the query, and what they answer is handed back as it is.
//!
//! Each attempt has a socket of its own, whose port the kernel draws, and an id that cannot be guessed, and takes an
//! answer only from the server that it asked and to the question that it asked.

use super::message::{LARGEST_DATAGRAM, Question, Transport, Verdict, judge, set_id};
use crate::tls;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{Instant, sleep_until, timeout, timeout_at},
};

/// How long all attempts for one query may take (Istio's).
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a server may be silent before the next is asked beside it.
const HEAD_START: Duration = Duration::from_secs(2);
/// How often each server is asked.
const ROUNDS: usize = 2;
/// Datagrams that are no answer, after which an attempt is given up: somebody is guessing.
const MOST_STRANGERS: usize = 32;

/// The name servers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Upstream {
    servers: Vec<SocketAddr>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is nobody to ask.
    #[error("no name server is known")]
    NoServer,
    /// Nobody answered.
    #[error("no name server answered in time")]
    Silence,
    /// The last server that was asked could not be.
    #[error("name server {server} can't be asked")]
    Unreachable {
        /// The server.
        server: SocketAddr,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// What a server answered.
struct Answer {
    bytes: Vec<u8>,
    verdict: Verdict,
}

impl Upstream {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers }
    }

    /// Asks the servers in their order, the next one as soon as one fails or is silent for too long, and gives the first
    /// answer that says something about the name; else what the last server had to say.
    pub(super) async fn ask(&self, question: &Question, query: &[u8]) -> Result<Vec<u8>, Failure> {
        if self.servers.is_empty() {
            return Err(Failure::NoServer);
        }
        let start = Instant::now();
        let outcome = timeout_at(start + PATIENCE, self.attempts(question, query)).await;
        let mut answer = outcome.unwrap_or(Err(Failure::Silence))?;
        set_id(&mut answer, question.id());
        Ok(answer)
    }

    async fn attempts(&self, question: &Question, query: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut servers = self
            .servers
            .iter()
            .cycle()
            .take(self.servers.len() * ROUNDS);
        let mut asked = 0;
        let mut running = FuturesUnordered::new();
        let mut outcome = Err(Failure::Silence);
        let mut next_at = Instant::now();
        loop {
            tokio::select! {
                Some(result) = running.next() => match result {
                    Ok(Answer { bytes, verdict }) if verdict.is_helpful => return Ok(bytes),
                    Ok(Answer { bytes, .. }) => outcome = Ok(bytes),
                    Err(failure) => if outcome.is_err() { outcome = Err(failure) },
                },
                () = sleep_until(next_at), if asked < self.servers.len() * ROUNDS => {
                    next_at = Instant::now() + HEAD_START;
                    asked += 1;
                    running.extend(servers.next().map(|server| attempt(*server, question, query)));
                }
            }
            // Who has failed is not asked again: only silence may be a lost datagram.
            match running.is_empty() {
                true if asked < self.servers.len() => next_at = Instant::now(),
                true => return outcome,
                false => {}
            }
        }
    }
}

async fn attempt(server: SocketAddr, question: &Question, query: &[u8]) -> Result<Answer, Failure> {
    let asked = match question.transport() {
        Transport::Tcp => over_tcp(server, question, query).await,
        Transport::Udp => over_udp(server, question, query).await,
    };
    asked.map_err(|error| Failure::Unreachable { server, error })
}

/// In a datagram; if the answer does not fit into one, over a connection. If it does not fit into one to the client
/// either, that is told to come back over TCP itself.
async fn over_udp(server: SocketAddr, question: &Question, query: &[u8]) -> io::Result<Answer> {
    let short = datagram(server, question, query).await?;
    if !short.verdict.is_truncated {
        return Ok(short);
    }
    let whole = timeout(HEAD_START, over_tcp(server, question, query)).await;
    let whole = whole.ok().and_then(Result::ok);
    let fits = whole.filter(|whole| whole.bytes.len() <= question.limit());
    Ok(fits.unwrap_or(short))
}

async fn datagram(server: SocketAddr, question: &Question, query: &[u8]) -> io::Result<Answer> {
    let any = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    // Connected, so that the kernel lets through the datagrams of this server alone, and says when it has no port.
    socket.connect(server).await?;
    let (id, query) = renamed(query)?;
    socket.send(&query).await?;
    let mut buffer = vec![0; usize::from(LARGEST_DATAGRAM) + 1];
    for _ in 0..MOST_STRANGERS {
        let length = socket.recv(&mut buffer).await?;
        if let Some(mut verdict) = judge(&buffer[..length], id, question.query()) {
            buffer.truncate(length);
            // More than was asked for, or so much that the kernel has cut it off.
            if length > question.limit() {
                verdict.is_truncated = true;
                buffer = question.truncated().unwrap_or_default();
            }
            return Ok(Answer {
                bytes: buffer,
                verdict,
            });
        }
    }
    Err(io::Error::other("its answers are to other questions"))
}

async fn over_tcp(server: SocketAddr, question: &Question, query: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    let (id, query) = renamed(query)?;
    stream.write_all(&framed(&query)?).await?;
    let mut bytes = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut bytes).await?;
    match judge(&bytes, id, question.query()) {
        Some(verdict) => Ok(Answer { bytes, verdict }),
        None => Err(io::Error::other("its answer is to another question")),
    }
}

/// A message with its length before it, as it goes over a connection.
pub(super) fn framed(message: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(message.len());
    let length = length.map_err(|_| io::Error::other("a message of more than 65535 bytes"))?;
    Ok([&length.to_be_bytes(), message].concat())
}

/// The query under an id of its own.
fn renamed(query: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    let mut id = [0; 2];
    let random = tls::provider().secure_random;
    random
        .fill(&mut id)
        .map_err(|_| io::Error::other("no randomness"))?;
    let (id, mut query) = (u16::from_be_bytes(id), query.to_vec());
    set_id(&mut query, id);
    Ok((id, query))
}
