//! The proxy's own probes. There is no liveness probe: a proxy that cannot reach the control plane is not dead.

use mesh_api::k8s::api::core::v1::{HTTPGetAction, Probe};
use mesh_api::k8s::apimachinery::pkg::util::intstr::IntOrString;
use mesh_model::port;

use super::Input;

/// Ready when the proxy has its configuration; none without an agent.
pub(super) fn readiness(input: &Input<'_>) -> Option<Probe> {
    let timing = &input.annotations.readiness;
    let probe = Probe {
        failure_threshold: Some(timing.failure_threshold),
        initial_delay_seconds: Some(timing.initial_delay_seconds),
        period_seconds: Some(timing.period_seconds),
        ..ready()
    };
    has_agent(input).then_some(probe)
}

/// Up to ten minutes, or what the settings say, for the first configuration; what is started after the proxy waits for it.
pub(super) fn startup(input: &Input<'_>) -> Option<Probe> {
    let failures = input.settings.proxy.startup_failures?;
    let probe = Probe {
        failure_threshold: Some(failures),
        period_seconds: Some(1),
        ..ready()
    };
    has_agent(input).then_some(probe)
}

fn has_agent(input: &Input<'_>) -> bool {
    input.annotations.config.status_port != 0
}

fn ready() -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some("/healthz/ready".to_owned()),
            port: IntOrString::Int(i32::from(port::HEALTH)),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}
