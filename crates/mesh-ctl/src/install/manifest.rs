//! The objects of an installation, in the order in which they are applied. A pure function: the same options give the
//! same bytes, which is why the default ones are checked in.

mod access; // service accounts and what they may do
mod agreed; // what pods and control plane are told alike
mod checksum; // pods that are made anew when their settings change
mod settings; // config maps
mod webhooks; // who is injected
mod workloads; // deployments, services, budgets

use mesh_api::{crd, yaml};
use mesh_injector::Texts;
use serde_json::{Value, json};

use super::options::Options;

pub(crate) use webhooks::OPTIONS as WEBHOOK_OPTIONS;

/// Every object of ours bears this label, unless it was there before.
pub(crate) const MANAGED: (&str, &str) = ("app.kubernetes.io/managed-by", "meshctl");
/// The namespace of the installation that an object belongs to; definitions belong to all.
pub(crate) const INSTANCE: &str = "app.kubernetes.io/instance";
/// The revision that an object belongs to.
pub(crate) const REVISION: &str = "istio.io/rev";

/// All objects of an installation in `namespace`.
pub(crate) fn objects(options: &Options, namespace: &str) -> Vec<Value> {
    let plan = Plan { options, namespace };
    let mut objects = vec![plan.own_namespace()];
    objects.extend(definitions());
    objects.extend(access::objects(&plan));
    objects.extend(settings::objects(&plan));
    objects.extend(workloads::objects(&plan));
    objects.extend(webhooks::objects(&plan));
    for object in &mut objects {
        label(object, MANAGED.0, MANAGED.1);
        if object["kind"] != "CustomResourceDefinition" {
            label(object, INSTANCE, namespace);
        }
    }
    checksum::mark(&plan, &mut objects);
    objects
}

/// The settings of injection in the config maps of an installation.
pub(crate) fn injection(options: &Options, namespace: &str) -> Texts {
    settings::texts(&Plan { options, namespace })
}

/// Objects as one manifest.
pub(crate) fn text(objects: &[Value]) -> String {
    let documents: Vec<_> = objects.iter().map(yaml::to_string).collect();
    documents.join("---\n")
}

fn definitions() -> impl Iterator<Item = Value> {
    crd::all().into_iter().map(|definition| {
        let mut object = serde_json::to_value(definition).unwrap_or_default();
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        object
    })
}

fn label(object: &mut Value, name: &str, value: &str) {
    object["metadata"]["labels"][name] = value.into();
}

/// Options with the place they are for.
struct Plan<'a> {
    options: &'a Options,
    namespace: &'a str,
}

impl Plan<'_> {
    /// Injection is off where the control plane is: it must come up without a webhook.
    fn own_namespace(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": self.namespace, "labels": {"istio-injection": "disabled"}},
        })
    }

    /// Name of the control plane's objects; tools look for them under it.
    fn istiod(&self) -> String {
        format!("istiod{}", self.options.suffix())
    }

    /// Name of the injector's objects. The authority knows the service account by it.
    fn injector(&self) -> String {
        format!("istio-sidecar-injector{}", self.options.suffix())
    }

    /// Name of an object that belongs to the whole cluster: another namespace's installation has its own.
    fn cluster_wide(&self, name: &str) -> String {
        format!("{name}-{}", self.namespace)
    }

    fn metadata(&self, name: &str) -> Value {
        json!({"name": name, "namespace": self.namespace, "labels": {REVISION: self.options.revision()}})
    }

    fn cluster_metadata(&self, name: &str) -> Value {
        json!({"name": name, "labels": {REVISION: self.options.revision()}})
    }
}

#[cfg(test)]
mod tests;
