//! With the control plane down running pods serve; a new pod waits, unready, and says why; when the control plane is
//! back, it becomes ready.

use crate::{
    netns::{Programs, container::User, launcher::is_ready},
    stage::{CLIENT, Stage},
};
use anyhow::{Context, Result, ensure};
use mesh_model::port;
use std::{process::Command, time::Duration};

const LATE: &str = "nginx-7c79c4bf97-late1";

/// Plays it.
pub(crate) fn play() -> Result<()> {
    let mut stage = Stage::set(&Programs::beside_us()?, &|text| println!("{text}"))?;
    stage.launcher.kill_discovery();
    println!("mesh-discovery killed");
    for number in 0..20 {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--max-time",
            "5",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "http://nginx.test",
        ]);
        let status = stage.in_pod(CLIENT, User::APPLICATION, &mut curl)?;
        ensure!(
            status == "200",
            "request {number} without a control plane: {status}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("running pods serve");
    let address = stage.launcher.free_address();
    stage.start_server_pod("late1", address)?;
    let late = stage
        .launcher
        .pods
        .iter_mut()
        .find(|pod| pod.name() == LATE)
        .context("the late pod")?;
    late.wait("a reason on 15021", Duration::from_secs(20), |pod| {
        match is_ready((pod.address, port::HEALTH).into(), "/healthz/ready") {
            Ok(()) => Err("it says that it is ready".into()),
            // Not only that something is missing, but from where.
            Err(why) if why.contains("503") && why.contains("15012") => {
                println!("a new pod waits: {why}");
                Ok(())
            }
            Err(why) => Err(why),
        }
    })?;
    stage.launcher.start_discovery()?;
    stage.launcher.wait_ready(LATE)?;
    println!("and is ready once mesh-discovery is back");
    Ok(())
}
