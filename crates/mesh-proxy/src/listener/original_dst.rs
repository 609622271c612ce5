//! Where a connection was going before the rules redirected it.

use nix::errno::Errno;
use std::{io, net::SocketAddr};
use tokio::net::TcpStream;

/// The original destination of an accepted connection; its local address if nothing redirected it.
///
/// # Errors
/// If the socket can't be asked.
pub fn original_dst(tcp: &TcpStream) -> io::Result<SocketAddr> {
    let local = tcp.local_addr()?;
    let socket = socket2::SockRef::from(tcp);
    let found = if is_ipv4(&local) {
        socket.original_dst_v4()
    } else {
        socket.original_dst_v6()
    };
    match found {
        Ok(address) => Ok(address.as_socket().map_or(local, unmapped)),
        // The connection tracker knows no redirection of it, or is not there at all.
        Err(error)
            if [Errno::ENOENT, Errno::ENOPROTOOPT]
                .map(|e| Some(e as i32))
                .contains(&error.raw_os_error()) =>
        {
            Ok(unmapped(local))
        }
        Err(error) => Err(error),
    }
}

fn is_ipv4(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_ipv4()
}

/// An IPv4 address that an IPv6 socket shows as `::ffff:a.b.c.d` is the IPv4 address.
pub fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
