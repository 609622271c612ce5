//! Sends a connection's bytes to a cluster.
//!
//! Where nobody knows yet whether the client will speak at all, the server may be dialled ahead: it may be one that speaks
//! first.

use super::{
    copy::{Cause, Ended, two_way},
    metadata_exchange,
};
use crate::{
    connection::Connection,
    flag::ResponseFlags,
    telemetry::{Observers, TcpRecord, UpstreamRecord, Workload, substitution::InvalidFormat},
    tls::Stream,
    upstream::{self, clusters::ClusterSlot, hash::xx},
    worker::{Shared, Worker},
};
use bytes::BytesMut;
use mesh_model::{filter, filter::NetworkFilter};
use std::{
    borrow::Cow,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

/// Envoy's idle timeout of TCP proxies.
const IDLE: Duration = Duration::from_secs(3600);

/// How long a client is silent before its server is dialled.
const QUIET: Duration = Duration::from_millis(20);
/// How long a silent client of a server that can't be reached is kept: it may yet say what it wants, and get an answer.
const KEPT: Duration = Duration::from_secs(5);

/// A compiled [`filter::TcpProxy`].
#[derive(Debug)]
pub struct TcpProxy {
    cluster: Arc<ClusterSlot>,
    idle_timeout: Duration,
    hash_source_ip: bool,
    observers: Observers,
}

/// A server that was dialled, or why it can't be reached.
pub struct Dialed {
    begun: (SystemTime, Instant),
    outcome: Outcome,
    server: Result<upstream::Tcp, UpstreamRecord>,
    // What it has said, and the client has not heard.
    first: BytesMut,
}

/// How a connection went, as its record tells it.
#[derive(Default)]
struct Outcome {
    flags: ResponseFlags,
    details: Option<Cow<'static, str>>,
    received: u64,
    sent: u64,
    peer: Option<Workload>,
}

impl TcpProxy {
    /// Compiles `model`, which stands in its chain after the filters `before`.
    ///
    /// # Errors
    /// If the format of an access log is not understood.
    pub fn compile(
        model: &filter::TcpProxy,
        before: &[NetworkFilter],
        shared: &Shared,
    ) -> Result<Self, InvalidFormat> {
        let stats = before.iter().find_map(|filter| match filter {
            NetworkFilter::Stats(stats) => Some(*stats),
            _ => None,
        });
        Ok(Self {
            cluster: shared.clusters.slot(&model.cluster),
            idle_timeout: model.idle_timeout.unwrap_or(IDLE),
            hash_source_ip: model.hash_source_ip,
            observers: shared.telemetry.observers(stats, &model.access_logs)?,
        })
    }

    /// Tells telemetry of a connection that began at `begun` and goes no further, for the reason that `details` names.
    pub fn refused(
        &self,
        connection: &Connection,
        metadata: Option<&Workload>,
        (begun, details): ((SystemTime, Instant), String),
        worker: &Worker,
    ) {
        let outcome = Outcome {
            details: Some(details.into()),
            peer: metadata.cloned(),
            ..Outcome::default()
        };
        let upstream = UpstreamRecord::default();
        let closed = outcome.record(connection, &upstream, (begun.0, begun.1.elapsed()));
        worker.telemetry.tcp_closed(&closed, &self.observers, None);
    }

    /// Dials the server for a client that has been silent for a moment; ends when the server has something to say. `ends`:
    /// where the client wanted to go, and the client.
    ///
    /// What came of it is in `dialed`, also if this is dropped because the client speaks: the connection is the client's
    /// if it turns out to be one for this proxy.
    pub async fn overture(
        &self,
        ends: (SocketAddr, SocketAddr),
        worker: &Worker,
        dialed: &mut Option<Dialed>,
    ) {
        sleep(QUIET).await;
        let dialed = dialed.insert(self.dial(ends, worker).await);
        match &mut dialed.server {
            // The end and errors are met again by whoever copies.
            Ok(tcp) => {
                let first = tcp.io.read_buf(&mut dialed.first);
                let _ = timeout(self.idle_timeout, first).await;
            }
            Err(_) => sleep(KEPT).await,
        }
    }

    // For a connection to `destination` from `client`.
    async fn dial(
        &self,
        (destination, client): (SocketAddr, SocketAddr),
        worker: &Worker,
    ) -> Dialed {
        let begun = (SystemTime::now(), Instant::now());
        let request = upstream::Request {
            original_dst: Some(destination),
            hash: (self.hash_source_ip).then(|| xx(client.ip().to_string().as_bytes(), 0)),
            alpn: None,
        };
        let mut outcome = Outcome::default();
        let server = match upstream::connect(worker, &self.cluster, request).await {
            Ok(mut tcp) => match meet(&mut tcp, &mut outcome, worker).await {
                Ok(()) => Ok(tcp),
                Err(()) => Err(tcp.record),
            },
            Err(failed) => {
                outcome.flags = failed.failure.kind.flag();
                Err(failed.record)
            }
        };
        Dialed {
            begun,
            outcome,
            server,
            first: BytesMut::new(),
        }
    }

    /// Serves `stream` to its end, and tells telemetry of it. `metadata` is what the client told of itself; `dialed` the
    /// server, if it was dialled ahead.
    pub async fn serve(
        &self,
        mut stream: Stream,
        connection: &Connection,
        metadata: Option<&Workload>,
        worker: &Worker,
        dialed: Option<Dialed>,
    ) {
        let Dialed {
            begun: (start, clock),
            mut outcome,
            server,
            first,
        } = match dialed {
            Some(dialed) => dialed,
            None => {
                let ends = (connection.destination, connection.peer);
                self.dial(ends, worker).await
            }
        };
        if let Some(client) = metadata {
            outcome.peer = Some(client.clone());
        }
        let (meter, record) = match server {
            Ok(mut tcp) => {
                let opened = outcome.record(connection, &tcp.record, (start, clock.elapsed()));
                let meter = worker.telemetry.tcp_opened(&opened, &self.observers);
                // If it fails, so does the copy.
                let greeted = stream.write_all(&first).await;
                let mut ended = two_way(&mut stream, &mut tcp.io, Some(self.idle_timeout)).await;
                ended.sent += greeted.map_or(0, |()| first.len() as u64);
                outcome.end(ended);
                (Some(meter), tcp.record)
            }
            Err(record) => (None, record),
        };
        let closed = outcome.record(connection, &record, (start, clock.elapsed()));
        worker.telemetry.tcp_closed(&closed, &self.observers, meter);
    }
}

/// Exchanges metadata with the server, if it negotiated that.
async fn meet(tcp: &mut upstream::Tcp, outcome: &mut Outcome, worker: &Worker) -> Result<(), ()> {
    if tcp.alpn.as_deref() != Some(metadata_exchange::PROTOCOL) {
        return Ok(());
    }
    match metadata_exchange::exchange(&mut tcp.io, &worker.shared.metadata).await {
        Ok(workload) => {
            outcome.peer = Some(workload);
            Ok(())
        }
        Err(error) => {
            tcp.record.transport_failure = Some(error.to_string().into());
            outcome.flags = ResponseFlags::UPSTREAM_CONNECTION_FAILURE;
            Err(())
        }
    }
}

impl Outcome {
    fn end(
        &mut self,
        Ended {
            received,
            sent,
            cause,
        }: Ended,
    ) {
        (self.received, self.sent) = (received, sent);
        if let Cause::Idle = cause {
            self.flags = ResponseFlags::STREAM_IDLE_TIMEOUT;
            self.details = Some("idle_timeout".into());
        }
    }

    fn record<'a>(
        &'a self,
        connection: &'a Connection,
        upstream: &'a UpstreamRecord,
        (start, duration): (SystemTime, Duration),
    ) -> TcpRecord<'a> {
        TcpRecord {
            connection,
            start,
            duration,
            flags: self.flags,
            details: None,
            termination_details: self.details.clone(),
            bytes_received: self.received,
            bytes_sent: self.sent,
            upstream,
            peer: self.peer.as_ref(),
        }
    }
}
