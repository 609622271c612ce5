//! `istio-init`: sets the rules that send the pod's traffic through its proxy, then ends. Where a CNI plugin of the node sets
//! them, `istio-validation` only verifies that it has, so that no pod runs beside its proxy.

use mesh_api::k8s::api::core::v1::{Capabilities, Container, SecurityContext};
use mesh_api::mesh_config::InterceptionMode;
use mesh_model::port;

use super::{INIT, Input, VALIDATION, env, image, resources, strings};

/// The container, or `None` when the pod wants no capture.
pub(super) fn container(input: &Input<'_>) -> Option<Container> {
    let annotations = input.annotations;
    if annotations.config.interception_mode == InterceptionMode::None {
        return None;
    }
    let settings = input.settings;
    let (name, security_context) = match settings.cni {
        true => (VALIDATION, validation_context(settings.proxy.privileged)),
        false => (INIT, init_context(settings.proxy.privileged)),
    };
    Some(Container {
        args: Some(args(input)),
        env: env::metadata(input),
        image: Some(image::image(input, &settings.images.init)),
        image_pull_policy: settings.image_pull_policy.clone(),
        name: name.to_owned(),
        resources: Some(resources(&annotations.resources)),
        security_context: Some(security_context),
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
    if input.settings.cni {
        args.extend(strings(["--run-validation", "--skip-rule-apply"]));
    }
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
fn init_context(privileged: bool) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(privileged),
        capabilities: Some(Capabilities {
            add: Some(strings(["NET_ADMIN", "NET_RAW"])),
            drop: Some(strings(["ALL"])),
        }),
        privileged: Some(privileged),
        read_only_root_filesystem: Some(false),
        run_as_group: Some(0),
        run_as_non_root: Some(false),
        run_as_user: Some(0),
        ..SecurityContext::default()
    }
}

/// The proxy's user, whose way past the rules is part of what is verified.
fn validation_context(privileged: bool) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(privileged),
        capabilities: Some(Capabilities {
            add: None,
            drop: Some(strings(["ALL"])),
        }),
        privileged: Some(privileged),
        read_only_root_filesystem: Some(true),
        run_as_group: Some(i64::from(port::PROXY_GID)),
        run_as_non_root: Some(true),
        run_as_user: Some(i64::from(port::PROXY_UID)),
        ..SecurityContext::default()
    }
}
