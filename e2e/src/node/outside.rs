//! A way to the API server from the machine: a port of the machine's loopback, for whoever looks at a kept cluster.

use super::API;
use crate::sandbox;
use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread,
};
use tokio::net::TcpStream;

/// Listens on a free port of the machine's loopback for as long as we live; returns where.
pub(crate) fn open() -> Result<SocketAddr> {
    let network = sandbox::outside()?;
    // A thread of its own, because a network namespace belongs to a thread; a socket keeps the one it was made in.
    let bind = move || -> Result<TcpListener> {
        setns(network, CloneFlags::CLONE_NEWNET).context("the machine's network")?;
        Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?)
    };
    let listener = thread::spawn(bind)
        .join()
        .ok()
        .context("the listener's thread")??;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    thread::Builder::new()
        .name("outside".into())
        .spawn(move || {
            if let Err(error) = serve(listener) {
                eprintln!("warning: the way to the API server has closed: {error:#}");
            }
        })?;
    Ok(address)
}

fn serve(listener: TcpListener) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (mut client, _) = listener.accept().await?;
            connections.spawn(async move {
                if let Ok(mut server) = TcpStream::connect(API).await {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
            while connections.try_join_next().is_some() {}
        }
    })
}
