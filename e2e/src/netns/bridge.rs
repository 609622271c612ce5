//! The network that pods are on: a bridge, and a pair of devices for each pod.

use anyhow::{Context, Result, bail};
use std::{net::Ipv4Addr, process::Command};

/// Address of the bridge, which is the pods' gateway and where the control plane listens.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// Length of the pods' prefix.
const PREFIX: u8 = 16;
const BRIDGE: &str = "mesh0";

/// Makes the bridge in the network namespace that we are in.
pub(crate) fn make() -> Result<()> {
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    ip(&["addr", "add", &format!("{GATEWAY}/{PREFIX}"), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])
}

/// Connects the namespace of process `pid` with the address `address`.
pub(crate) fn connect(pid: u32, address: Ipv4Addr) -> Result<()> {
    let (outside, pid) = (format!("veth{pid}"), pid.to_string());
    ip(&[
        "link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &pid,
    ])?;
    ip(&["link", "set", &outside, "master", BRIDGE, "up"])?;
    let inside = |arguments: &[&str]| {
        run(Command::new("nsenter")
            .args(["-t", &pid, "-n", "--", "ip"])
            .args(arguments))
    };
    inside(&["link", "set", "lo", "up"])?;
    inside(&["addr", "add", &format!("{address}/{PREFIX}"), "dev", "eth0"])?;
    inside(&["link", "set", "eth0", "up"])?;
    // Service addresses are no pod's: they leave by the default route, and so pass OUTPUT.
    inside(&["route", "add", "default", "via", &GATEWAY.to_string()])
}

fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
