//! A sidecar whose clock is wrong: two minutes are not seen, more than a day keeps it from being ready, and its log says
//! that it is the time.
//!
//! The clock is that of Debian's libfaketime, for the sidecar alone; its timers run as they do.

use super::loss;
use crate::{
    netns::{
        Programs,
        container::User,
        pod::{Pod, SIDECAR},
    },
    stage::{CLIENT, Stage},
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// What is preloaded; this one is for programs of several threads.
const LIBRARY: &str = "libfaketimeMT.so.1";
/// How long a sidecar may take to say why it is not ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// A wrong clock, and what a log says of it.
struct Skew {
    name: &'static str,
    /// As `FAKETIME` has it.
    offset: &'static str,
    /// What rustls says of a certificate; `None` where nothing may be seen.
    complaint: Option<&'static str>,
}

const SKEWS: [Skew; 4] = [
    Skew {
        name: "fast2",
        offset: "+2m",
        complaint: None,
    },
    Skew {
        name: "slow2",
        offset: "-2m",
        complaint: None,
    },
    Skew {
        name: "fast25",
        offset: "+25h",
        complaint: Some("certificate expired"),
    },
    Skew {
        name: "slow25",
        offset: "-25h",
        complaint: Some("certificate not valid yet"),
    },
];

/// Plays it.
pub(crate) fn play() -> Result<()> {
    let found = library()?;
    let mut stage = Stage::pods(&Programs::beside_us()?, &|text| println!("{text}"))?;
    // Where every pod sees it.
    let library = stage.launcher.shared().join(LIBRARY);
    fs::copy(&found, &library).with_context(|| found.display().to_string())?;
    let ledger = loss::ledger_file(&stage.launcher.shared())?;
    for skew in &SKEWS {
        let pod = stage.server_pod_without_sidecar(skew.name)?;
        let mut command = pod.sidecar_command()?;
        command
            .env("LD_PRELOAD", &library)
            .env("FAKETIME", skew.offset)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        pod.start(SIDECAR, &mut command, User::PROXY)?;
        let name = pod.name().to_owned();
        match skew.complaint {
            None => invisible(&mut stage, &name, &ledger)?,
            Some(complaint) => refused(stage.launcher.pod_mut(&name)?, complaint)?,
        }
        println!("clock {}: as it has to be", skew.offset);
        drop(stage.launcher.remove(&name)?);
    }
    Ok(())
}

/// The pod gets ready, and answers over mutual TLS.
fn invisible(stage: &mut Stage, name: &str, ledger: &Path) -> Result<()> {
    stage.launcher.wait_ready(name)?;
    loss::serve(&mut stage.launcher, name, ledger)?;
    stage.launcher.endpoints(|pod| pod.name() == name)?;
    let address = stage.launcher.pod_mut(name)?.address;
    stage.wait_for_endpoint(address)?;
    let mut curl = Command::new("curl");
    curl.args(["-s", "--max-time", "5", "http://nginx.test/"]);
    let answer = stage.in_pod(CLIENT, User::APPLICATION, &mut curl)?;
    ensure!(answer.starts_with(name), "not from {name}: {answer}");
    ensure!(
        answer.contains("x-forwarded-client-cert"),
        "not over mutual TLS: {answer}"
    );
    Ok(())
}

/// The pod is not ready, and its log says why.
fn refused(pod: &Pod, complaint: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = fs::read_to_string(pod.log(SIDECAR))?;
        let is_it = |line: &&str| line.contains("cert_time") && line.contains(complaint);
        if let Some(line) = log.lines().find(is_it) {
            println!("  {line}");
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "{}: no `cert_time: … {complaint}` in\n{log}",
            pod.full_name()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let at = (pod.address, mesh_model::port::HEALTH).into();
    let ready = crate::netns::launcher::is_ready(at, "/healthz/ready");
    ensure!(ready.is_err(), "{} is ready all the same", pod.full_name());
    Ok(())
}

/// Looks in `LD_LIBRARY_PATH`, then where Debian puts it.
fn library() -> Result<PathBuf> {
    let more = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&more).collect();
    for entry in fs::read_dir("/usr/lib")? {
        folders.push(entry?.path().join("faketime"));
    }
    let mut paths = folders.into_iter().map(|folder| folder.join(LIBRARY));
    match paths.find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!("{LIBRARY} is not there\nhint: apt-get install faketime"),
    }
}
