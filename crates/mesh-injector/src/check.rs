//! What makes a pod unfit for injection, beside its annotations.

use mesh_api::annotation::NATIVE_SIDECAR;
use mesh_api::k8s::api::core::v1::{Container, Pod, PodSpec};
use mesh_model::port::{PROXY_GID, PROXY_UID, RESERVED};

use crate::template::volume_names;
use crate::{Problem, ProxyUser, Settings};

/// Checks `pod`, from which an earlier injection has been taken out.
pub(crate) fn check(
    pod: &Pod,
    settings: &Settings,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) {
    let Some(spec) = &pod.spec else {
        problems.push(Problem::new("spec", "required, but missing"));
        return;
    };
    volumes(spec, problems);
    for (index, container) in spec.containers.iter().enumerate() {
        let place = format!("spec.containers[{index}]");
        if let Some(problem) = user(&place, container, spec) {
            match settings.proxy_user {
                ProxyUser::Refuse => problems.push(problem),
                ProxyUser::Warn => warnings.push(problem.to_string()),
            }
        }
        ports(&place, container, warnings);
    }
}

/// A pod needs a container; a native proxy is none of these.
pub(crate) fn application(pod: &Pod, native: bool, problems: &mut Vec<Problem>) {
    let spec = pod.spec.as_ref();
    if native && spec.is_some_and(|spec| spec.containers.is_empty()) {
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
