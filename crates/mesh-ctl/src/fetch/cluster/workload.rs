//! Objects that have pods, and how to find these.

use kube::core::DynamicObject;

/// The labels of a workload's pods, as a query has them; empty if it picks none by labels.
pub(super) fn selector(workload: &DynamicObject) -> String {
    let spec = &workload.data["spec"];
    let labels = match spec.pointer("/selector/matchLabels") {
        Some(labels) => labels,
        None => &spec["selector"],
    };
    let pairs = labels.as_object().into_iter().flatten();
    let pairs = pairs.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    pairs.collect::<Vec<_>>().join(",")
}

/// A kind of object that has pods.
pub(super) struct Kind {
    /// Group of the API.
    pub(super) group: &'static str,
    /// Its name.
    pub(super) kind: &'static str,
    /// As kubectl takes it: short, one, many.
    pub(super) names: [&'static str; 3],
}

/// Those that are known.
pub(super) const KINDS: [Kind; 6] = [
    Kind {
        group: "apps",
        kind: "Deployment",
        names: ["deploy", "deployment", "deployments"],
    },
    Kind {
        group: "apps",
        kind: "StatefulSet",
        names: ["sts", "statefulset", "statefulsets"],
    },
    Kind {
        group: "apps",
        kind: "DaemonSet",
        names: ["ds", "daemonset", "daemonsets"],
    },
    Kind {
        group: "apps",
        kind: "ReplicaSet",
        names: ["rs", "replicaset", "replicasets"],
    },
    Kind {
        group: "batch",
        kind: "Job",
        names: ["job", "job", "jobs"],
    },
    Kind {
        group: "",
        kind: "Service",
        names: ["svc", "service", "services"],
    },
];
