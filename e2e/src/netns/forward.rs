//! Sockets that lead into the sandbox from the machine, as `kubectl port-forward` leads into a cluster.
//!
//! Each is a Unix socket in the sandbox's folder. Whatever connects to it is connected to a port of loopback in one
//! network namespace.

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use std::{fs::File, net::Ipv4Addr, os::unix::net::UnixListener, path::Path, thread};
use tokio::net::{TcpStream, UnixStream};

/// Listens on `socket`, and connects to `port` of loopback in the network namespace of process `pid` (`None`: ours).
/// Lives as long as our process.
pub(crate) fn forward(socket: &Path, pid: Option<u32>, port: u16) -> Result<()> {
    let listener = UnixListener::bind(socket).with_context(|| socket.display().to_string())?;
    listener.set_nonblocking(true)?;
    let network = pid
        .map(|pid| File::open(format!("/proc/{pid}/ns/net")))
        .transpose()?;
    let name = socket
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    // A thread of its own, because a network namespace belongs to a thread.
    thread::Builder::new().name(name).spawn(move || {
        if let Err(error) = serve(listener, network, port) {
            eprintln!("warning: a socket into the sandbox has closed: {error:#}");
        }
    })?;
    Ok(())
}

fn serve(listener: UnixListener, network: Option<File>, port: u16) -> Result<()> {
    if let Some(network) = network {
        setns(&network, CloneFlags::CLONE_NEWNET)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (client, _) = listener.accept().await?;
            connections.spawn(connect(client, port));
            while connections.try_join_next().is_some() {}
        }
    })
}

/// Connects a client; if nothing listens there, it is closed, as a refused connection would be.
async fn connect(mut client: UnixStream, port: u16) {
    if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}
