//! What makes a pod unfit for injection, beside its annotations.

use mesh_api::annotation::NATIVE_SIDECAR;
use mesh_api::k8s::api::core::v1::{Container, Pod, PodSpec};
use mesh_model::port::{PROXY_GID, PROXY_UID, RESERVED};

use crate::template::volume_names;
use crate::{Problem, ProxyUser, Settings};

/// Checks `pod`, from which an earlier injection has been taken out, and which gets a `native` sidecar or a classic one.
pub(crate) fn check(
    pod: &Pod,
    settings: &Settings,
    native: bool,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) {
    let Some(spec) = &pod.spec else {
        problems.push(Problem::new("spec", "required, but missing"));
        return;
    };
    volumes(spec, problems);
    application(spec, native, problems);
    users(spec, settings, native, problems, warnings);
    for (index, container) in spec.containers.iter().enumerate() {
        ports(&format!("spec.containers[{index}]"), container, warnings);
    }
}

/// The users of the containers, as far as they run beside the rules of capture: not of init containers that end
/// before a classic proxy starts.
fn users(
    spec: &PodSpec,
    settings: &Settings,
    native: bool,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) {
    let stays = |container: &Container| container.restart_policy.as_deref() == Some("Always");
    let init = spec.init_containers.iter().flatten().enumerate();
    let init = init.filter(|(_, container)| native || stays(container));
    let all = init
        .map(|(index, container)| (format!("spec.initContainers[{index}]"), container))
        .chain(
            (spec.containers.iter().enumerate())
                .map(|(index, container)| (format!("spec.containers[{index}]"), container)),
        );
    for problem in all.filter_map(|(place, container)| user(&place, container, spec)) {
        match settings.proxy_user {
            ProxyUser::Refuse => problems.push(problem),
            ProxyUser::Warn => warnings.push(problem.to_string()),
        }
    }
}

/// A pod needs a container; a native proxy is none of these.
fn application(spec: &PodSpec, native: bool, problems: &mut Vec<Problem>) {
    if native && spec.containers.is_empty() {
        let message =
            "nothing is left beside the proxy, which is a native sidecar and so an init container";
        let problem = Problem::new("spec.containers", message);
        let hint = format!(
            "add the application's container, or annotate the pod {NATIVE_SIDECAR}: \"false\""
        );
        problems.push(problem.hint(hint));
    }
}

/// The names of the volumes that injection adds must be free.
fn volumes(spec: &PodSpec, problems: &mut Vec<Problem>) {
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        if volume_names().any(|name| name == volume.name) {
            let message = format!("`{}` is the name of an injected volume", volume.name);
            problems.push(Problem::new(format!("spec.volumes[{index}].name"), message));
        }
    }
}

/// The capture rules tell the proxy by its user and group.
fn user(place: &str, container: &Container, spec: &PodSpec) -> Option<Problem> {
    let (own, pod) = (
        container.security_context.as_ref(),
        spec.security_context.as_ref(),
    );
    let uid = own
        .and_then(|context| context.run_as_user)
        .or(pod.and_then(|context| context.run_as_user));
    let gid = own
        .and_then(|context| context.run_as_group)
        .or(pod.and_then(|context| context.run_as_group));
    let field = match (
        uid == Some(i64::from(PROXY_UID)),
        gid == Some(i64::from(PROXY_GID)),
    ) {
        (true, _) => "runAsUser",
        (false, true) => "runAsGroup",
        (false, false) => return None,
    };
    let message = format!(
        "{PROXY_UID} is the proxy's: traffic of container `{}` would bypass the mesh",
        container.name
    );
    let problem = Problem::new(format!("{place}.securityContext.{field}"), message);
    Some(problem.hint("run the application as another user and group"))
}

fn ports(place: &str, container: &Container, warnings: &mut Vec<String>) {
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let number = port.container_port;
        if u16::try_from(number).is_ok_and(|number| RESERVED.contains(&number)) {
            warnings.push(format!(
                "{place}.ports[{index}].containerPort: {number} is used by the proxy"
            ));
        }
    }
}
