//! The pods: two with mesh-proxy, one with a plain Envoy, one with no sidecar; the echo app in each.

use super::{Direction, case::Port};
use crate::{
    envoy,
    netns::{
        Launcher, Programs,
        container::{self, User},
        objects,
        pod::{Pod, SIDECAR},
    },
    stage::documents,
};
use anyhow::{Context, Result, bail};
use mesh_model::port;
use serde_json::Value;
use std::{
    fmt,
    net::Ipv4Addr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// How long the control plane's news may take to reach a proxy.
const PATIENCE: Duration = Duration::from_secs(30);

/// What carries a pod's traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataPlane {
    MeshProxy,
    Envoy,
    None,
}

impl fmt::Display for DataPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MeshProxy => "mesh-proxy",
            Self::Envoy => "envoy",
            Self::None => "plain",
        })
    }
}

/// A Deployment of one pod, with Services of its name.
#[derive(Clone, Copy)]
pub(super) struct Workload {
    /// Its name, and that of its service account.
    pub(super) name: &'static str,
    /// Its sidecar.
    pub(super) plane: DataPlane,
}

/// Called by all, calls others.
pub(super) const ONE: Workload = workload("one", DataPlane::MeshProxy);
/// Called by all.
pub(super) const TWO: Workload = workload("two", DataPlane::MeshProxy);
/// The one with Envoy.
pub(super) const ENVOY: Workload = workload("envoy", DataPlane::Envoy);
/// The one outside of the mesh, which only calls.
pub(super) const PLAIN: Workload = workload("plain", DataPlane::None);

const fn workload(name: &'static str, plane: DataPlane) -> Workload {
    Workload { name, plane }
}

impl Workload {
    fn pod(self) -> String {
        format!("{}-5d8f7c9b4-m3t7z", self.name)
    }

    /// The name of its Service for `port`.
    pub(super) fn host(self, port: Port) -> String {
        format!("{}{}.test.svc.cluster.local", self.name, port.suffix)
    }

    /// The container of its sidecar.
    pub(super) fn sidecar(self) -> Option<&'static str> {
        match self.plane {
            DataPlane::MeshProxy => Some(SIDECAR),
            DataPlane::Envoy => Some("envoy"),
            DataPlane::None => None,
        }
    }
}

/// The running cluster.
pub(super) struct Cluster {
    launcher: Launcher,
}

impl Cluster {
    /// Sets it up: all applications run, and the control plane knows of them.
    pub(super) fn start(envoy: &Path, say: &dyn Fn(&str)) -> Result<Self> {
        let mut launcher = Launcher::new(&Programs::beside_us()?)?;
        launcher.namespace("test", &[("istio-injection", "enabled")])?;
        launcher.namespace("outside", &[])?;
        // All Services first: the names in a pod's hosts file are those that there are when it starts.
        let mut deployments = Vec::new();
        for (number, workload) in (1..).zip([ONE, TWO, ENVOY]) {
            let manifest = include_str!("../../../manifests/protocols.yaml");
            let [account, deployment, service, sniffed] =
                documents(&manifest.replace("NAME", workload.name))?;
            launcher.object(&account)?;
            launcher.object(&deployment)?;
            launcher.service(service, Ipv4Addr::new(10, 102, number, 1))?;
            launcher.service(sniffed, Ipv4Addr::new(10, 102, number, 2))?;
            deployments.push((workload, deployment));
        }
        launcher.start_discovery()?;
        let mut outside = deployments[0].1.clone();
        outside["metadata"]["name"] = PLAIN.name.into();
        outside["metadata"]["namespace"] = "outside".into();
        outside["spec"]["template"]["spec"]["serviceAccountName"] = "default".into();
        deployments.push((PLAIN, outside));
        for (workload, deployment) in deployments {
            say(&format!("pod {}", workload.pod()));
            start(&mut launcher, workload, &deployment, envoy)?;
        }
        for workload in [ONE, TWO] {
            launcher.wait_ready(&workload.pod())?;
        }
        for workload in [ONE, TWO, ENVOY] {
            launcher.wait_application(&workload.pod(), 8080)?;
        }
        launcher.endpoints(|_| true)?;
        Ok(Self { launcher })
    }

    /// The pod of `workload`.
    pub(super) fn pod(&self, workload: Workload) -> Result<&Pod> {
        let mut pods = self.launcher.pods.iter();
        pods.find(|pod| pod.name() == workload.pod())
            .with_context(|| format!("no pod {}", workload.pod()))
    }

    /// What `command` prints in the pod of `workload`.
    pub(super) fn run(&self, workload: Workload, command: &mut Command) -> Result<String> {
        let output = self.pod(workload)?.output(command, User::APPLICATION)?;
        if !output.status.success() {
            bail!(
                "{}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What `path` on `port` of loopback says in the pod of `workload`.
    pub(super) fn get(&self, workload: Workload, port: u16, path: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:{port}{path}");
        self.run(
            workload,
            Command::new("curl").args(["-sSf", "--max-time", "5", &url]),
        )
    }

    /// Host and port by which the client reaches the server: its Service, or, where nothing turns the address of a
    /// Service into that of a pod, the pod.
    pub(super) fn address(&self, direction: Direction, port: Port) -> Result<String> {
        Ok(match direction.client.plane {
            DataPlane::None => format!("{}:{}", self.pod(direction.server)?.address, port.target),
            _ => format!("{}:{}", direction.server.host(port), port.number),
        })
    }

    /// Waits until the client's sidecar knows where each port of the server is.
    pub(super) fn wait_for_endpoints(&self, direction: Direction) -> Result<()> {
        if direction.client.plane == DataPlane::None {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.get(direction.client, port::ADMIN, "/clusters?format=json")?;
            let missing = without_endpoint(&serde_json::from_str(&text)?, direction.server);
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let log = self.pod(direction.client)?.last_lines();
                bail!("{direction}: no endpoint of {missing:?} within {PATIENCE:?}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The server's clusters that have no host.
fn without_endpoint(clusters: &Value, server: Workload) -> Vec<String> {
    let hosts = |name: &str| {
        let mut all = clusters["cluster_statuses"]
            .as_array()
            .into_iter()
            .flatten();
        let found = all.find(|cluster| cluster["name"] == name);
        found
            .and_then(|cluster| cluster["host_statuses"].as_array())
            .map_or(0, Vec::len)
    };
    super::case::CASES
        .iter()
        .map(|case| format!("outbound|{}||{}", case.port.number, server.host(case.port)))
        .filter(|name| hosts(name) == 0)
        .collect()
}

fn start(
    launcher: &mut Launcher,
    workload: Workload,
    deployment: &Value,
    envoy: &Path,
) -> Result<()> {
    let pod = objects::pod_of(deployment, "5d8f7c9b4", "m3t7z");
    let address = launcher.free_address();
    let pod = match workload.plane {
        DataPlane::MeshProxy => launcher.pod(&pod, address)?,
        DataPlane::Envoy => envoy::pod(launcher, &pod, address, envoy, None)?,
        DataPlane::None => return launcher.captured_pod(&pod, address).map(drop),
    };
    let mut echo = Command::new(container::program("mesh-e2e"));
    echo.args(["echo", "--port", "8080", "--name", workload.name]);
    for port in ["8081", "8082", "9000", "8090"] {
        echo.args(["--any-port", port]);
    }
    pod.start("echo", echo.args(["--greeting-port", "9001"]), User::ROOT)
}
