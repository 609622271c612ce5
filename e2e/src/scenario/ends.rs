//! The containers of a pod end in each of the orders that Kubernetes knows, under an open-loop load. Every request is
//! answered and arrives once, and what the ending pod itself still asks for is answered until its application is gone.
//!
//! ```text
//! native                 the application after the pause that injection gives it (`preStop`), then the sidecar
//! classic                the sidecar at once, the application after its pause
//! paused-both            both after a pause
//! native-without-pause   the application at once, then the sidecar
//! classic-without-pause  both at once
//! ```
//!
//! Without the pause a server may close a connection with a request on its way, which no proxy can mend: those two rounds, and
//! no other, excuse a few of the requests that must not be sent again.

use super::loss;
use crate::{
    ledger::{Ledger, Unavoidable},
    load::Report,
    netns::{
        Programs,
        container::{self, Process, User},
        pod::{Pod, SIDECAR},
    },
    stage::{self, CLIENT, Stage},
};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// How long a pod may take to end.
const GRACE: Duration = Duration::from_secs(30);
/// When a round's load ends by itself, in seconds, if nobody ends it.
const MOST_SECONDS: u32 = 120;
/// How long it goes on when the old pod has ended.
const AFTER: Duration = Duration::from_secs(1);
/// Seconds after its start at which the old pod begins to end.
const BEGIN: Duration = Duration::from_millis(1500);
/// What the old pod asks for itself: requests each second, from a second before its end begins.
const CALLS: u32 = 50;
/// How long it does so.
const CALLS_SECONDS: u32 = 5;
/// Numbers of one round's requests.
const ROUND: u64 = 1_000_000;
/// The application's container.
const APPLICATION: &str = "nginx";
/// The container of what the old pod asks for itself, a part of its application.
const CALLER: &str = "caller";

/// Who is told when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Native,
    Classic,
    PausedBoth,
    NativeWithoutPause,
    ClassicWithoutPause,
}

impl Order {
    const ALL: [Self; 5] = [
        Self::Native,
        Self::Classic,
        Self::PausedBoth,
        Self::NativeWithoutPause,
        Self::ClassicWithoutPause,
    ];

    /// What this order may cost, as no proxy can mend it.
    fn unavoidable(self) -> Option<Unavoidable> {
        // A POST that is under way to the application when this closes its idle connection. Whether it was read is not
        // known, thus it is not sent again.
        let closed = Unavoidable {
            method: "POST",
            answer: "connection termination",
            most: 10,
        };
        matches!(self, Self::NativeWithoutPause | Self::ClassicWithoutPause).then_some(closed)
    }
}

/// Plays all orders, about a minute.
pub(crate) fn play(rate: u32) -> Result<()> {
    let mut stage = Stage::pods(&Programs::beside_us()?, &|text| println!("{text}"))?;
    let ledger = loss::ledger_file(&stage.launcher.shared())?;
    let mut old = stage::SERVER.to_owned();
    loss::serve(&mut stage.launcher, &old, &ledger)?;
    let mut worst = Vec::new();
    for (number, order) in (1..).zip(Order::ALL) {
        let mut round = Round {
            old,
            new: format!("nginx-7c79c4bf97-ends{number}"),
            order,
            first: number * ROUND,
        };
        println!("{order:?}");
        // The other orders are still seen when one fails.
        if let Err(error) = round.play(&mut stage, &ledger, rate) {
            worst.push(format!("{order:?}: {error:#}"));
        }
        old = std::mem::take(&mut round.new);
    }
    ensure!(worst.is_empty(), "{}", worst.join("\n"));
    Ok(())
}

/// The replacement of one pod by another.
struct Round {
    old: String,
    new: String,
    order: Order,
    /// Number of its first request.
    first: u64,
}

impl Round {
    fn play(&self, stage: &mut Stage, ledger: &Path, rate: u32) -> Result<()> {
        self.prepare(stage, ledger)?;
        let from_client = Load::new(stage, "client", self.first, rate, MOST_SECONDS);
        let mut load = from_client.start(stage)?;
        let start = Instant::now();
        let from_old = Load::new(stage, "old", self.first + ROUND / 2, CALLS, CALLS_SECONDS);
        std::thread::sleep(BEGIN.saturating_sub(Duration::from_secs(1)));
        stage.launcher.pod_mut(&self.old)?.start(
            CALLER,
            &mut from_old.command(),
            User::APPLICATION,
        )?;
        std::thread::sleep(BEGIN.saturating_sub(start.elapsed()));
        let ended = self.end(stage);
        std::thread::sleep(AFTER);
        ensure!(load.ended().is_none(), "the load was over before the pod");
        load.signal(Signal::SIGTERM);
        ensure!(load.wait(GRACE), "the load does not end");
        // Whoever is late is judged after its requests, which say more.
        let ledger = Ledger::read(ledger)?;
        println!("  requests to the pods");
        ledger.judge_but(&from_client.report()?, self.order.unavoidable())?;
        println!("  requests of the ending pod");
        ledger.judge_but(&from_old.report()?, None)?;
        ended
    }

    /// The new pod is ready, and takes traffic beside the old one.
    fn prepare(&self, stage: &mut Stage, ledger: &Path) -> Result<()> {
        let address = stage.launcher.free_address();
        let suffix = self.new.rsplit('-').next().unwrap_or_default();
        stage.another_server(suffix, address)?;
        loss::serve(&mut stage.launcher, &self.new, ledger)?;
        stage
            .launcher
            .endpoints(|pod| [&*self.old, &*self.new].contains(&pod.name()))?;
        stage.wait_for_endpoint(address)
    }

    /// Withdraws the old pod and ends its containers.
    fn end(&self, stage: &mut Stage) -> Result<()> {
        stage.launcher.endpoints(|pod| pod.name() == self.new)?;
        let orderly = End::of(stage.launcher.pod_mut(&self.old)?).run(self.order);
        drop(stage.launcher.remove(&self.old)?);
        orderly
    }
}

/// A pod that ends.
struct End<'a> {
    pod: &'a mut Pod,
    start: Instant,
}

impl<'a> End<'a> {
    fn of(pod: &'a mut Pod) -> Self {
        Self {
            pod,
            start: Instant::now(),
        }
    }

    fn run(&mut self, order: Order) -> Result<()> {
        let pause = self
            .pod
            .pause(APPLICATION)
            .context("injection gives a server no pause")?;
        match order {
            Order::Native | Order::NativeWithoutPause => {
                if order == Order::Native {
                    std::thread::sleep(pause);
                }
                self.tell(APPLICATION);
                self.wait(APPLICATION)?;
                // A native sidecar is told when all others are gone.
                self.wait(CALLER)?;
                self.tell(SIDECAR);
            }
            Order::Classic => {
                self.tell(SIDECAR);
                std::thread::sleep(pause);
                self.tell(APPLICATION);
            }
            Order::PausedBoth | Order::ClassicWithoutPause => {
                if order == Order::PausedBoth {
                    std::thread::sleep(pause);
                }
                self.tell(SIDECAR);
                self.tell(APPLICATION);
            }
        }
        [APPLICATION, CALLER, SIDECAR]
            .iter()
            .try_for_each(|name| self.wait(name))
    }

    fn tell(&self, container: &str) {
        self.pod.tell_to_end(container);
        println!("{:>6} ms  SIGTERM to {container}", self.milliseconds());
    }

    fn wait(&mut self, container: &str) -> Result<()> {
        let left = GRACE.saturating_sub(self.start.elapsed());
        let Some(orderly) = self.pod.wait_for_end(container, left) else {
            return Ok(());
        };
        println!("{:>6} ms  {container} has ended", self.milliseconds());
        ensure!(orderly, "{container} did not end within {GRACE:?}");
        Ok(())
    }

    fn milliseconds(&self) -> u128 {
        self.start.elapsed().as_millis()
    }
}

/// Requests of one pod in one round.
struct Load {
    first: u64,
    rate: u32,
    seconds: u32,
    report: PathBuf,
}

impl Load {
    fn new(stage: &Stage, of: &str, first: u64, rate: u32, seconds: u32) -> Self {
        let report = format!("report-{of}-{first}.json");
        Self {
            first,
            rate,
            seconds,
            report: stage.launcher.shared().join(report),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(container::program("mesh-e2e"));
        command
            .args(["load", "--url", "http://nginx.test/"])
            .args(["--first", &self.first.to_string()])
            .args(["--rate", &self.rate.to_string()])
            .args(["--seconds", &self.seconds.to_string(), "--report"])
            .arg(&self.report);
        command
    }

    /// Starts it in the client's pod.
    fn start(&self, stage: &mut Stage) -> Result<Process> {
        let mut command = self.command();
        let pod = stage.launcher.pod_mut(CLIENT)?;
        container::enter(&mut command, pod.pid(), User::APPLICATION)?;
        Process::spawn("load".into(), &mut command)
    }

    fn report(&self) -> Result<Report> {
        Ok(serde_json::from_slice(&fs::read(&self.report)?)?)
    }
}
