//! The sockets that accept: bound once for the life of the process, and listened on by every worker.

use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// Connections that the kernel may hold before they are accepted.
const BACKLOG: i32 = 4096;

/// Binds a listening socket. Workers listen on duplicates of it, so that no connection is lost with a worker.
///
/// # Errors
/// If the address is taken or can't be bound.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restarted proxy must not wait for the connections of the one before it to be forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
