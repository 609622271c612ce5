//! The binaries of Kubernetes that the provider `node` runs: taken from where the machine has them, else built from the
//! Go module `e2e/node` into a cache folder, once for each version.

use crate::{
    cache::{cache, hold},
    chore::{Outcome, root},
    system::find,
};
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Upstream's programs, the ones that others wait for first.
const UPSTREAM: [&str; 6] = [
    "kube-apiserver",
    "kubectl",
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
];
/// Programs whose `main` is in the module itself.
const OWN: [&str; 2] = ["coredns", "pause"];
/// Oldest Go that builds them, as the minor of 1.
const OLDEST_GO: u32 = 24;
/// Where Go says its version and symbols of it are set.
const VERSION_PACKAGE: &str = "k8s.io/component-base/version";

/// Finding or building them while something else is done. Gives up when it is dropped.
pub(crate) struct Ahead {
    given_up: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<PathBuf, String>>>,
}

impl Ahead {
    /// Begins.
    pub(crate) fn start() -> Self {
        let given_up = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&given_up);
        Self {
            given_up,
            thread: Some(thread::spawn(move || provide_unless(&seen))),
        }
    }

    /// Folder with all of them, as of [`provide`].
    pub(crate) fn wait(mut self) -> Result<PathBuf, String> {
        let result = self.thread.take().map(JoinHandle::join);
        result
            .and_then(Result::ok)
            .unwrap_or_else(|| Err("building Kubernetes has panicked".into()))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Folder with all of them. Finds or builds those that are not there yet, saying so.
///
/// # Errors
/// Says what is missing, and the remedy.
pub(crate) fn provide() -> Result<PathBuf, String> {
    provide_unless(&AtomicBool::new(false))
}

fn provide_unless(given_up: &AtomicBool) -> Result<PathBuf, String> {
    let module = root().join("e2e/node");
    let version = version(&module)?;
    let (folder, _held) = hold(&name(&module, &version)?)?;
    let missing: Vec<_> = UPSTREAM
        .into_iter()
        .chain(OWN)
        .filter(|name| !folder.join(name).is_file())
        .filter(|name| !adopt(name, &version, &folder))
        .collect();
    if missing.is_empty() {
        return Ok(folder);
    }
    let go = go()?;
    let names = missing.join(", ");
    println!("building {names} of Kubernetes {version} with Go (ten minutes and more, once)");
    let start = Instant::now();
    for name in missing {
        let step = Instant::now();
        let mut command = build(&go, &module, name, &version, &folder);
        finish(&mut command, given_up)?;
        keep(&folder, name)?;
        println!("built {name} in {} s", step.elapsed().as_secs());
    }
    // Gigabytes that nobody needs once all is built.
    let _ = fs::remove_dir_all(scratch(&folder));
    println!(
        "built all in {} s: {}",
        start.elapsed().as_secs(),
        folder.display()
    );
    Ok(folder)
}

/// Whether [`provide`] can succeed, else why not.
pub(crate) fn available() -> Outcome {
    let module = root().join("e2e/node");
    let folder = cache(&name(&module, &version(&module)?)?)?;
    let complete = UPSTREAM
        .iter()
        .chain(&OWN)
        .all(|name| folder.join(name).is_file());
    if complete { Ok(()) } else { go().map(drop) }
}

/// Version that the module asks for, such as `1.34.4`.
fn version(module: &Path) -> Result<String, String> {
    let path = module.join("go.mod");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    required(&text).ok_or_else(|| format!("{}: no k8s.io/kubernetes", path.display()))
}

/// Name of the cache folder: other sources are other programs.
fn name(module: &Path, version: &str) -> Result<String, String> {
    let mut sources = DefaultHasher::new();
    let own = OWN.iter().map(|name| format!("{name}/main.go"));
    for file in ["go.mod".to_owned(), "go.sum".to_owned()]
        .into_iter()
        .chain(own)
    {
        let path = module.join(file);
        let text = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        text.hash(&mut sources);
    }
    Ok(format!(
        "kubernetes-{version}-{:08x}",
        sources.finish() as u32
    ))
}

fn required(go_mod: &str) -> Option<String> {
    let version = go_mod.lines().find_map(|line| {
        let line = line.trim().trim_start_matches("require ");
        line.strip_prefix("k8s.io/kubernetes v")
    })?;
    Some(version.split_whitespace().next()?.to_owned())
}

/// Links `name` into `folder` if the machine has it in the same minor version: in KUBEBUILDER_ASSETS or in PATH.
fn adopt(name: &str, version: &str, folder: &Path) -> bool {
    if OWN.contains(&name) {
        return false;
    }
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(|f| PathBuf::from(f).join(name));
    let Some(found) = assets.filter(|path| path.is_file()).or_else(|| find(name)) else {
        return false;
    };
    if !said_version(&found, name).is_some_and(|said| same_minor(&said, version)) {
        return false;
    }
    let link = folder.join(name);
    let _ = fs::remove_file(&link);
    let linked = std::os::unix::fs::symlink(&found, &link).is_ok();
    if linked {
        println!("taking {}", found.display());
    }
    linked
}

fn said_version(program: &Path, name: &str) -> Option<String> {
    let arguments: &[&str] = if name == "kubectl" {
        &["version", "--client"]
    } else {
        &["--version"]
    };
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (_, rest) = text.split_once(" v")?;
    Some(rest.split_whitespace().next()?.to_owned())
}

fn same_minor(one: &str, other: &str) -> bool {
    let minor = |version: &str| {
        version
            .split('.')
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    minor(one) == minor(other)
}

/// A Go that is new enough.
fn go() -> Result<PathBuf, String> {
    const HINT: &str = "hint: install Go from https://go.dev/dl/ into /usr/local/go, or set KUBEBUILDER_ASSETS to a \
                        folder that has all programs of Kubernetes";
    let usual = Some(PathBuf::from("/usr/local/go/bin/go")).filter(|path| path.is_file());
    let candidates: Vec<_> = find("go").into_iter().chain(usual).collect();
    let mut too_old = Vec::new();
    for go in candidates {
        let output = Command::new(&go).args(["env", "GOVERSION"]).output();
        let said = output.map_or_else(
            |_| String::new(),
            |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
        );
        if go_minor(&said).is_some_and(|minor| minor >= OLDEST_GO) {
            return Ok(go);
        }
        too_old.push(format!("{} is {said}", go.display()));
    }
    if too_old.is_empty() {
        return Err(format!("Go 1.{OLDEST_GO} or newer is not found\n{HINT}"));
    }
    Err(format!(
        "Go 1.{OLDEST_GO} or newer is needed, but {}\n{HINT}",
        too_old.join(", ")
    ))
}

/// 26 of `go1.26.8`.
fn go_minor(version: &str) -> Option<u32> {
    version
        .strip_prefix("go1.")?
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// Go's own cache while we build; kept if that is interrupted.
fn scratch(folder: &Path) -> PathBuf {
    folder.join("go-build")
}

/// Where a program is written: never under its own name, so that what is half written is not taken for built.
fn fresh(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.{}", std::process::id()))
}

fn keep(folder: &Path, name: &str) -> Outcome {
    let place = folder.join(name);
    fs::rename(fresh(folder, name), &place).map_err(|error| format!("{}: {error}", place.display()))
}

fn build(go: &Path, module: &Path, name: &str, version: &str, folder: &Path) -> Command {
    let minor = version.split('.').nth(1).unwrap_or_default();
    // Without these a program calls itself v0.0.0, and clients that look at the version misbehave.
    let flags = format!(
        "-s -w -X {VERSION_PACKAGE}.gitVersion=v{version} -X {VERSION_PACKAGE}.gitMajor=1 -X {VERSION_PACKAGE}.gitMinor={minor}"
    );
    let package = if OWN.contains(&name) {
        format!("./{name}")
    } else {
        format!("k8s.io/kubernetes/cmd/{name}")
    };
    let mut command = Command::new(go);
    command
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOCACHE", scratch(folder))
        .args(["build", "-trimpath", "-ldflags", &flags, "-o"])
        .arg(fresh(folder, name))
        .arg(package);
    command
}

/// Runs a command to its end, or ends it when we have given up.
fn finish(command: &mut Command, given_up: &AtomicBool) -> Outcome {
    let text = format!("{command:?}");
    let failed = |error: std::io::Error| format!("{text}: {error}");
    let mut child = command.spawn().map_err(failed)?;
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return if status.success() {
                Ok(())
            } else {
                Err(format!("{text}: {status}"))
            };
        }
        if given_up.load(Ordering::Relaxed) {
            let _ = child.kill();
            let _ = child.wait();
            return Err("given up".into());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let text = "module x\nrequire (\n\tk8s.io/api v0.0.0\n\tk8s.io/kubernetes v1.34.4 // indirect\n)\n";
        assert_eq!(required(text).as_deref(), Some("1.34.4"));
        assert_eq!(required("module x\n"), None);
        assert_eq!(go_minor("go1.26.8"), Some(26));
        assert_eq!(go_minor("go1.24rc1"), Some(24));
        assert_eq!(go_minor("devel"), None);
        assert!(same_minor("1.34.1", "1.34.4"));
        assert!(!same_minor("1.3.1", "1.34.4"));
    }

    #[test]
    fn the_module_names_a_version() {
        let version = version(&root().join("e2e/node")).expect("a version");
        assert!(version.starts_with("1."), "{version}");
    }
}
