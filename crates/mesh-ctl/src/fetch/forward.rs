//! A port of this machine that leads to a server of a pod, as `kubectl port-forward` makes one.
//!
//! Every connection that is accepted becomes one of its own to the server; bytes are copied and never read.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Server;

/// What a browser and this program both mean by this machine. The name alone could be either family, and the port of the
/// other could belong to somebody else.
const LOCALHOST: (&str, &str) = ("localhost", "127.0.0.1");

/// Why no port can be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}:{port}")]
pub(crate) struct Error {
    address: String,
    port: u16,
    #[source]
    source: io::Error,
}

impl Error {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                "another program has this port; choose one with --port, or leave --port out and any free one is taken"
            }
            io::ErrorKind::PermissionDenied => "ports below 1024 are root's; choose another with --port",
            _ => "--address must be an address of this machine, such as localhost or 0.0.0.0",
        }
        .to_owned()
    }
}

/// A listening port.
#[derive(Debug)]
pub(crate) struct Forward {
    listener: TcpListener,
    address: String,
}

impl Forward {
    /// Listens on `port` of `address`. Without one, on `preferred` if it is free, else on any.
    ///
    /// # Errors
    /// If the port is taken, or the address is not ours.
    pub(crate) async fn listen(
        address: &str,
        port: Option<u16>,
        preferred: u16,
    ) -> Result<Self, Error> {
        let host = match address == LOCALHOST.0 {
            true => LOCALHOST.1,
            false => address,
        };
        let bind = async |port| {
            let bound = TcpListener::bind((host, port)).await;
            bound.map_err(|source| Error {
                address: address.to_owned(),
                port,
                source,
            })
        };
        let listener = match port {
            Some(port) => bind(port).await?,
            None => match bind(preferred).await {
                Ok(listener) => listener,
                Err(_) => bind(0).await?,
            },
        };
        Ok(Self {
            listener,
            address: address.to_owned(),
        })
    }

    /// Where a browser finds it: `host:port`.
    ///
    /// # Errors
    /// If the system does not say.
    pub(crate) fn authority(&self) -> io::Result<String> {
        let port = self.listener.local_addr()?.port();
        Ok(join(&self.address, port))
    }

    /// Carries connections to `server` until `end`.
    pub(crate) async fn run(self, server: &Server, end: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        connections.spawn(carry(stream, from, server.clone()));
                    }
                    Err(error) => {
                        eprintln!("warning: cannot accept a connection: {error}");
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }
}

/// An address and a port, as they stand in a URL.
fn join(address: &str, port: u16) -> String {
    match address.contains(':') {
        true => format!("[{address}]:{port}"),
        false => format!("{address}:{port}"),
    }
}

async fn carry(mut stream: TcpStream, from: SocketAddr, server: Server) {
    let mut connection = match server.connect().await {
        Ok(connection) => connection,
        Err(error) => {
            let error = anyhow::Error::new(error);
            eprintln!("warning: connection from {from} is closed: {error:#}");
            return;
        }
    };
    // A browser that closes its tab is no news.
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut connection).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_left_for_another_unless_it_was_asked_for() {
        let first = Forward::listen("localhost", None, 0).await.expect("a port");
        let taken = first.listener.local_addr().expect("bound").port();
        let second = Forward::listen("localhost", None, taken).await;
        let second = second.expect("another port");
        assert_ne!(second.listener.local_addr().expect("bound").port(), taken);
        let refused = Forward::listen("localhost", Some(taken), 0).await;
        let refused = refused.expect_err("taken");
        assert_eq!(
            refused.to_string(),
            format!("cannot listen on localhost:{taken}")
        );
        assert!(refused.hint().contains("--port"), "{}", refused.hint());
    }

    #[test]
    fn addresses_are_told_as_a_browser_takes_them() {
        assert_eq!(join("localhost", 15000), "localhost:15000");
        assert_eq!(join("::1", 80), "[::1]:80");
    }
}
