//! One pod through the whole pipeline.

use json_patch::Patch;
use mesh_api::k8s::api::core::v1::Pod;
use mesh_api::manifest::{Reason, typed_value};
use serde_json::Value;

use crate::annotations::Annotations;
use crate::custom::Layer;
use crate::overrides::Overrides;
use crate::template::{APP_PROBERS, INIT, Input, PROMETHEUS_ANNOTATIONS, PROXY, set_env};
use crate::{
    Decision, Invalid, NamespaceFacts, Problem, Settings, SidecarStatus, Skip, Why, Workload,
    check, decide, json, layers, metadata, metrics, node, placement, pre_stop, probes, strip,
};

/// What became of a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It has a proxy now.
    Injected(Box<Injected>),
    /// It was left alone.
    Skipped(Skip),
}

/// An injected pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Injected {
    /// The pod, with all fields that it came with.
    pub pod: Value,
    /// RFC 6902: what turns the pod that came into [`Injected::pod`].
    pub patch: Patch,
    /// What decided that it is injected.
    pub why: Why,
    /// What the user should know, such as annotations without effect.
    pub warnings: Vec<String>,
}

/// Injects a typed pod that is created in `namespace`. Fields that the type does not know are already lost: where the
/// pod comes from outside, use [`inject_json`].
///
/// # Errors
/// Everything that is wrong with the pod, if it is to be injected but cannot be.
pub fn inject(
    pod: &Pod,
    namespace: &NamespaceFacts,
    settings: &Settings,
) -> Result<Outcome, Invalid> {
    inject_json(&json::to_json(pod), namespace, settings)
}

/// Injects a pod as an API server sends it.
///
/// # Errors
/// As [`inject`]; or if `pod` is none.
pub fn inject_json(
    pod: &Value,
    namespace: &NamespaceFacts,
    settings: &Settings,
) -> Result<Outcome, Invalid> {
    let workload = Workload::of_pod(&typed(pod)?.metadata);
    inject_for(pod, &workload, namespace, settings)
}

/// Injects a pod, or the pod template of `workload`.
pub(crate) fn inject_for(
    original: &Value,
    workload: &Workload,
    namespace: &NamespaceFacts,
    settings: &Settings,
) -> Result<Outcome, Invalid> {
    let why = match decide(&typed(original)?, namespace, settings) {
        Decision::Inject(why) => why,
        Decision::Skip(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut injected = strip::strip(original, &mut problems);
    let overrides = Overrides::take(&mut injected, &mut problems);
    let pod = typed(&injected)?;
    let written = pod.metadata.annotations.clone().unwrap_or_default();
    let layers = settings.templates.choose(&written);
    let layers = layers
        .map_err(|problem| problems.push(problem))
        .unwrap_or_default();
    let native = settings.runs_native_sidecars(node::of(&pod));
    let annotations = Annotations::read(&written, settings, native, &mut problems);
    if layers::has_sidecar(&layers) || pod.spec.is_none() {
        check::check(
            &pod,
            settings,
            annotations.native,
            &mut problems,
            &mut warnings,
        );
    }
    if !problems.is_empty() {
        return Err(Invalid { problems });
    }
    let input = Input {
        pod: &pod,
        workload,
        namespace: &namespace.name,
        annotations: &annotations,
        settings,
        overrides: &overrides,
    };
    warnings.extend(annotations.warnings.iter().cloned());
    assemble(&mut injected, &input, &layers, &mut warnings)?;
    let patch = json_patch::diff(original, &injected);
    Ok(Outcome::Injected(Box::new(Injected {
        pod: injected,
        patch,
        why,
        warnings,
    })))
}

/// Puts everything into the stripped `pod`.
fn assemble(
    pod: &mut Value,
    input: &Input<'_>,
    layers: &[Layer],
    warnings: &mut Vec<String>,
) -> Result<(), Problem> {
    let (mut bare, has_sidecar) = (pod.clone(), layers::has_sidecar(layers));
    let mut slots = layers::lay(pod, input, layers, warnings)?;
    let mut overrides = input.overrides.clone();
    if !has_sidecar {
        for (name, slot) in [(PROXY, &slots.proxy), (INIT, &slots.init)] {
            if slot.is_none() {
                overrides.put_back([pod, &mut bare], name);
            }
        }
    } else {
        metadata::name_default_container(pod);
    }
    if let Some(proxy) = &mut slots.proxy {
        serve_through_agent(pod, proxy, input, warnings);
    }
    if has_sidecar {
        pre_stop::pause(pod, input.settings.pre_stop_sleep);
    }
    let hold = input.annotations.config.hold_application_until_proxy_starts;
    placement::place(pod, slots, &overrides, hold, warnings);
    if has_sidecar {
        metadata::label(pod, input.workload, &input.settings.network);
        if input.settings.cni {
            metadata::tell_cni(pod, input.annotations);
        }
    }
    let status = SidecarStatus::of(&bare, pod, &input.settings.revision);
    metadata::annotate(
        pod,
        &status,
        &overrides,
        &input.settings.injected_annotations,
    );
    Ok(())
}

/// Lets the agent serve the application's metrics and answer its probes.
fn serve_through_agent(
    pod: &mut Value,
    proxy: &mut Value,
    input: &Input<'_>,
    warnings: &mut Vec<String>,
) {
    let annotations = input.annotations;
    let status_port = annotations.config.status_port;
    if status_port != 0 && annotations.merge_metrics {
        let own = metrics::merge(pod, status_port, &annotations.scrape_targets, warnings);
        if !own.is_empty() {
            set_env(
                proxy,
                PROMETHEUS_ANNOTATIONS,
                &Value::Object(own).to_string(),
            );
        }
    }
    if status_port != 0 && annotations.rewrite_probes {
        let probers = probes::rewrite(pod, status_port, annotations.native, warnings);
        if !probers.is_empty() {
            set_env(proxy, APP_PROBERS, &Value::Object(probers).to_string());
        }
    }
}

/// `pod` as its type; a template, which has neither version nor kind, is taken as well.
fn typed(pod: &Value) -> Result<Pod, Invalid> {
    typed_value(pod).map_err(|reason| match reason {
        Reason::Field { path, message } if path != "." => Problem::new(path, message).into(),
        Reason::Field { message, .. } => Problem::new("pod", message).into(),
        other => Problem::new("pod", other.to_string()).into(),
    })
}
