//! Sockets: what is written of them, binding them with errors that say what to do, and accepting for ever.
//!
//! For the ports of the control plane. What is served there is not its business, and no limit is kept here.

mod address; // what is written

pub use address::{InvalidListenAddress, ListenAddress, on};

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};

/// Pause after a failed accept: the usual reason, no free descriptor, does not go away by trying at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({setting})")]
pub struct BindError {
    /// What was wanted.
    pub address: ListenAddress,
    /// The setting that wants it.
    pub setting: &'static str,
    /// Why not.
    pub source: io::Error,
}

impl BindError {
    /// What the operator can do about it.
    pub fn hint(&self) -> String {
        let Self {
            address,
            setting,
            source,
        } = self;
        match source.kind() {
            io::ErrorKind::AddrInUse => format!(
                "another process listens there (`ss -ltnp` shows which): stop it, or choose another address with {setting}"
            ),
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need root or CAP_NET_BIND_SERVICE".into()
            }
            io::ErrorKind::AddrNotAvailable => {
                format!("no interface of this machine has the address of {address}")
            }
            _ => format!("choose another address with {setting}"),
        }
    }
}

/// Listens on `address`; `None` if it is switched off.
///
/// # Errors
/// If the system refuses.
pub async fn bind(
    address: &ListenAddress,
    setting: &'static str,
) -> Result<Option<TcpListener>, BindError> {
    let bound = match address {
        ListenAddress::Off => return Ok(None),
        ListenAddress::At(address) => TcpListener::bind(address).await,
        ListenAddress::Everywhere(port) => everywhere(*port).await,
    };
    bound.map(Some).map_err(|source| BindError {
        address: address.clone(),
        setting,
        source,
    })
}

/// The next connection. Never fails: what is wrong with one accept is no reason to stop listening.
pub async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Only latency suffers if this is refused.
                let _ = stream.set_nodelay(true);
                return (stream, canonical(address));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// An IPv6 socket takes IPv4 too; without IPv6, an IPv4 socket.
async fn everywhere(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Err(e)
            if e.kind() != io::ErrorKind::AddrInUse
                && e.kind() != io::ErrorKind::PermissionDenied =>
        {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        bound => bound,
    }
}

/// An IPv4 peer of an IPv6 socket, as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named_with_its_setting() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("free port");
        let address = ListenAddress::At(taken.local_addr().expect("address"));
        let error = bind(&address, "--grpcAddr").await.expect_err("in use");
        assert_eq!(
            error.to_string(),
            format!("cannot listen on {address} (--grpcAddr)")
        );
        assert!(error.hint().contains("--grpcAddr"), "{}", error.hint());
    }

    #[tokio::test]
    async fn everywhere_takes_both_families_and_off_takes_none() {
        assert!(bind(&ListenAddress::Off, "").await.expect("off").is_none());
        let listener = bind(&ListenAddress::Everywhere(0), "")
            .await
            .expect("bound")
            .expect("on");
        let port = listener.local_addr().expect("address").port();
        let client = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("connected");
        let (_, peer) = accept(&listener).await;
        assert_eq!(peer, client.local_addr().expect("address"));
    }
}
