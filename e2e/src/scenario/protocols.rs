//! Every protocol in every direction: mesh-proxy to mesh-proxy, a plain Envoy to mesh-proxy, mesh-proxy to a plain
//! Envoy, and a client without a sidecar to mesh-proxy.
//!
//! ```text
//! case        what is asked of whom, and what both sidecars should say of it
//! cluster     the pods and their applications
//! access_log  one line of it
//! metrics     sums of series
//! witness     what the sidecars say: logs, metrics
//! alpn        who is offered the metadata exchange
//! ```

mod access_log;
mod alpn;
mod case;
mod cluster;
mod metrics;
mod witness;

use crate::envoy;
use anyhow::{Context, Result, bail};
use case::{CASES, Case};
use cluster::{Cluster, DataPlane, ENVOY, ONE, PLAIN, TWO, Workload};
use std::time::Instant;
use witness::Witness;

/// From whom to whom.
#[derive(Clone, Copy)]
struct Direction {
    client: Workload,
    server: Workload,
}

const DIRECTIONS: [Direction; 4] = [
    Direction {
        client: ONE,
        server: TWO,
    },
    Direction {
        client: ENVOY,
        server: TWO,
    },
    Direction {
        client: ONE,
        server: ENVOY,
    },
    Direction {
        client: PLAIN,
        server: TWO,
    },
];

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.client.plane, self.server.plane)
    }
}

/// Plays it.
pub(crate) fn play() -> Result<()> {
    let program = envoy::program()?;
    let cluster = Cluster::start(&program, &|text| println!("{text}"))?;
    for direction in DIRECTIONS {
        cluster.wait_for_endpoints(direction)?;
    }
    alpn::judge(&cluster)?;
    let mut failed = 0;
    for direction in DIRECTIONS {
        let handshakes = witness::envoy_handshakes(&cluster)?;
        for case in CASES {
            failed += usize::from(!played(&cluster, direction, case));
        }
        if direction.server.plane == DataPlane::Envoy {
            let now = witness::envoy_handshakes(&cluster)?;
            anyhow::ensure!(now > handshakes, "Envoy has terminated no TLS");
            println!("{direction}: {} TLS handshakes at Envoy", now - handshakes);
        }
    }
    witness::nothing_refused(&cluster)?;
    if failed > 0 {
        bail!("{failed} cases failed");
    }
    Ok(())
}

/// Plays a case and prints its line. All cases are played, also when one has failed.
fn played(cluster: &Cluster, direction: Direction, case: &Case) -> bool {
    let start = Instant::now();
    let outcome = judge(cluster, direction, case);
    let ms = start.elapsed().as_millis();
    match &outcome {
        Ok(facts) => println!("{direction} · {} · {ms} ms · {facts}", case.name),
        Err(error) => println!("{direction} · {} · {ms} ms · FAILED: {error:#}", case.name),
    }
    outcome.is_ok()
}

fn judge(cluster: &Cluster, direction: Direction, case: &Case) -> Result<String> {
    let witness = Witness::new(cluster, direction, case)?;
    let saw = case.client.talk(cluster, direction, case);
    let saw = saw.with_context(|| witness.said())?;
    let said = witness
        .judge()
        .with_context(|| format!("though the client saw {saw}"))?;
    Ok(format!("{saw} · {said}"))
}
