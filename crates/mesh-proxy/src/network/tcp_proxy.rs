//! Sends a connection's bytes to a cluster.

use super::{
    copy::{Cause, Ended, two_way},
    metadata_exchange,
};
use crate::{
    connection::Connection,
    flag::ResponseFlags,
    telemetry::{Observers, TcpRecord, UpstreamRecord, Workload, access_log::InvalidFormat},
    tls::Stream,
    upstream::{self, clusters::ClusterSlot},
    worker::{Shared, Worker},
};
use mesh_model::{filter, filter::NetworkFilter};
use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// Envoy's idle timeout of TCP proxies.
const IDLE: Duration = Duration::from_secs(3600);

/// A compiled [`filter::TcpProxy`].
#[derive(Debug)]
pub struct TcpProxy {
    cluster: Arc<ClusterSlot>,
    idle_timeout: Duration,
    observers: Observers,
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
            observers: shared.telemetry.observers(stats, &model.access_logs)?,
        })
    }

    /// Serves `stream` to its end, and tells telemetry of it. `metadata` is what the client told of itself.
    pub async fn serve(
        &self,
        mut stream: Stream,
        connection: &Connection,
        metadata: Option<&Workload>,
        worker: &Worker,
    ) {
        let (start, clock) = (SystemTime::now(), Instant::now());
        let request = upstream::Request {
            original_dst: Some(connection.destination),
            alpn: None,
        };
        let mut outcome = Outcome {
            peer: metadata.cloned(),
            ..Outcome::default()
        };
        match upstream::connect(worker, &self.cluster, request).await {
            Ok(mut tcp) => {
                let meter = match meet(&mut tcp, &mut outcome, worker).await {
                    Ok(()) => {
                        let opened =
                            outcome.record(connection, &tcp.record, (start, clock.elapsed()));
                        let meter = worker.telemetry.tcp_opened(&opened, &self.observers);
                        outcome
                            .end(two_way(&mut stream, &mut tcp.io, Some(self.idle_timeout)).await);
                        Some(meter)
                    }
                    Err(()) => None,
                };
                let closed = outcome.record(connection, &tcp.record, (start, clock.elapsed()));
                worker.telemetry.tcp_closed(&closed, &self.observers, meter);
            }
            Err(failed) => {
                outcome.flags = failed.failure.kind.flag();
                let closed = outcome.record(connection, &failed.record, (start, clock.elapsed()));
                worker.telemetry.tcp_closed(&closed, &self.observers, None);
            }
        }
    }
}

/// Exchanges metadata with the server, if it negotiated that.
async fn meet(tcp: &mut upstream::Tcp, outcome: &mut Outcome, worker: &Worker) -> Result<(), ()> {
    if tcp.alpn.as_deref() != Some(metadata_exchange::PROTOCOL) {
        return Ok(());
    }
    match metadata_exchange::exchange(&mut tcp.io, &worker.shared.metadata).await {
        Ok(workload) => {
            outcome.peer.get_or_insert(workload);
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
