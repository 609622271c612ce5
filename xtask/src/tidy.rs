//! The edges between crates, where they come from, and the form of the tree.

mod audited; // where code may be unsafe
mod lockfile; // what is built is known

use crate::chore::{Outcome, root};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What each of our crates may depend on among ours. A crate that is not named here may depend on none.
const EDGES: &[(&str, &[&str])] = &[
    ("mesh-model", &[]),
    ("mesh-runtime", &[]),
    ("mesh-api", &["mesh-model"]),
    ("mesh-xds", &["mesh-model"]),
    ("mesh-init", &["mesh-model"]),
    (
        "mesh-injector",
        &["mesh-model", "mesh-api", "mesh-xds", "mesh-runtime"],
    ),
    (
        "mesh-discovery",
        &["mesh-model", "mesh-api", "mesh-xds", "mesh-runtime"],
    ),
    ("mesh-proxy", &["mesh-model", "mesh-xds", "mesh-runtime"]),
    (
        "mesh-ctl",
        &[
            "mesh-model",
            "mesh-api",
            "mesh-xds",
            "mesh-injector",
            "mesh-runtime",
        ],
    ),
    ("mesh-e2e", &["mesh-model", "mesh-api", "mesh-injector"]),
];

/// Dependencies that only some crates may name.
const RESERVED: &[(&str, &[&str])] = &[
    ("envoy-types", &["mesh-xds", "mesh-codegen"]),
    ("prost-reflect", &["mesh-xds"]),
    (
        "k8s-openapi",
        &["mesh-api", "mesh-injector", "mesh-discovery"],
    ),
    (
        "kube",
        &[
            "mesh-api",
            "mesh-injector",
            "mesh-discovery",
            "mesh-ctl",
            "mesh-e2e",
        ],
    ),
];

/// Longest source file, in lines; longer ones have two subjects. Tests may be longer: they are tables.
const LONGEST_FILE: usize = 700;
const LONGEST_TESTS: usize = 1000;

/// Checks the tree.
pub(crate) fn tidy() -> Outcome {
    let mut errors = Vec::new();
    audited::check_workspace(&mut errors);
    check_lockfile(&mut errors);
    for folder in crates() {
        check_manifest(&folder, &mut errors);
        check_strays(&folder, &mut errors);
        for file in sources(&folder.join("src")) {
            check_source(&file, &mut errors);
        }
        for part in ["src", "tests", "benches", "examples"] {
            for file in sources(&folder.join(part)) {
                let text = fs::read_to_string(&file).unwrap_or_default();
                audited::check_source(shown(&file), &text, &mut errors);
                check_ignored(shown(&file), &text, &mut errors);
            }
        }
    }
    if errors.is_empty() {
        println!("tidy: edges and sources are in order");
        Ok(())
    } else {
        Err(format!("the tree is not tidy:\n{}", errors.join("\n")))
    }
}

fn crates() -> Vec<PathBuf> {
    let root = root();
    let listed = fs::read_dir(root.join("crates"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut all: Vec<_> = listed
        .chain(["e2e", "xtask", "xtask/codegen"].map(|c| root.join(c)))
        .collect();
    all.sort();
    all
}

/// A path as it is in the repository.
fn shown(path: &Path) -> &Path {
    path.strip_prefix(root()).unwrap_or(path)
}

fn check_lockfile(errors: &mut Vec<String>) {
    let text = fs::read_to_string(root().join("Cargo.lock")).unwrap_or_default();
    let manifests = crates()
        .into_iter()
        .map(|folder| fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default());
    let ours: Vec<_> = manifests.map(|text| name(&text).to_owned()).collect();
    lockfile::check(&text, &ours, errors);
}

/// Name of the crate of a manifest.
fn name(manifest: &str) -> &str {
    let mut lines = manifest.lines();
    lines
        .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .unwrap_or_default()
}

fn check_manifest(folder: &Path, errors: &mut Vec<String>) {
    let manifest = folder.join("Cargo.toml");
    let Ok(text) = fs::read_to_string(&manifest) else {
        return errors.push(format!("{}: can't be read", manifest.display()));
    };
    audited::check_manifest(shown(&manifest), &text, errors);
    check_edges(&text, errors);
}

fn check_edges(text: &str, errors: &mut Vec<String>) {
    let name = name(text);
    let allowed = EDGES
        .iter()
        .find(|(of, _)| *of == name)
        .map_or(&[][..], |(_, to)| to);
    for dependency in dependencies(text) {
        if dependency.starts_with("mesh-") && !allowed.contains(&dependency) {
            errors.push(format!(
                "{name} must not depend on {dependency}: see the list of edges in xtask/src/tidy.rs"
            ));
        }
        let reserved = RESERVED.iter().find(|(of, _)| *of == dependency);
        if reserved.is_some_and(|(_, to)| !to.contains(&name)) {
            errors.push(format!(
                "{name} must not name {dependency}: only {:?} may",
                reserved.map(|(_, to)| to)
            ));
        }
    }
}

/// Names in `[dependencies]` and `[build-dependencies]`; tests may use what they like.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut counted = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            counted = line.ends_with("dependencies]") && line != "[dev-dependencies]";
        } else if counted && let Some(end) = line.find(['.', ' ', '=']) {
            found.push(&line[..end]);
        }
    }
    found
}

/// A crate is its manifest and its folders; any other file was left by a program that ran there.
fn check_strays(folder: &Path, errors: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_file() && entry.file_name() != "Cargo.toml" {
            errors.push(format!("{:?}: does not belong there", entry.path()));
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Tests that are left out at first are run by a rung of their own; one that no rung knows would never be run, or by the
/// wrong one.
fn check_ignored(shown: &Path, text: &str, errors: &mut Vec<String>) {
    const MARK: &str = concat!("#[", "ignore");
    let known = |line: &str| {
        ["netns: ", "envoy: "]
            .iter()
            .any(|rung| line.starts_with(&format!("{MARK} = \"{rung}")))
    };
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with(MARK) && !known(line) {
            let place = format!("{}:{}", shown.display(), number + 1);
            errors.push(format!(
                "{place}: say which rung runs it: `netns: …` or `envoy: …`"
            ));
        }
    }
}

fn check_source(path: &Path, errors: &mut Vec<String>) {
    let shown = shown(path).display();
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().count();
    let generated = path.components().any(|c| c.as_os_str() == "generated");
    let is_tests = path.file_name().is_some_and(|name| name == "tests.rs")
        || path.components().any(|c| c.as_os_str() == "tests");
    let longest = if is_tests {
        LONGEST_TESTS
    } else {
        LONGEST_FILE
    };
    if lines > longest && !generated {
        errors.push(format!("{shown}: {lines} lines; split it by its subjects"));
    }
    if !text.starts_with("//!") && !is_tests && !generated {
        errors.push(format!(
            "{shown}: does not begin by saying what it is (`//! …`)"
        ));
    }
    if path.file_name().is_some_and(|name| name == "mod.rs") {
        errors.push(format!("{shown}: name it after its folder"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_a_manifest() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = { path = \"..\" }\n[dev-dependencies]\nc = \"1\"\n[build-dependencies]\nd=\"1\"\n";
        assert_eq!(dependencies(manifest), ["a", "b", "d"]);
    }

    #[test]
    fn this_tree_is_tidy() {
        tidy().expect("tidy");
    }
}
