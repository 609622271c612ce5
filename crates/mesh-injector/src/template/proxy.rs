//! `istio-proxy`: the data plane and its agent.

use mesh_api::k8s::api::core::v1::{
    Capabilities, Container, ContainerPort, ExecAction, Lifecycle, LifecycleHandler,
    SecurityContext,
};
use mesh_model::port;

use super::{Input, PROXY, env, image, probes, resources, strings, volumes};

pub(super) fn container(input: &Input<'_>) -> Container {
    let annotations = input.annotations;
    Container {
        args: Some(args(input)),
        env: Some(env::proxy(input)),
        image: Some(image::image(input, &input.settings.images.proxy)),
        image_pull_policy: input.settings.image_pull_policy.clone(),
        lifecycle: lifecycle(input),
        name: PROXY.to_owned(),
        ports: Some(vec![ContainerPort {
            container_port: i32::from(port::PROMETHEUS),
            name: Some("http-envoy-prom".to_owned()),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        readiness_probe: probes::readiness(input),
        resources: Some(resources(&annotations.resources)),
        restart_policy: annotations.native.then(|| "Always".to_owned()),
        security_context: Some(security_context(input.settings.proxy.privileged)),
        startup_probe: probes::startup(input),
        volume_mounts: Some(volumes::mounts(&annotations.user_volumes.mounts)),
        ..Container::default()
    }
}

fn args(input: &Input<'_>) -> Vec<String> {
    let annotations = input.annotations;
    vec![
        "proxy".to_owned(),
        "sidecar".to_owned(),
        "--domain".to_owned(),
        format!("$(POD_NAMESPACE).svc.{}", input.settings.cluster_domain),
        format!("--proxyLogLevel={}", annotations.log_level),
        format!(
            "--proxyComponentLogLevel={}",
            annotations.component_log_level
        ),
        format!("--log_output_level={}", annotations.agent_log_level),
    ]
}

/// A native sidecar is drained before it is stopped, because the kubelet stops it only after the application. In the
/// classic order `wait` can hold the containers that follow until the proxy is ready.
fn lifecycle(input: &Input<'_>) -> Option<Lifecycle> {
    if let Some(own) = &input.settings.proxy.lifecycle {
        return Some(own.clone());
    }
    let exec = |command| LifecycleHandler {
        exec: Some(ExecAction {
            command: Some(command),
        }),
        ..LifecycleHandler::default()
    };
    let status_port = input.annotations.config.status_port;
    if input.annotations.native {
        let debug_port = format!("--debug-port={status_port}");
        (status_port != 0).then(|| Lifecycle {
            pre_stop: Some(exec(strings([
                "pilot-agent",
                "request",
                &debug_port,
                "POST",
                "drain",
            ]))),
            ..Lifecycle::default()
        })
    } else {
        input
            .annotations
            .config
            .hold_application_until_proxy_starts
            .then(|| Lifecycle {
                post_start: Some(exec(strings(["pilot-agent", "wait"]))),
                ..Lifecycle::default()
            })
    }
}

fn security_context(privileged: bool) -> SecurityContext {
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
