//! The injector reads its config maps as files, which the kubelet brings up to date when it gets round to it. So its pods
//! are made anew when they change: their template bears the checksum. Then an installation that is ready is one whose
//! settings are in force. The control plane needs no mark: it watches its config map.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Plan;

/// The annotation of the template.
const CHECKSUM: &str = "checksum/config";

/// Marks the injector's Deployment among `objects`.
pub(super) fn mark(plan: &Plan<'_>, objects: &mut [Value]) {
    let mesh = format!("istio{}", plan.options.suffix());
    let mut digest = Sha256::new();
    for name in [plan.injector(), mesh] {
        let data = find(objects, "ConfigMap", &name).map(|map| map["data"].to_string());
        digest.update(data.unwrap_or_default());
    }
    let digest = digest.finalize();
    let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if let Some(deployment) = find(objects, "Deployment", &plan.injector()) {
        deployment["spec"]["template"]["metadata"]["annotations"] = json!({ CHECKSUM: text });
    }
}

fn find<'a>(objects: &'a mut [Value], kind: &str, name: &str) -> Option<&'a mut Value> {
    objects
        .iter_mut()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::manifest::objects;
    use crate::install::options::Options;

    fn marks(sets: &[&str]) -> [Value; 2] {
        let set = |options: Options, typed: &&str| options.set(typed).expect("set");
        let options = sets.iter().fold(Options::default(), set);
        let mut all = objects(&options, "istio-system");
        let suffix = options.suffix();
        ["istiod", "istio-sidecar-injector"].map(|name| {
            let found = find(&mut all, "Deployment", &format!("{name}{suffix}"));
            found.expect("a deployment")["spec"]["template"]["metadata"]["annotations"].take()
        })
    }

    #[test]
    fn pods_are_made_anew_when_what_they_read_changes() {
        let [istiod, injector] = marks(&[]);
        // It watches.
        assert_eq!(istiod, Value::Null);
        assert_eq!(marks(&["discovery.replicas=3"])[1], injector);
        for set in ["values.global.network=n", "meshConfig.trustDomain=td"] {
            let [watches, changed] = marks(&[set]);
            assert_eq!(watches, Value::Null, "{set}");
            assert_ne!(changed, injector, "{set}");
        }

        let [istiod, injector] = marks(&["revision=r"]);
        assert_eq!(istiod, Value::Null);
        for set in ["values.global.network=n", "meshConfig.trustDomain=td"] {
            assert_ne!(marks(&["revision=r", set])[1], injector, "{set}");
        }
    }
}
