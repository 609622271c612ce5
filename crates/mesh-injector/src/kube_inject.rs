//! A manifest through the injector: `meshctl kube-inject`.
//!
//! The pod templates of workloads are injected where they stand. Every other document is handed on byte for byte.

use mesh_api::manifest::{self, Chunk, Document, Place};
use mesh_api::yaml;
use serde_json::Value;

use crate::inject::{Outcome, inject_for, inject_json};
use crate::{Invalid, NamespaceFacts, Problem, Settings, Skip, Workload};

/// A manifest whose workloads are injected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeInjected {
    /// The manifest.
    pub text: String,
    /// What the user should be told: one line for each workload that was skipped, and the warnings of those that were
    /// not.
    pub messages: Vec<String>,
}

/// A document that could not be injected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not understood.
    #[error(transparent)]
    Manifest(#[from] manifest::Invalid),
    /// Its pod cannot be injected.
    #[error("{place}: {kind} {name}: the pod cannot be injected")]
    Pod {
        /// Where it stands.
        place: Place,
        /// Kind of the workload.
        kind: String,
        /// Name of the workload.
        name: String,
        /// Why.
        #[source]
        source: Invalid,
    },
}

/// Injects every workload of `text`.
///
/// # Errors
/// Every document that is not understood or cannot be injected.
pub fn kube_inject(text: &str, settings: &Settings) -> Result<KubeInjected, Vec<Refused>> {
    let mut run = Run {
        settings,
        messages: Vec::new(),
        refused: Vec::new(),
    };
    let documents: Vec<String> = manifest::split(text)
        .iter()
        .map(|chunk| run.chunk(chunk))
        .collect();
    if run.refused.is_empty() {
        Ok(KubeInjected {
            text: join(&documents),
            messages: run.messages,
        })
    } else {
        Err(run.refused)
    }
}

/// Joins documents with `---`; one that begins with its own separator line keeps it.
fn join(documents: &[String]) -> String {
    let mut text = String::new();
    for document in documents {
        if !text.is_empty() {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            if !document.starts_with("---") {
                text.push_str("---\n");
            }
        }
        text.push_str(document);
    }
    text
}

struct Run<'a> {
    settings: &'a Settings,
    messages: Vec<String>,
    refused: Vec<Refused>,
}

impl Run<'_> {
    /// The text of one document, injected if it holds a workload.
    fn chunk(&mut self, chunk: &Chunk<'_>) -> String {
        let mut documents = match chunk.values() {
            Ok(documents) => documents,
            Err(invalid) => {
                self.refused.push(invalid.into());
                return String::new();
            }
        };
        let mut changed = false;
        for Document { place, value } in &mut documents {
            changed |= self.object(place, value);
        }
        if changed {
            join(
                &documents
                    .iter()
                    .map(|document| yaml::to_string(&document.value))
                    .collect::<Vec<_>>(),
            )
        } else {
            chunk.text.to_owned()
        }
    }

    /// Injects `object`, or the items of a list; true if anything changed.
    fn object(&mut self, place: &Place, object: &mut Value) -> bool {
        if object["kind"] == "List" {
            let items = object
                .get_mut("items")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten();
            let mut changed = false;
            for (index, item) in items.enumerate() {
                let place = Place {
                    item: format!("items[{index}]"),
                    ..place.clone()
                };
                changed |= self.object(&place, item);
            }
            return changed;
        }
        let Some(path) = template_path(object) else {
            return false;
        };
        match inject_at(object, path, self.settings) {
            Ok(Outcome::Injected(injected)) => {
                let name = name(object, path);
                self.messages.extend(
                    injected
                        .warnings
                        .iter()
                        .map(|warning| format!("warning: \"{name}\": {warning}")),
                );
                if let Some(slot) = object.pointer_mut(path) {
                    *slot = injected.pod;
                }
                true
            }
            Ok(Outcome::Skipped(reason)) => {
                self.messages
                    .push(skip_message(&name(object, path), &reason));
                false
            }
            Err(source) => {
                let kind = object["kind"].as_str().unwrap_or_default().to_owned();
                self.refused.push(Refused::Pod {
                    place: place.clone(),
                    kind,
                    name: name(object, path),
                    source,
                });
                false
            }
        }
    }
}

/// The pointer to the pod within a workload; `None` for any other object.
fn template_path(object: &Value) -> Option<&'static str> {
    let api_version = object.get("apiVersion")?.as_str()?;
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, object.get("kind")?.as_str()?) {
        ("", "Pod") => Some(""),
        (
            "" | "apps" | "extensions",
            "ReplicationController" | "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet",
        )
        | ("batch", "Job")
        | ("apps.openshift.io", "DeploymentConfig") => Some("/spec/template"),
        ("batch", "CronJob") => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

fn inject_at(object: &Value, path: &str, settings: &Settings) -> Result<Outcome, Invalid> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let namespace = NamespaceFacts::named(text("/metadata/namespace").unwrap_or("default"));
    let pod = object.pointer(path).unwrap_or(&Value::Null);
    if path.is_empty() {
        return inject_json(pod, &namespace, settings);
    }
    let (api_version, kind) = (
        text("/apiVersion").unwrap_or_default(),
        text("/kind").unwrap_or_default(),
    );
    let workload = Workload::new(
        api_version,
        kind,
        text("/metadata/name").unwrap_or_default(),
    );
    inject_for(pod, &workload, &namespace, settings).map_err(|mut invalid| {
        let prefix = path.trim_start_matches('/').replace('/', ".");
        let elsewhere = ["template ", "mesh config: "];
        let of_pod = |problem: &&mut Problem| {
            let place = problem.place.as_str();
            !elsewhere.iter().any(|start| place.starts_with(start))
        };
        for problem in invalid.problems.iter_mut().filter(of_pod) {
            problem.place = format!("{prefix}.{}", problem.place);
        }
        invalid
    })
}

/// The name to call a workload by: its own, or that of its template.
fn name(object: &Value, path: &str) -> String {
    let text = |pointer: String| {
        object
            .pointer(&pointer)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let generated = || text("/metadata/generateName".to_owned());
    let name = text("/metadata/name".to_owned())
        .or_else(generated)
        .or_else(|| text(format!("{path}/metadata/name")));
    name.unwrap_or_default().to_owned()
}

fn skip_message(name: &str, reason: &Skip) -> String {
    let clause = match reason {
        Skip::HostNetwork => "has host networking enabled".to_owned(),
        Skip::IgnoredNamespace(namespace) => {
            format!("is in namespace {namespace}, which is never injected")
        }
        Skip::Label | Skip::Annotation | Skip::NeverInject | Skip::Policy => {
            "has sidecar injection disabled".to_owned()
        }
    };
    format!("===> Skipping injection because \"{name}\" {clause}")
}
