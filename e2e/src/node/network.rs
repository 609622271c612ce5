//! The bridge that pods are on, and the node's own address on it.
//!
//! The CNI plugin `bridge` adopts it. It is there before the API server, which is told its address.

use super::{ADDRESS, PODS};
use anyhow::{Context, Result, anyhow, bail};
use std::{fs, process::Command};

const BRIDGE: &str = "cni0";

/// Makes it in the network namespace that we are in, and has the kernel forward.
pub(crate) fn make() -> Result<()> {
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    ip(&["addr", "add", &format!("{ADDRESS}/24"), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])?;
    // So that what is sent to anywhere else finds a route, and is refused rather than unroutable.
    ip(&["route", "add", "default", "via", &ADDRESS.to_string()])?;
    set("net/ipv4/ip_forward", "1")?;
    // Where bridges never pass iptables, pods of one node reach each other, but not by a Service's address.
    set("net/bridge/bridge-nf-call-iptables", "1")
        .map_err(|error| anyhow!("{error:#}\nhint: modprobe br_netfilter, on the machine itself"))
}

/// Configuration of the CNI plugins.
pub(crate) fn plugins() -> String {
    serde_json::json!({
        "cniVersion": "0.4.0",
        "name": "mesh",
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
    .to_string()
}

fn set(name: &str, value: &str) -> Result<()> {
    let path = format!("/proc/sys/{name}");
    fs::write(&path, value).context(path)
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("ip")?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("ip {}: {}", arguments.join(" "), complaint.trim());
    }
    Ok(())
}
