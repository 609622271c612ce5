//! Reads annotations one by one and keeps account of mistakes and of what nobody read.

use std::collections::{BTreeMap, BTreeSet};

use mesh_api::annotation as name;

use crate::Problem;

/// Turns an annotation's text into a value, or says what is wrong with it.
pub(super) type Parse<T> = fn(&str) -> Result<T, String>;

/// What the annotations of the mesh begin with.
const OURS: [&str; 7] = [
    "sidecar.istio.io/",
    "traffic.sidecar.istio.io/",
    "status.sidecar.istio.io/",
    "readiness.status.sidecar.istio.io/",
    "proxy.istio.io/",
    "inject.istio.io/",
    "prometheus.istio.io/",
];

/// Annotations that other steps of the injection read.
const ELSEWHERE: [&str; 4] = [
    name::INJECT,
    name::STATUS,
    name::PROXY_OVERRIDES,
    name::TEMPLATES,
];

pub(super) struct Reader<'a> {
    annotations: &'a BTreeMap<String, String>,
    problems: &'a mut Vec<Problem>,
    read: BTreeSet<&'static str>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        annotations: &'a BTreeMap<String, String>,
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        Self {
            annotations,
            problems,
            read: ELSEWHERE.into(),
            warnings: Vec::new(),
        }
    }

    /// The value of annotation `name`: `None` if it is absent or mistaken.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.read.insert(name);
        match parse(self.annotations.get(name)?.trim()) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problems.push(Problem::new(
                    format!("metadata.annotations[{name}]"),
                    message,
                ));
                None
            }
        }
    }

    /// Notes a mistake that is no single annotation's.
    pub(super) fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Notes something about annotation `name` that is no mistake.
    pub(super) fn warn(&mut self, name: &str, message: &str) {
        self.warnings.push(format!("annotation {name}: {message}"));
    }

    /// The warnings, with those about annotations of the mesh that nobody read.
    pub(super) fn finish(mut self) -> Vec<String> {
        let annotations = self.annotations;
        for name in annotations.keys() {
            let is_ours = OURS.iter().any(|prefix| name.starts_with(prefix));
            if is_ours && !self.read.contains(name.as_str()) {
                self.warn(name, "not supported and without effect");
            }
        }
        self.warnings
    }
}
