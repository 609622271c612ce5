//! How a user calls a pod: `[<type>/]<name>[.<namespace>]`.

/// A pod as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodName {
    /// What was typed.
    pub(crate) typed: String,
    /// Name and namespace that this may mean; the first that exists counts.
    candidates: Vec<(String, String)>,
    /// Whether the name is that of a workload, and any of its pods is meant.
    workload: bool,
}

impl PodName {
    /// Reads what was typed. Namespaces have no dots, pods may: so the last dot is tried first, then none.
    pub(crate) fn new(typed: &str, default_namespace: &str) -> Self {
        let (kind, rest) = typed.split_once('/').unwrap_or(("pod", typed));
        let split = rest.rsplit_once('.').filter(|(name, _)| !name.is_empty());
        let candidates = split.into_iter().chain([(rest, default_namespace)]);
        Self {
            typed: typed.to_owned(),
            candidates: candidates
                .map(|(name, ns)| (name.to_owned(), ns.to_owned()))
                .collect(),
            workload: !matches!(kind, "pod" | "pods" | "po"),
        }
    }

    /// The pods among `pods` (`<name>.<namespace>`, sorted) that are meant.
    pub(crate) fn choose<'a>(&self, pods: &'a [String]) -> Vec<&'a String> {
        let chosen = self.candidates.iter().map(|(name, namespace)| {
            let found = pods.iter().filter(|pod| self.means(pod, name, namespace));
            found.collect::<Vec<_>>()
        });
        chosen
            .into_iter()
            .find(|found| !found.is_empty())
            .unwrap_or_default()
    }

    fn means(&self, pod: &str, name: &str, namespace: &str) -> bool {
        let Some((pod, of)) = pod.rsplit_once('.') else {
            return false;
        };
        let of_workload = || {
            pod.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('-'))
        };
        of == namespace
            && if self.workload {
                of_workload()
            } else {
                pod == name
            }
    }

    /// Name and namespace that this may mean, the likelier first.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = (&String, &String)> {
        self.candidates
            .iter()
            .map(|(name, namespace)| (name, namespace))
    }

    /// The kind of the workload that is named; `None` for a pod.
    pub(crate) fn workload_kind(&self) -> Option<&str> {
        let (kind, _) = self.typed.split_once('/')?;
        self.workload.then_some(kind)
    }

    /// Whether one of several pods will do.
    pub(crate) fn is_workload(&self) -> bool {
        self.workload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_and_workloads_are_found() {
        let pods = [
            "a-1.default",
            "nginx-7c-x.test",
            "nginx-7c-y.test",
            "nginxer-1.test",
            "v1.2.default",
        ];
        let pods = pods.map(str::to_owned);
        for (typed, namespace, chosen) in [
            ("nginx-7c-x", "test", &["nginx-7c-x.test"][..]),
            ("nginx-7c-x.test", "default", &["nginx-7c-x.test"]),
            ("pod/nginx-7c-x.test", "default", &["nginx-7c-x.test"]),
            ("nginx-7c-x", "default", &[]),
            ("nginx", "test", &[]),
            (
                "deployment/nginx",
                "test",
                &["nginx-7c-x.test", "nginx-7c-y.test"],
            ),
            (
                "deploy/nginx.test",
                "default",
                &["nginx-7c-x.test", "nginx-7c-y.test"],
            ),
            ("v1.2", "default", &["v1.2.default"]),
            (".test", "default", &[]),
        ] {
            let found = PodName::new(typed, namespace);
            assert_eq!(
                found.choose(&pods),
                chosen.iter().collect::<Vec<_>>(),
                "{typed} -n {namespace}"
            );
        }
    }
}
