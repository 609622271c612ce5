//! What both sidecars and the application say of a case: lines of their logs, and how far their metrics moved.

use super::{
    Direction,
    access_log::Line,
    case::{Case, Protocol},
    cluster::{Cluster, DataPlane, ENVOY, Workload},
    metrics,
};
use anyhow::{Context, Result, bail, ensure};
use mesh_model::port;
use std::{
    fs,
    time::{Duration, Instant},
};

/// How long logs and metrics may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// One case's witness.
pub(super) struct Witness<'a> {
    cluster: &'a Cluster,
    direction: Direction,
    case: &'a Case,
    /// Logs of the client's sidecar, the server's, and the application, as long as they were.
    logs: [usize; 3],
    /// Counters of both sidecars, as they were.
    counters: [Vec<f64>; 2],
}

/// A series that the case should move, and by how much.
struct Movement {
    name: &'static str,
    labels: Vec<(&'static str, String)>,
    by: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl<'a> Witness<'a> {
    /// Looks at what there is before the case.
    pub(super) fn new(cluster: &'a Cluster, direction: Direction, case: &'a Case) -> Result<Self> {
        let mut witness = Self {
            cluster,
            direction,
            case,
            logs: [0; 3],
            counters: [Vec::new(), Vec::new()],
        };
        witness.logs = witness.texts()?.map(|text| text.len());
        witness.counters = [
            witness.counters(Side::Client)?,
            witness.counters(Side::Server)?,
        ];
        Ok(witness)
    }

    /// Judges, once everything has been written.
    pub(super) fn judge(&self) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let judged = self.judge_now();
            if judged.is_ok() || Instant::now() > deadline {
                return judged.with_context(|| self.said());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The new lines of all logs, for messages.
    pub(super) fn said(&self) -> String {
        match self.fresh() {
            Ok(texts) => {
                let [client, server, application] = texts.map(|text| first_lines(&text));
                format!("client:\n{client}server:\n{server}application:\n{application}")
            }
            Err(error) => format!("{error:#}"),
        }
    }

    fn judge_now(&self) -> Result<String> {
        let [client, server, application] = self.fresh()?;
        let Direction {
            client: from,
            server: to,
        } = self.direction;
        let (port, host) = (self.case.port, to.host(self.case.port));
        let mut name = "-".to_owned();
        if from.plane != DataPlane::None {
            let subset = self.case.subset(from.plane);
            let cluster = format!("outbound|{}|{subset}|{host}", port.number);
            self.logged(&client, from, (&cluster, &name, self.case.downstream))
                .context("the client's log")?;
            name = format!("outbound_.{}_._.{host}", port.number);
        }
        let cluster = format!("inbound|{}||", port.target);
        let heard = self.case.heard(from.plane);
        self.logged(&server, to, (&cluster, &name, heard))
            .context("the server's log")?;
        ensure!(
            !self.case.hears_the_end || application.contains("an end after"),
            "the application has not heard the end"
        );
        self.moved(Side::Client).context("the client's metrics")?;
        self.moved(Side::Server).context("the server's metrics")?;
        let security = match from.plane {
            DataPlane::None => "plaintext",
            _ => "mutual TLS",
        };
        Ok(format!("{}, {security}", heard.counted()))
    }

    /// As many lines as the case has requests or connections, each to `cluster`, and none that is not well.
    fn logged(
        &self,
        log: &str,
        of: Workload,
        (cluster, name, protocol): (&str, &str, Protocol),
    ) -> Result<()> {
        // To Envoy, whoever closes an upgraded connection first has broken it off.
        let broken_off = of.plane == DataPlane::Envoy && self.case.status == 101;
        let lines: Vec<_> = log.lines().filter_map(Line::read).collect();
        let well = |line: &&Line| {
            line.cluster == cluster
                && line.server_name == name
                && line.protocol.as_deref() == protocol.logged()
                && line.status == self.case.status
                && (line.flags == "-" || broken_off && ["DC", "UC"].contains(&&*line.flags))
                && self
                    .case
                    .tcp_bytes()
                    .is_none_or(|bytes| (line.received, line.sent) == bytes)
        };
        let (all, well) = (lines.len() as u64, lines.iter().filter(well).count() as u64);
        ensure!(
            (all, well) == (self.case.times, self.case.times),
            "{well} of {all} lines are to {cluster} for {name} as {protocol:?}, of {} wanted",
            self.case.times
        );
        Ok(())
    }

    fn texts(&self) -> Result<[String; 3]> {
        let Direction { client, server } = self.direction;
        let read = |workload: Workload, container: Option<&str>| match container {
            Some(container) => {
                let path = self.cluster.pod(workload)?.log(container);
                fs::read_to_string(&path).with_context(|| path.display().to_string())
            }
            None => Ok(String::new()),
        };
        Ok([
            read(client, client.sidecar())?,
            read(server, server.sidecar())?,
            read(server, Some("echo"))?,
        ])
    }

    fn fresh(&self) -> Result<[String; 3]> {
        let mut texts = self.texts()?;
        for (text, old) in texts.iter_mut().zip(self.logs) {
            text.drain(..old);
        }
        Ok(texts)
    }

    fn workload(&self, side: Side) -> Workload {
        match side {
            Side::Client => self.direction.client,
            Side::Server => self.direction.server,
        }
    }

    fn metrics(&self, side: Side) -> Result<String> {
        match self.workload(side).plane {
            DataPlane::MeshProxy => {
                self.cluster
                    .get(self.workload(side), port::PROMETHEUS, "/stats/prometheus")
            }
            // Neither speaks of istio_*.
            DataPlane::Envoy | DataPlane::None => Ok(String::new()),
        }
    }

    fn counters(&self, side: Side) -> Result<Vec<f64>> {
        let text = self.metrics(side)?;
        let movements = self.movements(side);
        Ok(movements
            .iter()
            .map(|movement| movement.value(&text))
            .collect())
    }

    fn moved(&self, side: Side) -> Result<()> {
        let text = self.metrics(side)?;
        let before = &self.counters[side as usize];
        for (movement, before) in self.movements(side).iter().zip(before) {
            let by = movement.value(&text) - before;
            if by != movement.by {
                bail!(
                    "{}{:?} moved by {by}, not {}; there are {:#?}",
                    movement.name,
                    movement.labels,
                    movement.by,
                    metrics::series(&text, movement.name)
                );
            }
        }
        Ok(())
    }

    /// What a mesh-proxy on `side` should count.
    fn movements(&self, side: Side) -> Vec<Movement> {
        if self.workload(side).plane != DataPlane::MeshProxy {
            return Vec::new();
        }
        let times = self.case.times as f64;
        let mut labels = self.labels(side);
        let Some((received, sent)) = self.case.tcp_bytes() else {
            labels.push(("response_code", self.case.status.to_string()));
            let heard = self.case.heard(self.direction.client.plane);
            labels.push(("request_protocol", heard.counted().into()));
            return vec![Movement {
                name: "istio_requests_total",
                labels,
                by: times,
            }];
        };
        [
            ("istio_tcp_connections_opened_total", times),
            ("istio_tcp_connections_closed_total", times),
            ("istio_tcp_received_bytes_total", received as f64),
            ("istio_tcp_sent_bytes_total", sent as f64),
        ]
        .map(|(name, by)| Movement {
            name,
            labels: labels.clone(),
            by,
        })
        .into()
    }

    /// Labels that say who talks to whom, and how safely.
    fn labels(&self, side: Side) -> Vec<(&'static str, String)> {
        let Direction { client, server } = self.direction;
        let principal =
            |workload: Workload| format!("spiffe://cluster.local/ns/test/sa/{}", workload.name);
        let mutual = client.plane != DataPlane::None;
        let mut labels = vec![(
            "connection_security_policy",
            match side {
                Side::Client => "unknown",
                Side::Server if mutual => "mutual_tls",
                Side::Server => "none",
            }
            .to_owned(),
        )];
        labels.push((
            "reporter",
            match side {
                Side::Client => "source",
                Side::Server => "destination",
            }
            .to_owned(),
        ));
        // What the peer tells of itself; of a server also the control plane tells something.
        let told = |workload: Workload| match workload.plane {
            DataPlane::MeshProxy => workload.name,
            DataPlane::Envoy | DataPlane::None => "unknown",
        };
        labels.push(("source_workload", told(client).to_owned()));
        labels.push(("destination_workload", server.name.to_owned()));
        labels.push(("destination_app", told(server).to_owned()));
        if mutual {
            labels.push(("source_principal", principal(client)));
            labels.push(("destination_principal", principal(server)));
        }
        labels
    }
}

impl Movement {
    fn value(&self, text: &str) -> f64 {
        let labels: Vec<_> = self.labels.iter().map(|(k, v)| (*k, v.as_str())).collect();
        metrics::sum(text, self.name, &labels)
    }
}

/// Enough of a log for a message.
fn first_lines(text: &str) -> String {
    let lines = text.lines().take(4);
    lines.map(|line| format!("  {line}\n")).collect()
}

/// TLS handshakes that Envoy's inbound listener has completed, each with a client's certificate.
pub(super) fn envoy_handshakes(cluster: &Cluster) -> Result<u64> {
    let [handshakes, without] = ["ssl.handshake", "ssl.no_certificate"]
        .map(|name| statistics(cluster, &format!("listener.0.0.0.0_15006.{name}")));
    let without = without?;
    ensure!(
        without == 0,
        "{without} clients of Envoy had no certificate"
    );
    handshakes
}

/// Envoy has taken all that it was served.
pub(super) fn nothing_refused(cluster: &Cluster) -> Result<()> {
    let refused = statistics(cluster, "update_rejected")?;
    ensure!(refused == 0, "Envoy has refused {refused} updates");
    Ok(())
}

/// The sum of Envoy's statistics whose names end with `name`, of which there is at least one.
fn statistics(cluster: &Cluster, name: &str) -> Result<u64> {
    let text = cluster.get(ENVOY, port::ADMIN, "/stats")?;
    let values: Vec<u64> = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(found, _)| found.ends_with(name))
        .filter_map(|(_, value)| value.parse().ok())
        .collect();
    ensure!(!values.is_empty(), "Envoy has no statistic {name}");
    Ok(values.iter().sum())
}
