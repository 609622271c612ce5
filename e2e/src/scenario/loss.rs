//! Under an open-loop load the server's pod is replaced (the new one ready before the old is told to end) and the
//! control plane is killed and restarted. Every request is answered, and arrives once.

use crate::{
    ledger::Ledger,
    load::Report,
    netns::{
        Launcher, Programs,
        container::{self, Process, User},
    },
    stage::{self, CLIENT, Stage},
};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const OLD: &str = "nginx-7c79c4bf97-7985c";
const NEW: &str = "nginx-7c79c4bf97-x2k9p";
/// When the load ends by itself, in seconds, if nobody ends it.
const MOST_SECONDS: u32 = 300;
/// How long a pod may take to end.
const GRACE: Duration = Duration::from_secs(30);

/// Plays it: 40 s in the long form, 15 s in the short one.
pub(crate) fn play(long: bool, rate: u32) -> Result<()> {
    let seconds: u32 = if long { 40 } else { 15 };
    let mut stage = Stage::pods(&Programs::beside_us()?, &|text| println!("{text}"))?;
    let ledger = ledger_file(&stage.launcher.shared())?;
    serve(&mut stage.launcher, OLD, &ledger)?;
    stage.launcher.endpoints(|pod| pod.name() == OLD)?;
    stage.wait_for_endpoint(stage::SERVER_ADDRESS)?;

    let report = stage.launcher.shared().join("report.json");
    let mut load = start_load(&mut stage.launcher, rate, &report)?;
    let start = Instant::now();
    let at = |percent: u32| {
        let due = Duration::from_secs(seconds.into()) * percent / 100;
        std::thread::sleep(due.saturating_sub(start.elapsed()));
    };
    let say = |text: &str| println!("{:>6} ms  {text}", start.elapsed().as_millis());

    at(20);
    replace(&mut stage, &ledger, &say)?;
    at(60);
    stage.launcher.kill_discovery();
    say("mesh-discovery killed");
    at(75);
    stage.launcher.start_discovery()?;
    say("mesh-discovery is back and ready");
    at(100);
    ensure!(load.ended().is_none(), "the load was over before the end");
    load.signal(Signal::SIGTERM);
    ensure!(load.wait(GRACE), "the load does not end");
    judge(&report, &ledger)
}

/// An empty ledger in the folder `private`, to which servers of any user may append.
pub(super) fn ledger_file(private: &Path) -> Result<PathBuf> {
    let path = private.join("ledger");
    fs::write(&path, "")?;
    fs::set_permissions(&path, Permissions::from_mode(0o666))?;
    Ok(path)
}

/// Starts the echo app in the pod `name`.
pub(super) fn serve(launcher: &mut Launcher, name: &str, ledger: &Path) -> Result<()> {
    let pod = launcher
        .pods
        .iter_mut()
        .find(|pod| pod.name() == name)
        .with_context(|| format!("no pod {name}"))?;
    let mut command = Command::new(container::program("mesh-e2e"));
    command
        .args(["echo", "--port", "80", "--name", name, "--ledger"])
        .arg(ledger);
    pod.start("nginx", &mut command, User::ROOT)?;
    launcher.wait_application(name, 80)
}

fn start_load(launcher: &mut Launcher, rate: u32, report: &Path) -> Result<Process> {
    let pod = launcher
        .pods
        .iter()
        .find(|pod| pod.name() == CLIENT)
        .context("the client's pod")?;
    let mut command = Command::new(container::program("mesh-e2e"));
    command.args([
        "load",
        "--url",
        "http://nginx.test/",
        "--rate",
        &rate.to_string(),
    ]);
    command
        .args(["--seconds", &MOST_SECONDS.to_string(), "--report"])
        .arg(report);
    container::enter(&mut command, pod.pid(), User::APPLICATION)?;
    Process::spawn("load".into(), &mut command)
}

/// As a rolling update does it: the new pod takes traffic before the old one is told to end.
fn replace(stage: &mut Stage, ledger: &Path, say: &dyn Fn(&str)) -> Result<()> {
    let address = stage.launcher.free_address();
    stage.another_server("x2k9p", address)?;
    serve(&mut stage.launcher, NEW, ledger)?;
    say("the new pod is ready");
    stage
        .launcher
        .endpoints(|pod| [OLD, NEW].contains(&pod.name()))?;
    stage.wait_for_endpoint(address)?;
    let mut old = stage.launcher.remove(OLD)?;
    stage.launcher.endpoints(|pod| pod.name() == NEW)?;
    say("the old pod is told to end");
    let orderly = old.terminate(GRACE);
    say("the old pod has ended");
    ensure!(orderly, "the old pod did not end within {GRACE:?}");
    Ok(())
}

fn judge(report: &Path, ledger: &Path) -> Result<()> {
    let report: Report = serde_json::from_slice(&fs::read(report)?)?;
    Ledger::read(ledger)?.judge(&report)
}
