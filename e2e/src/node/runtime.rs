//! containerd: its configuration, and where it pulls from.

use super::{Site, daemon::Daemon, network};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// What holds a pod's namespaces.
pub(super) const PAUSE: &str = "registry.k8s.io/pause:3.10.1";
/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

impl Site {
    /// Its socket.
    pub(super) fn runtime_socket(&self) -> PathBuf {
        self.state.join("containerd.sock")
    }

    /// Starts it with `mirror` in the place of every registry; it listens when this returns.
    pub(super) fn start_runtime(&self, mirror: SocketAddr) -> Result<Daemon> {
        let hosts = self.folder("registries/_default")?.join("hosts.toml");
        let host = format!("[host.\"http://{mirror}\"]\ncapabilities = [\"pull\", \"resolve\"]\n");
        fs::write(hosts, host)?;
        fs::write(
            self.folder("cni")?.join("mesh.conflist"),
            network::plugins(),
        )?;
        let config = self.file("containerd.toml", &self.runtime_config()?)?;
        let mut command = Command::new(self.parts.path("containerd"));
        let mut daemon = self.daemon("containerd", command.arg("--config").arg(config))?;
        let deadline = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(self.runtime_socket()).is_err() {
            if let Some(why) = daemon.ended() {
                bail!(why);
            }
            if Instant::now() > deadline {
                bail!(
                    "containerd does not listen within {PATIENCE:?}\n{}",
                    daemon.tail()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(daemon)
    }

    fn runtime_config(&self) -> Result<String> {
        let folder = |name: &str| -> Result<String> {
            let path = self.folder(name)?;
            Ok(path.to_str().context("a path in UTF-8")?.to_owned())
        };
        // `restrict_oom_score_adj`: a machine without CAP_SYS_RESOURCE lets nobody lower a score, and runc would fail.
        Ok(format!(
            r#"version = 2
root = "{root}"
state = "{state}"
[grpc]
address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{opt}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{network}"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{registries}"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{runc}"
SystemdCgroup = false
"#,
            root = folder("containerd")?,
            state = folder("containerd-run")?,
            socket = self.runtime_socket().display(),
            opt = folder("opt")?,
            plugins = self.parts.plugins()?.display(),
            network = folder("cni")?,
            registries = folder("registries")?,
            runc = self.parts.path("runc").display(),
        ))
    }
}
