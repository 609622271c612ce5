//! The cluster that demo and scenarios play on: a client, a server behind a Service, and a Service with a port named http.

use crate::netns::{
    Launcher, Programs,
    container::{self, User},
    objects,
    pod::Pod,
};
use anyhow::{Context, Result, bail};
use mesh_api::yaml;
use serde_json::Value;
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// The client's pod.
pub(crate) const CLIENT: &str = "test-f5b5d48b5-qdzft";
/// The server's pod.
pub(crate) const SERVER: &str = "nginx-7c79c4bf97-7985c";
/// Address of the server's Service.
pub(crate) const SERVICE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 102, 168, 134);
/// Address of the server's pod.
pub(crate) const SERVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 73);
/// Address of the other Service.
const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 96, 57, 159);
/// How long the control plane's news may take to reach a proxy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The running cluster.
pub(crate) struct Stage {
    /// The cluster.
    pub(crate) launcher: Launcher,
    server: Value,
}

impl Stage {
    /// Sets it up, with nginx (or the echo app) in the server's pod: everything is ready when this returns.
    pub(crate) fn set(programs: &Programs, say: &dyn Fn(&str)) -> Result<Self> {
        let mut stage = Self::pods(programs, say)?;
        start_server(&mut stage.launcher)?;
        stage.launcher.endpoints(|pod| pod.name() == SERVER)?;
        stage.wait_for_endpoint(SERVER_ADDRESS)?;
        Ok(stage)
    }

    /// Sets up the pods with their sidecars; no application runs in the server's yet.
    pub(crate) fn pods(programs: &Programs, say: &dyn Fn(&str)) -> Result<Self> {
        say("bridge, namespaces, objects");
        let mut launcher = Launcher::new(programs)?;
        launcher.namespace("default", &[])?;
        launcher.namespace("test", &[("istio-injection", "enabled")])?;
        let [client, server] = article(&mut launcher)?;
        launcher.endpoints(|_| false)?;
        say("mesh-discovery");
        launcher.start_discovery()?;
        let mut stage = Self { launcher, server };
        say(&format!("pod {SERVER}"));
        stage.start_server_pod("7985c", SERVER_ADDRESS)?;
        say(&format!("pod {CLIENT}"));
        let address = stage.launcher.free_address();
        stage
            .launcher
            .pod(&objects::pod_of(&client, "f5b5d48b5", "qdzft"), address)?;
        stage.launcher.wait_ready(SERVER)?;
        stage.launcher.wait_ready(CLIENT)?;
        Ok(stage)
    }

    /// Starts a pod of the server's Deployment, without waiting for it.
    pub(crate) fn start_server_pod(&mut self, suffix: &str, address: Ipv4Addr) -> Result<()> {
        self.launcher
            .pod(
                &objects::pod_of(&self.server, "7c79c4bf97", suffix),
                address,
            )
            .map(drop)
    }

    /// As [`Stage::start_server_pod`], at a free address, without starting a sidecar.
    pub(crate) fn server_pod_without_sidecar(&mut self, suffix: &str) -> Result<&mut Pod> {
        let address = self.launcher.free_address();
        let pod = objects::pod_of(&self.server, "7c79c4bf97", suffix);
        self.launcher.captured_pod(&pod, address)
    }

    /// Starts a pod of the server's Deployment and waits until its sidecar is ready.
    pub(crate) fn another_server(&mut self, suffix: &str, address: Ipv4Addr) -> Result<()> {
        self.start_server_pod(suffix, address)?;
        self.launcher
            .wait_ready(&format!("nginx-7c79c4bf97-{suffix}"))
    }

    /// Waits until the client's proxy knows `address` as an endpoint of the server's Service.
    pub(crate) fn wait_for_endpoint(&self, address: Ipv4Addr) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let cluster = "outbound|80||nginx.test.svc.cluster.local";
        loop {
            let table = self.meshctl(&[
                "-n",
                "test",
                "proxy-config",
                "endpoint",
                CLIENT,
                "--cluster",
                cluster,
            ]);
            if table
                .as_ref()
                .is_ok_and(|table| table.contains(&address.to_string()))
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "the client's proxy does not learn of {address} within {PATIENCE:?}: {table:?}"
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What meshctl prints.
    pub(crate) fn meshctl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.launcher.private().join("bin/meshctl"));
        text(command.args(arguments))
    }

    /// What a command prints in the pod `name`.
    pub(crate) fn in_pod(&self, name: &str, user: User, command: &mut Command) -> Result<String> {
        container::enter(command, self.pod(name)?.pid(), user)?;
        text(command)
    }

    /// The pod `name`.
    pub(crate) fn pod(&self, name: &str) -> Result<&Pod> {
        let mut pods = self.launcher.pods.iter();
        pods.find(|pod| pod.name() == name)
            .with_context(|| format!("no pod {name}"))
    }
}

/// Creates Deployments and Services of the cluster; returns the Deployments of client and server.
pub(crate) fn article(launcher: &mut Launcher) -> Result<[Value; 2]> {
    let [server, service] = documents(include_str!("../manifests/nginx.yaml"))?;
    let [client, other] = documents(include_str!("../manifests/client.yaml"))?;
    launcher.object(&server)?;
    launcher.object(&client)?;
    launcher.service(service, SERVICE_ADDRESS)?;
    launcher.service(other, OTHER_ADDRESS)?;
    Ok([client, server])
}

fn text(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The documents of a manifest, of which there are `N`.
pub(crate) fn documents<const N: usize>(manifest: &str) -> Result<[Value; N]> {
    let all: Vec<Value> = manifest
        .split("\n---\n")
        .map(yaml::from_str)
        .collect::<Result<_, _>>()?;
    all.try_into()
        .map_err(|all: Vec<_>| anyhow::anyhow!("{} documents instead of {N}", all.len()))
}

/// Debian's nginx, if the machine has it.
pub(crate) fn nginx_program() -> Option<&'static str> {
    ["/usr/sbin/nginx", "/usr/bin/nginx"]
        .into_iter()
        .find(|path| Path::new(path).is_file())
}

/// nginx with its defaults and one worker, but every file in `folder`; `servers` are its `server` blocks.
pub(crate) fn nginx(program: &str, folder: &Path, servers: &str) -> Result<Command> {
    fs::create_dir_all(folder)?;
    let configuration = folder.join("nginx.conf");
    fs::write(&configuration, nginx_configuration(folder, servers))?;
    let mut command = Command::new(program);
    command
        .arg("-c")
        .arg(configuration)
        .args(["-g", "daemon off;"]);
    Ok(command)
}

fn start_server(launcher: &mut Launcher) -> Result<()> {
    let folder = launcher.shared().join("nginx");
    let pod = launcher
        .pods
        .iter_mut()
        .find(|pod| pod.name() == SERVER)
        .context("the server's pod")?;
    let mut command = match nginx_program() {
        Some(program) => nginx(program, &folder, WELCOME)?,
        None => {
            let mut command = Command::new(container::program("mesh-e2e"));
            command.args(["echo", "--port", "80", "--name", "nginx"]);
            command
        }
    };
    pod.start("nginx", &mut command, User::ROOT)?;
    launcher.wait_application(SERVER, 80)
}

const WELCOME: &str = r#"server { listen 80; location / { return 200 "<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n</head>\n</html>\n"; } }"#;

fn nginx_configuration(folder: &Path, servers: &str) -> String {
    let folder = folder.display();
    format!(
        "user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  default_type text/html;
  {servers}
}}
"
    )
}
