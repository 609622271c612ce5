//! One of the two, as a process with a bootstrap of its own.

use super::{case::Case, server::Servers};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};

/// How long a process may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long lines of the log may be late.
const LATE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(10);

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Envoy,
    Ours,
}

/// mesh-proxy, which stands beside us.
pub(super) fn ours() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("mesh-proxy");
    match program.is_file() {
        true => Ok(program),
        false => bail!("{} is not there\nhint: cargo build", program.display()),
    }
}

/// One that runs. Ends when it is dropped.
pub(super) struct Plane {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Plane {
    /// Starts it; the inner error if it refuses its configuration.
    ///
    /// # Errors
    /// If it can't be started.
    pub(super) async fn start(
        case: &Case,
        kind: Kind,
        program: &Path,
        servers: &Servers,
    ) -> Result<Result<Self, String>> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let log = folder.path().join("access.log");
        let bootstrap = folder.path().join("bootstrap.json");
        fs::write(
            &bootstrap,
            bootstrap_of(case, port, &log, servers).to_string(),
        )?;
        let complaint = fs::File::create(folder.path().join("complaint"))?;
        let mut command = Command::new(program);
        command.arg("--config-path").arg(&bootstrap);
        command.args(["--concurrency", "1", "--log-level", "error"]);
        if kind == Kind::Envoy {
            command.args(["--disable-hot-restart", "--file-flush-interval-msec", "10"]);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(complaint);
        let process = command
            .spawn()
            .with_context(|| program.display().to_string())?;
        let mut plane = Self {
            process,
            port,
            folder,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if plane.process.try_wait()?.is_some() {
                let complaint = fs::read_to_string(plane.folder.path().join("complaint"))?;
                return Ok(Err(complaint));
            }
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(Ok(plane));
            }
            if Instant::now() > deadline {
                bail!("{} does not listen", program.display());
            }
            sleep(LOOK).await;
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The access log, once it has `count` lines, or does not get them.
    pub(super) async fn log(&self, count: usize) -> Result<Vec<String>> {
        let deadline = Instant::now() + LATE;
        loop {
            let text = fs::read_to_string(self.folder.path().join("access.log"));
            let text = text.unwrap_or_default();
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            if lines.len() >= count || Instant::now() > deadline {
                return Ok(lines);
            }
            sleep(LOOK).await;
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// If it has ended by itself.
    pub(super) async fn stop(mut self) -> Result<()> {
        if let Some(status) = self.process.try_wait()? {
            let complaint = fs::read_to_string(self.folder.path().join("complaint"))?;
            bail!("it has ended: {status}: {complaint}");
        }
        Ok(())
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The same for both, but for ports and folders.
fn bootstrap_of(case: &Case, port: u16, log: &Path, servers: &Servers) -> Value {
    let clusters: Vec<_> = servers
        .0
        .iter()
        .map(|(name, servers)| {
            let endpoints: Vec<_> = servers
                .iter()
                .map(|server| json!({"endpoint": {"address": socket(server.address.port())}}))
                .collect();
            let mut cluster = object(json!({
                "name": name,
                "type": "STATIC",
                "connect_timeout": "1s",
                "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
            }));
            cluster.extend(case.clusters.get(name).cloned().unwrap_or_default());
            Value::Object(cluster)
        })
        .collect();
    let virtual_hosts = match case.virtual_hosts.is_empty() {
        true => json!([{"name": "all", "domains": ["*"], "routes": case.routes}]),
        false => json!(case.virtual_hosts),
    };
    let mut routes = object(json!({"name": "routes", "virtual_hosts": virtual_hosts}));
    routes.extend(case.route_config.clone());
    let mut filters = case.filters.clone();
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }));
    let mut manager = object(json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "route_config": routes,
        "http_filters": filters,
        "access_log": [access_log(log)],
    }));
    manager.extend(case.manager.clone());
    json!({
        "static_resources": {
            "listeners": [{
                "name": "test",
                "address": socket(port),
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": manager,
                }]}],
            }],
            "clusters": clusters,
        },
    })
}

fn access_log(file: &Path) -> Value {
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": file,
            "log_format": {"json_format": {
                "authority": "%REQ(:AUTHORITY)%",
                "cluster": "%UPSTREAM_CLUSTER%",
                "code": "%RESPONSE_CODE%",
                "details": "%RESPONSE_CODE_DETAILS%",
                "flags": "%RESPONSE_FLAGS%",
                "host": "%UPSTREAM_HOST%",
                "method": "%REQ(:METHOD)%",
                "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
                "protocol": "%PROTOCOL%",
                "received": "%BYTES_RECEIVED%",
                "route": "%ROUTE_NAME%",
                "sent": "%BYTES_SENT%",
                "termination": "%CONNECTION_TERMINATION_DETAILS%",
            }},
        },
    })
}

fn socket(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

/// The map in a JSON object.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
