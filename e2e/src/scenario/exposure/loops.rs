//! A pod that calls itself, or a capture port, in every way: closed, or answered once by the application. Never a
//! connection that feeds itself: that would show as descriptors and as a core that does not rest.

use super::visitor::{Outcome, Visitor};
use crate::{
    ledger::Ledger,
    scenario::footprint::Footprint,
    stage::{CLIENT, SERVER, SERVICE_ADDRESS, Stage},
};
use anyhow::{Context, Result, ensure};
use mesh_model::port::{INBOUND, INBOUND_SOURCE_V4, OUTBOUND};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

/// How long descriptors may take to go back.
const SETTLING: Duration = Duration::from_secs(1);
/// How many more descriptors may be held then, by kept connections.
const MORE_DESCRIPTORS: usize = 4;
/// How long a proxy is watched for rest, and the hundredths of a second of a core that it may take meanwhile.
const REST: (Duration, u64) = (Duration::from_millis(500), 5);
/// Rounds that fill the workers' pools, before one is judged by what it leaves.
const WARM_UP: u64 = 4;

/// What must come of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Closed,
    Once,
}

struct Probe {
    from: &'static str,
    what: &'static str,
    to: SocketAddr,
    expected: Expected,
}

/// Plays it.
pub(super) fn play(stage: &Stage, ledger: &Path) -> Result<()> {
    let probes = probes(stage)?;
    let mut number = 0;
    for _ in 0..WARM_UP {
        for probe in &probes {
            answered(stage, ledger, probe, &mut number)?;
        }
    }
    sleep(SETTLING);
    let start = footprints(stage)?;
    for probe in &probes {
        let before = footprints(stage)?;
        let said = answered(stage, ledger, probe, &mut number)?;
        settled(stage, &before).with_context(|| format!("after {} {}", probe.from, probe.what))?;
        println!("{} to {} ({}): {said}", probe.from, probe.what, probe.to);
    }
    settled(stage, &start).context("after all of it")?;
    println!(
        "{} self-calls: footprints {:?}",
        probes.len(),
        footprints(stage)?
    );
    Ok(())
}

fn probes(stage: &Stage) -> Result<Vec<Probe>> {
    use Expected::{Closed, Once};
    let mut probes = Vec::new();
    for (from, other) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        let (own, other) = (stage.pod(from)?.address, stage.pod(other)?.address);
        let mut add = |what, to: (Ipv4Addr, u16), expected| {
            probes.push(Probe {
                from,
                what,
                to: to.into(),
                expected,
            });
        };
        for port in [OUTBOUND, INBOUND] {
            add("a capture port at its own address", (own, port), Closed);
            add(
                "a capture port at loopback",
                (Ipv4Addr::LOCALHOST, port),
                Closed,
            );
            add(
                "a capture port at the source of inbound connections",
                (INBOUND_SOURCE_V4, port),
                Closed,
            );
            add("a capture port of another pod", (other, port), Closed);
        }
        let served = if from == SERVER { Once } else { Closed };
        add(
            "the source of inbound connections",
            (INBOUND_SOURCE_V4, 80),
            served,
        );
        add("its own address", (own, 80), served);
        if from == SERVER {
            add("the Service that selects it", (SERVICE_ADDRESS, 80), Once);
        }
    }
    Ok(probes)
}

/// Calls once in HTTP, and, where nobody should answer, once in nothing that anybody knows.
fn answered(stage: &Stage, ledger: &Path, probe: &Probe, number: &mut u64) -> Result<Outcome> {
    *number += 1;
    let (visitor, header) = (
        Visitor::In(stage.pod(probe.from)?),
        format!("{}: {number}", crate::echo::REQUEST_NUMBER),
    );
    let outcome = visitor.ask(probe.to, "GET /", &["Host: nginx.test", &header])?;
    let arrived = Ledger::read(ledger)?.times(*number);
    let (good, times) = match probe.expected {
        Expected::Closed => (outcome.is_refusal(), 0),
        Expected::Once => (outcome.status() == Some(200), 1),
    };
    let (from, what) = (probe.from, probe.what);
    ensure!(
        good && arrived == times,
        "{from} to {what} ({}): {outcome}, and the request arrived {arrived} times, expected {:?}",
        probe.to,
        probe.expected
    );
    if probe.expected == Expected::Closed {
        let raw = visitor.send(probe.to, b"\0\x01\x02 nobody's protocol\n")?;
        ensure!(
            raw == Outcome::Closed,
            "{from} to {what} ({}), raw bytes: {raw}",
            probe.to
        );
    }
    Ok(outcome)
}

/// Those of both proxies.
pub(super) fn footprints(stage: &Stage) -> Result<[Footprint; 2]> {
    Ok([Footprint::of(stage, CLIENT)?, Footprint::of(stage, SERVER)?])
}

/// Both proxies hold what they held, and rest.
pub(super) fn settled(stage: &Stage, before: &[Footprint; 2]) -> Result<()> {
    let deadline = Instant::now() + SETTLING;
    loop {
        let now = footprints(stage)?;
        let grown = |(now, before): (&Footprint, &Footprint)| {
            now.descriptors > before.descriptors + MORE_DESCRIPTORS
        };
        if !now.iter().zip(before).any(grown) {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "descriptors grew: {now:?}, before {before:?}"
        );
        sleep(Duration::from_millis(50));
    }
    let (span, most) = REST;
    let deadline = Instant::now() + SETTLING;
    loop {
        let start = footprints(stage)?;
        sleep(span);
        let end = footprints(stage)?;
        let busy = |(end, start): (&Footprint, &Footprint)| end.cpu_ticks - start.cpu_ticks > most;
        if !end.iter().zip(&start).any(busy) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "a proxy does not rest: {start:?}, {span:?} later {end:?}"
        );
    }
}
