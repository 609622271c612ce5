//! The sockets: one for datagrams and one for connections on each address, those where the rules send queries to.

use super::{
    Dns, Following, ResolvConf,
    message::{LARGEST_DATAGRAM, Transport},
    resolver::Resolver,
    upstream::framed,
};
use crate::config::DnsAddress;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Datagrams of one socket that are being answered; those beyond are dropped, and clients ask again. More than name
/// servers are asked at once, so that their silence does not hide the names of the mesh.
const MOST_DATAGRAMS: usize = 1024;
/// Connections of one socket at once; those beyond wait.
const MOST_CONNECTIONS: usize = 64;
/// How long a connection may take to ask, and to take an answer (RFC 7766 section 6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// How long to wait where receiving fails.
const PAUSE: Duration = Duration::from_millis(100);

/// The DNS server of the pod.
#[derive(Debug)]
pub struct Server {
    resolver: Arc<Resolver>,
    sockets: Vec<Sockets>,
    following: Option<Following>,
}

#[derive(Debug)]
struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Server {
    /// Binds an address, or those of `localhost`, of which IPv6's may be missing. To be called inside a runtime.
    ///
    /// # Errors
    /// If it can't be bound.
    pub async fn bind(
        at: DnsAddress,
        domain: &str,
        conf: ResolvConf,
        dns: Arc<Dns>,
    ) -> io::Result<Self> {
        let first = at.ip.unwrap_or(Ipv4Addr::LOCALHOST.into());
        let mut sockets = vec![Sockets::bind(first, at.port).await?];
        if at.ip.is_none() {
            let port = sockets[0].address()?.port();
            match Sockets::bind(Ipv6Addr::LOCALHOST.into(), port).await {
                Ok(both) => sockets.push(both),
                Err(error) => tracing::debug!(%error, "no DNS server on IPv6's loopback address"),
            }
        }
        Ok(Self {
            resolver: Arc::new(Resolver::new(dns, domain, conf)),
            sockets,
            following: None,
        })
    }

    /// As it is, but what a resolv.conf says from now on counts.
    #[must_use]
    pub fn following(self, conf: Following) -> Self {
        Self {
            following: Some(conf),
            ..self
        }
    }

    /// Where it listens.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().filter_map(|s| s.address().ok())
    }

    /// Answers for ever.
    pub async fn run(self) {
        let mut loops = JoinSet::new();
        if let Some(following) = self.following {
            let resolver = Arc::clone(&self.resolver);
            loops.spawn(following.run(move |conf| resolver.put_in_force(conf)));
        }
        for Sockets { udp, tcp } in self.sockets {
            loops.spawn(datagrams(Arc::new(udp), Arc::clone(&self.resolver)));
            loops.spawn(connections(tcp, Arc::clone(&self.resolver)));
        }
        while loops.join_next().await.is_some() {}
    }
}

impl Sockets {
    async fn bind(address: IpAddr, port: u16) -> io::Result<Self> {
        let tcp = TcpListener::bind((address, port)).await?;
        let udp = UdpSocket::bind((address, tcp.local_addr()?.port())).await?;
        Ok(Self { udp, tcp })
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Each datagram is answered by a task of its own: one that waits, or worse, holds up no other.
async fn datagrams(socket: Arc<UdpSocket>, resolver: Arc<Resolver>) {
    let mut under_way = JoinSet::new();
    let mut buffer = vec![0; LARGEST_DATAGRAM.into()];
    loop {
        tokio::select! {
            Some(_) = under_way.join_next() => {}
            received = socket.recv_from(&mut buffer) => match received {
                Ok(_) if under_way.len() >= MOST_DATAGRAMS => resolver.dns().counters.dropped.increment(),
                Ok((length, client)) => {
                    let (socket, resolver) = (Arc::clone(&socket), Arc::clone(&resolver));
                    let query = buffer[..length].to_vec();
                    under_way.spawn(async move {
                        if let Some(answer) = resolver.answer(&query, Transport::Udp).await {
                            // Whoever has gone away misses nothing.
                            let _ = socket.send_to(&answer, client).await;
                        }
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "receiving DNS queries");
                    sleep(PAUSE).await;
                }
            },
        }
    }
}

async fn connections(listener: TcpListener, resolver: Arc<Resolver>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    open.spawn(connection(stream, Arc::clone(&resolver)));
                }
                Err(error) => {
                    tracing::debug!(%error, "accepting DNS connections");
                    sleep(PAUSE).await;
                }
            },
        }
    }
}

async fn connection(mut stream: TcpStream, resolver: Arc<Resolver>) {
    // Its end, however it comes, is all there is to know.
    while let Ok(Some(())) = exchange(&mut stream, &resolver).await {}
}

/// One query and its answer; `None` if there is no answer.
async fn exchange(stream: &mut TcpStream, resolver: &Resolver) -> io::Result<Option<()>> {
    let query = timeout(IDLE, read(stream)).await??;
    let Some(answer) = resolver.answer(&query, Transport::Tcp).await else {
        return Ok(None);
    };
    timeout(IDLE, stream.write_all(&framed(&answer)?)).await??;
    Ok(Some(()))
}

async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut query = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut query).await?;
    Ok(query)
}
