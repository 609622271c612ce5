//! Manifests and what becomes of them: `golden/NAME.input.yaml` is injected with the default settings, or those of
//! `NAME.config.yaml` and `NAME.values.yaml` (keys of the ConfigMap), and `NAME.output.yaml`, `NAME.messages.txt` or
//! `NAME.errors.txt` say what must come out.
//!
//! `UPDATE_GOLDEN=1 cargo test -p mesh-injector --test golden` writes them anew; read the difference before committing.

use std::fs;
use std::path::{Path, PathBuf};

use mesh_injector::{KubeInjected, Refused, Settings, Texts, kube_inject};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn input(name: &str) -> String {
    let path = folder().join(format!("{name}.input.yaml"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn settings(name: &str) -> Settings {
    let text = |key: &str| {
        let path = folder().join(format!("{name}.{key}.yaml"));
        fs::read_to_string(path).unwrap_or_default()
    };
    let texts = Texts {
        config: text("config"),
        values: text("values"),
        ..Texts::default()
    };
    match Settings::read(&texts) {
        Ok(read) => read.value,
        Err(error) => panic!("{name}: {error}: {}", error.source),
    }
}

/// Compares `actual` with the file, where empty means that there is none.
fn check(name: &str, ending: &str, actual: &str) -> Result<(), String> {
    let path = folder().join(format!("{name}.{ending}"));
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if expected == actual {
        return Ok(());
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let written = if actual.is_empty() {
            fs::remove_file(&path)
        } else {
            fs::write(&path, actual)
        };
        return written.map_err(|error| format!("{}: {error}", path.display()));
    }
    Err(format!(
        "{} differs; it should be:\n{actual}",
        path.display()
    ))
}

fn lines(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().map(|item| item + "\n").collect()
}

/// The error with its cause, as a program prints it.
fn report(refused: &Refused) -> String {
    match std::error::Error::source(refused) {
        Some(cause) => format!("{refused}\n  {}", cause.to_string().replace('\n', "\n  ")),
        None => refused.to_string(),
    }
}

fn run(name: &str) -> Result<(), String> {
    let (text, messages, errors) = match kube_inject(&input(name), &settings(name)) {
        Ok(KubeInjected { text, messages }) => (text, messages, Vec::new()),
        Err(refused) => (
            String::new(),
            Vec::new(),
            refused.iter().map(report).collect(),
        ),
    };
    check(name, "output.yaml", &text)?;
    check(name, "messages.txt", &lines(messages))?;
    check(name, "errors.txt", &lines(errors))
}

#[test]
fn every_manifest_becomes_what_its_golden_file_says() {
    let entries = fs::read_dir(folder())
        .expect("the folder of golden files")
        .map(|entry| entry.expect("an entry"));
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names
        .filter_map(|name| name.strip_suffix(".input.yaml").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 10, "golden files are missing: {names:?}");
    let differences: Vec<String> = names.iter().filter_map(|name| run(name).err()).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

/// The blocks that the origin article prints of a pod of this Deployment.
#[test]
fn the_article_prints_what_is_injected() {
    let printed = [
        "  - args:
    - proxy
    - sidecar
    - --domain
    - $(POD_NAMESPACE).svc.cluster.local
    - --proxyLogLevel=warning
    - --proxyComponentLogLevel=misc:error
    - --log_output_level=default:info
",
        "  - args:
    - istio-iptables
    - -p
    - \"15001\"
    - -z
    - \"15006\"
    - -u
    - \"1337\"
    - -m
    - REDIRECT
    - -i
    - '*'
    - -x
    - \"\"
    - -b
    - '*'
    - -d
    - 15090,15021,15020
    - --log_output_level=default:info
",
    ];
    let injected = kube_inject(&input("nginx"), &Settings::default())
        .expect("the article's manifest")
        .text;
    for block in printed {
        let in_template: String = block.lines().map(|line| format!("    {line}\n")).collect();
        assert!(
            injected.contains(&in_template),
            "not as in the article:\n{block}\nbut\n{injected}"
        );
    }
}

#[test]
fn injecting_again_changes_nothing() {
    for name in [
        "nginx",
        "probes",
        "annotations",
        "native",
        "kinds",
        "prometheus",
        "hold",
        "overrides",
        "templates",
        "own-sidecar",
    ] {
        let once = kube_inject(&input(name), &settings(name)).expect(name).text;
        let twice = kube_inject(&once, &settings(name)).expect(name).text;
        assert_eq!(once, twice, "{name}");
    }
}
