//! Proves that connections are redirected, with a connection.
//!
//! A client connects as the sidecar's user from 127.0.0.1 to 127.0.0.6 (IPv6: from ::1 to ::6), where nobody listens.
//! The rule for the sidecar's own loopback connections sends it to the inbound port; there a listener takes it, asks
//! the kernel where it was going and answers with that port. Only if the client reads the port that it dialled is the
//! redirection proven: both directions, and the original destination on which the sidecar's routing rests.

use crate::backend::{Capability, held};
use crate::config::{Capture, Probe};
use crate::rules::Family;
use mesh_model::port;
use nix::unistd::{Uid, setfsuid};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait between looks and between connections.
const PAUSE: Duration = Duration::from_millis(20);

/// Why the redirection is not proven.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("cannot listen on {address} in the sidecar's place")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot connect as user {uid}, the sidecar's")]
    Identity { uid: u32 },
    #[error(
        "{family} connections are not redirected: within {timeout:?} no connection to {target} came out right"
    )]
    NotRedirected {
        family: Family,
        target: SocketAddr,
        timeout: Duration,
        source: Mishap,
    },
}

impl Failure {
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Failure::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                "validate before the sidecar runs".to_owned()
            }
            Failure::Listen { .. } => "is `lo` up in this network namespace?".to_owned(),
            Failure::Identity { uid } if !held(Capability::SetUid) => {
                format!(
                    "run the validation as user {uid}, or give the container {}",
                    Capability::SetUid
                )
            }
            Failure::Identity { .. } => "check --proxy-uid".to_owned(),
            Failure::NotRedirected { .. } => {
                "the rules are missing or others stand before them: see iptables-save in this pod"
                    .to_owned()
            }
        })
    }
}

/// How one connection went wrong.
#[derive(Debug, Error)]
pub(crate) enum Mishap {
    #[error("the connection failed")]
    Connection(#[from] io::Error),
    #[error("the connection went somewhere else, not to the sidecar's ports")]
    Elsewhere,
    #[error("the kernel gives {found} as its original destination")]
    WrongDestination { found: SocketAddr },
    #[error("the answer was {answer:?}")]
    WrongAnswer { answer: String },
}

/// Tries until one connection of `family` comes out right, or the probe's time is over.
///
/// # Errors
/// With what went wrong last.
pub(crate) fn validate(capture: &Capture, probe: Probe, family: Family) -> Result<(), Failure> {
    let trial = Trial::new(capture, probe, family)?;
    let deadline = Instant::now() + probe.timeout;
    loop {
        let mishap = match trial.attempt()? {
            Ok(()) => return Ok(()),
            Err(mishap) => mishap,
        };
        if Instant::now() >= deadline {
            let (target, timeout) = (trial.target, probe.timeout);
            return Err(Failure::NotRedirected {
                family,
                target,
                timeout,
                source: mishap,
            });
        }
        thread::sleep(PAUSE);
    }
}

/// The listeners in the sidecar's place, and what to dial.
struct Trial {
    listeners: Vec<TcpListener>,
    uids: Vec<u32>,
    source: SocketAddr,
    target: SocketAddr,
}

impl Trial {
    fn new(capture: &Capture, probe: Probe, family: Family) -> Result<Self, Failure> {
        let (local, target): (IpAddr, IpAddr) = match family {
            Family::V4 => (Ipv4Addr::LOCALHOST.into(), port::INBOUND_SOURCE_V4.into()),
            Family::V6 => (Ipv6Addr::LOCALHOST.into(), port::INBOUND_SOURCE_V6.into()),
        };
        let ports = [capture.outbound_port, capture.inbound_port];
        let listeners = ports.map(|port| listen(SocketAddr::new(local, port)));
        Ok(Self {
            listeners: listeners.into_iter().collect::<Result<_, _>>()?,
            uids: capture.proxy_uids.clone(),
            source: SocketAddr::new(local, 0),
            target: SocketAddr::new(target, probe.port),
        })
    }

    /// One connection. The outer error cannot be helped by trying again.
    fn attempt(&self) -> Result<Result<(), Mishap>, Failure> {
        let socket = self.client_socket()?;
        Ok(socket
            .map_err(Mishap::Connection)
            .and_then(|socket| self.converse(socket)))
    }

    /// A socket of the sidecar's user: whose it is, is settled when it is made.
    fn client_socket(&self) -> Result<io::Result<Socket>, Failure> {
        let open = || Socket::new(Domain::for_address(self.source), Type::STREAM, None);
        let own = nix::unistd::geteuid();
        if self.uids.contains(&own.as_raw()) {
            return Ok(open());
        }
        let uid = self.uids.first().copied().unwrap_or_else(|| own.as_raw());
        let socket = as_user(Uid::from_raw(uid), open).ok_or(Failure::Identity { uid })?;
        Ok(socket)
    }

    fn converse(&self, socket: Socket) -> Result<(), Mishap> {
        socket.bind(&SockAddr::from(self.source))?;
        socket.connect_timeout(&SockAddr::from(self.target), PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut client = TcpStream::from(socket);
        self.answer(client.local_addr()?)?;
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        match answer == self.target.port().to_string() {
            true => Ok(()),
            false => Err(Mishap::WrongAnswer { answer }),
        }
    }

    /// Takes the connection of `client` and answers with the port that it was for.
    fn answer(&self, client: SocketAddr) -> Result<(), Mishap> {
        let mut server = self.accept(client)?.ok_or(Mishap::Elsewhere)?;
        let found = original_destination(&server)?;
        if found.ip() != self.target.ip() {
            return Err(Mishap::WrongDestination { found });
        }
        server.write_all(found.port().to_string().as_bytes())?;
        Ok(server.shutdown(Shutdown::Write)?)
    }

    /// Looks for the connection of `client` at all listeners; others that arrive here are closed.
    fn accept(&self, client: SocketAddr) -> io::Result<Option<TcpStream>> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            for listener in &self.listeners {
                match listener.accept() {
                    Ok((server, peer)) if peer == client => {
                        server.set_nonblocking(false)?;
                        server.set_write_timeout(Some(PATIENCE))?;
                        return Ok(Some(server));
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            thread::sleep(PAUSE);
        }
        Ok(None)
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| Failure::Listen { address, source })
}

/// Where a redirected connection was going.
fn original_destination(server: &TcpStream) -> io::Result<SocketAddr> {
    let socket = SockRef::from(server);
    let address = match server.local_addr()? {
        SocketAddr::V4(_) => socket.original_dst_v4()?,
        SocketAddr::V6(_) => socket.original_dst_v6()?,
    };
    address
        .as_socket()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Runs `work` with `uid` as this thread's file system user, which the `owner` match goes by; `None` if not allowed.
fn as_user<T>(uid: Uid, work: impl FnOnce() -> T) -> Option<T> {
    let before = setfsuid(uid);
    // The call does not report failure; asking for an impossible user changes nothing and tells the present one.
    let impossible = Uid::from_raw(u32::MAX);
    let outcome = (setfsuid(impossible) == uid).then(work);
    setfsuid(before);
    outcome
}
