//! `istio-init`: sets the rules that send the pod's traffic through its proxy, then ends.

use mesh_api::k8s::api::core::v1::{Capabilities, Container, SecurityContext};
use mesh_api::mesh_config::InterceptionMode;
use mesh_model::port;

use super::{INIT, Input, env, resources, strings};

/// The container, or `None` when the pod wants no capture.
pub(super) fn container(input: &Input<'_>) -> Option<Container> {
    let annotations = input.annotations;
    if annotations.config.interception_mode == InterceptionMode::None {
        return None;
    }
    let image = annotations
        .image
        .as_ref()
        .unwrap_or(&input.settings.images.init);
    Some(Container {
        args: Some(args(input)),
        env: env::metadata(input),
        image: Some(image.clone()),
        image_pull_policy: input.settings.image_pull_policy.clone(),
        name: INIT.to_owned(),
        resources: Some(resources(&annotations.resources)),
        security_context: Some(security_context()),
        ..Container::default()
    })
}

fn args(input: &Input<'_>) -> Vec<String> {
    let capture = &input.annotations.capture;
    let (outbound, inbound, uid) = (
        port::OUTBOUND.to_string(),
        port::INBOUND.to_string(),
        port::PROXY_UID.to_string(),
    );
    let excluded = excluded_inbound_ports(input);
    let always = [
        ["-p", &outbound],
        ["-z", &inbound],
        ["-u", &uid],
        ["-m", input.annotations.config.interception_mode.as_str()],
        ["-i", &capture.include_outbound_ip_ranges],
        ["-x", &capture.exclude_outbound_ip_ranges],
        ["-b", &capture.include_inbound_ports],
        ["-d", &excluded],
    ];
    let if_set = [
        ["-o", &capture.exclude_outbound_ports],
        ["-q", &capture.include_outbound_ports],
        ["-c", &capture.exclude_interfaces],
        ["-k", &capture.kubevirt_interfaces],
    ];
    let mut args = vec!["istio-iptables".to_owned()];
    args.extend(always.into_iter().flatten().map(str::to_owned));
    args.extend(
        if_set
            .into_iter()
            .filter(|[_, value]| !value.is_empty())
            .flatten()
            .map(str::to_owned),
    );
    args.push(format!(
        "--log_output_level={}",
        input.annotations.agent_log_level
    ));
    args
}

/// The ports of the proxy itself, then those that settings or the pod exclude.
fn excluded_inbound_ports(input: &Input<'_>) -> String {
    let mut ports = vec![port::PROMETHEUS.to_string(), port::HEALTH.to_string()];
    let status = input.annotations.config.status_port;
    let own = (status != 0).then(|| status.to_string());
    let excluded = input
        .annotations
        .capture
        .exclude_inbound_ports
        .split(',')
        .map(str::to_owned);
    for port in own.into_iter().chain(excluded) {
        if !port.is_empty() && !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports.join(",")
}

/// Root, but with nothing that setting rules does not need.
fn security_context() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            add: Some(strings(["NET_ADMIN", "NET_RAW"])),
            drop: Some(strings(["ALL"])),
        }),
        privileged: Some(false),
        read_only_root_filesystem: Some(false),
        run_as_group: Some(0),
        run_as_non_root: Some(false),
        run_as_user: Some(0),
        ..SecurityContext::default()
    }
}
