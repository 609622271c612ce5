//! Endpoints that do what their scripts say, and remember what they saw.

use super::case::{Answer, Script, Then};
use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::sleep,
};

/// Longest request.
const MOST: usize = 4 << 20;

/// All servers of a case, by their cluster.
pub(super) struct Servers(pub(super) BTreeMap<String, Vec<Server>>);

impl Servers {
    /// Starts them.
    pub(super) async fn start(scripts: &BTreeMap<String, Vec<Script>>) -> Result<Self> {
        let mut all = BTreeMap::new();
        for (cluster, scripts) in scripts {
            let mut servers = Vec::new();
            for script in scripts {
                servers.push(Server::start(script).await?);
            }
            all.insert(cluster.clone(), servers);
        }
        Ok(Self(all))
    }

    /// Each with its name, `cluster/place`.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, &Server)> {
        self.0.iter().flat_map(|(cluster, servers)| {
            let servers = servers.iter().enumerate();
            servers.map(move |(place, server)| (format!("{cluster}/{place}"), server))
        })
    }
}

/// One server. Ends when it is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    accepting: Option<AbortHandle>,
    /// Bound, and not listened on: connections are refused.
    _refuses: Option<socket2::Socket>,
}

struct State {
    script: Script,
    /// Requests as they came.
    heard: Mutex<Vec<Heard>>,
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// The request line.
    pub(super) line: String,
    /// Names as they were written, and values.
    pub(super) headers: Vec<(String, String)>,
    /// What followed, without the framing of chunks.
    pub(super) body: Vec<u8>,
}

impl Server {
    async fn start(script: &Script) -> Result<Self> {
        let state = Arc::new(State {
            script: script.clone(),
            heard: Mutex::default(),
        });
        if script.refuses {
            use socket2::{Domain, Socket, Type};
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
            let address = socket.local_addr()?.as_socket().context("an IP address")?;
            return Ok(Self {
                address,
                state,
                accepting: None,
                _refuses: Some(socket),
            });
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            accepting: Some(accepting.abort_handle()),
            _refuses: None,
        })
    }

    /// What came so far.
    pub(super) fn heard(&self) -> Vec<Heard> {
        self.state
            .heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

impl State {
    /// Notes a request, and gives what is answered.
    fn hear(&self, heard: Heard) -> Answer {
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = &self.script.answers;
        let place = all.len().min(answers.len().saturating_sub(1));
        all.push(heard);
        answers.get(place).cloned().unwrap_or_default()
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            // A connection that breaks is one of the things that are played.
            let _ = serve(stream, &state).await;
        });
    }
}

async fn serve(mut stream: TcpStream, state: &State) -> Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Some((heard, rest)) = request(&mut stream, bytes).await? else {
            return Ok(());
        };
        bytes = rest;
        let answer = state.hear(heard);
        sleep(answer.delay()).await;
        stream.write_all(&answer.bytes()).await?;
        match answer.then {
            Then::Keep => {}
            Then::Close => {
                stream.shutdown().await?;
                return Ok(());
            }
            Then::Reset => {
                // What was written may still go out.
                sleep(Duration::from_millis(20)).await;
                stream.set_zero_linger()?;
                return Ok(());
            }
        }
    }
}

/// The next request, and what came after it; `None` at the end of the connection.
async fn request(stream: &mut TcpStream, mut bytes: Vec<u8>) -> Result<Option<(Heard, Vec<u8>)>> {
    let end = loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            break end;
        }
        if !more(stream, &mut bytes).await? {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": ").or_else(|| line.split_once(':')))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let value = |wanted: &str| {
        let mut named = headers.iter();
        let found = named.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    };
    let chunked = value("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
    let length = value("content-length").and_then(|v| v.parse::<usize>().ok());
    let mut rest = bytes.split_off(end + 4);
    let body = match (chunked, length) {
        (true, _) => chunks(stream, &mut rest).await?,
        (false, length) => {
            let length = length.unwrap_or_default();
            while rest.len() < length {
                if !more(stream, &mut rest).await? {
                    return Ok(None);
                }
            }
            let after = rest.split_off(length);
            std::mem::replace(&mut rest, after)
        }
    };
    Ok(Some((
        Heard {
            line,
            headers,
            body,
        },
        rest,
    )))
}

/// The content of chunks up to the last; takes them from `bytes`. Trailers are kept after it, as they came.
async fn chunks(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = line(stream, bytes).await?;
        let size = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
        bytes.drain(..end + 2);
        if size == 0 {
            break;
        }
        while bytes.len() < size + 2 {
            anyhow::ensure!(more(stream, bytes).await?, "the body breaks off");
        }
        body.extend(bytes.drain(..size));
        bytes.drain(..2);
    }
    loop {
        let end = line(stream, bytes).await?;
        let trailer: Vec<u8> = bytes.drain(..end + 2).collect();
        if end == 0 {
            return Ok(body);
        }
        body.extend_from_slice(b"\ntrailer ");
        body.extend_from_slice(&trailer[..end]);
    }
}

/// Where the first line ends.
async fn line(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<usize> {
    loop {
        if let Some(end) = find(bytes, b"\r\n") {
            return Ok(end);
        }
        anyhow::ensure!(more(stream, bytes).await?, "the body breaks off");
    }
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<bool> {
    anyhow::ensure!(bytes.len() < MOST, "a request without end");
    Ok(stream.read_buf(bytes).await? > 0)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|w| w == wanted)
}
