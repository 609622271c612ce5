//! A cluster in containers of Docker, made by kind. Goes when it is dropped.

use super::Cluster;
use crate::{
    image::{self, Image, Layout},
    kubectl::{Kubectl, eventually},
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// How long its API server may take to stop or to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// A kind cluster of our own.
pub(crate) struct Kind {
    program: PathBuf,
    docker: PathBuf,
    name: String,
    folder: tempfile::TempDir,
    kubectl: Kubectl,
    kept: bool,
}

impl Kind {
    /// Creates a cluster and loads our images into it. `nginx:latest` and its like it pulls by itself.
    pub(crate) fn create(programs: &Path, kept: bool, say: &dyn Fn(&str)) -> Result<Self> {
        let kubectl = image::find("kubectl")?;
        let docker = image::find("docker")?;
        let images = [image::client(programs)?, image::mesh(programs)?];
        let mut kind = Self::new(image::find("kind")?, docker, kubectl, kept)?;
        say(&format!("kind cluster {}", kind.name));
        kind.start()?;
        for image in images {
            say(&format!("loading {}", image.name));
            kind.load(&image)?;
        }
        Ok(kind)
    }

    fn new(program: PathBuf, docker: PathBuf, kubectl: PathBuf, kept: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let kubeconfig = folder.path().join("kubeconfig");
        Ok(Self {
            program,
            docker,
            name: format!("mesh-e2e-{}", std::process::id()),
            folder,
            kubectl: Kubectl::new(kubectl, Some(kubeconfig)),
            kept,
        })
    }

    fn kubeconfig(&self) -> String {
        self.folder.path().join("kubeconfig").display().to_string()
    }

    fn start(&mut self) -> Result<()> {
        let kubeconfig = self.kubeconfig();
        self.kind(&[
            "create",
            "cluster",
            "--wait",
            "180s",
            "--kubeconfig",
            &kubeconfig,
        ])
    }

    fn load(&self, image: &Image) -> Result<()> {
        let mut layout = Layout::new(&self.folder.path().join("layout"))?;
        layout.add(image)?;
        let archive = self.folder.path().join("image.tar");
        layout.archive(&archive)?;
        self.kind(&["load", "image-archive", &archive.display().to_string()])
    }

    fn kind(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.program);
        let command = command.args(arguments).args(["--name", &self.name]);
        let output = command.output().context("kind")?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("kind {}: {}", arguments.join(" "), complaint.trim());
        }
        Ok(())
    }
}

impl Cluster for Kind {
    fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    fn on_node(&self, program: &str) -> Option<Command> {
        let mut command = Command::new(&self.docker);
        // kind names its only node so.
        command.args(["exec", &format!("{}-control-plane", self.name), program]);
        Some(command)
    }

    fn api_server(&self, up: bool) -> Result<()> {
        // kubelet runs what has a manifest in its folder, and stops what has none any more.
        let (manifest, aside) = (
            "/etc/kubernetes/manifests/kube-apiserver.yaml",
            "/root/kube-apiserver.yaml",
        );
        let (from, to) = if up {
            (aside, manifest)
        } else {
            (manifest, aside)
        };
        let mut command = self.on_node("mv").context("a node")?;
        let status = command.args([from, to]).status().context("docker")?;
        ensure!(status.success(), "{command:?}: {status}");
        let answers = || self.kubectl.text(&["get", "--raw", "/readyz"]);
        eventually(PATIENCE, || {
            ensure!(answers().is_ok() == up, "the API server is still as it was");
            Ok(())
        })
    }

    fn directions(&self) -> String {
        let (name, path) = (&self.name, self.kubeconfig());
        format!(
            "kubectl --kubeconfig {path} get pods -A    (end it: kind delete cluster --name {name})"
        )
    }
}

impl Drop for Kind {
    fn drop(&mut self) {
        if self.kept {
            self.folder.disable_cleanup(true);
            return;
        }
        if let Err(error) = self.kind(&["delete", "cluster", "--kubeconfig", &self.kubeconfig()]) {
            eprintln!(
                "warning: the kind cluster {} is left behind: {error:#}",
                self.name
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Run, Tree};
    use std::{fs, os::unix::fs::PermissionsExt};

    /// Writes down how it is called, and keeps the archive that it is given.
    const RECORDER: &str = "#!/bin/sh
here=$(dirname \"$0\")
echo \"$@\" >> \"$here/calls\"
if [ \"$2\" = image-archive ]; then cp \"$3\" \"$here/archive\"; fi
";

    /// The same for a docker: without its manifest, the API server does not answer.
    const DOCKER: &str = "#!/bin/sh
here=$(dirname \"$0\")
echo \"$@\" >> \"$here/calls\"
case \"$4\" in
/etc/kubernetes/manifests/*) touch \"$here/down\" ;;
/root/*) rm \"$here/down\" ;;
esac
";
    const KUBECTL: &str = "#!/bin/sh
here=$(dirname \"$0\")
echo \"$@\" >> \"$here/asked\"
[ ! -e \"$here/down\" ]
";

    fn program(folder: &Path, name: &str, text: &str) -> PathBuf {
        let program = folder.join(name);
        fs::write(&program, text).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
        program
    }

    fn recorder(folder: &Path) -> PathBuf {
        program(folder, "kind", RECORDER)
    }

    #[test]
    fn the_node_is_a_container() {
        let folder = tempfile::tempdir().expect("a folder");
        let docker = program(folder.path(), "docker", DOCKER);
        let kubectl = program(folder.path(), "kubectl", KUBECTL);
        let kind = Kind::new(recorder(folder.path()), docker, kubectl, true).expect("new");
        assert!(!kind.shares_our_network());
        let mut ctr = kind.on_node("ctr").expect("a node");
        assert!(
            ctr.args(["tasks", "list"])
                .status()
                .expect("runs")
                .success()
        );
        kind.api_server(false).expect("stopped");
        assert!(folder.path().join("down").exists());
        kind.api_server(true).expect("started");

        let calls = fs::read_to_string(folder.path().join("calls")).expect("calls");
        let node = format!("exec {}-control-plane", kind.name);
        let (manifest, aside) = (
            "/etc/kubernetes/manifests/kube-apiserver.yaml",
            "/root/kube-apiserver.yaml",
        );
        let want = [
            format!("{node} ctr tasks list"),
            format!("{node} mv {manifest} {aside}"),
            format!("{node} mv {aside} {manifest}"),
        ];
        assert_eq!(calls.lines().collect::<Vec<_>>(), want);
        let asked = fs::read_to_string(folder.path().join("asked")).expect("asked");
        assert_eq!(asked, "--request-timeout=60s get --raw /readyz\n".repeat(2));
        fs::remove_dir_all(kind.folder.path()).expect("removed");
    }

    #[test]
    fn a_cluster_is_created_gets_images_and_is_deleted() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut kind = Kind::new(
            recorder(folder.path()),
            "docker".into(),
            "kubectl".into(),
            false,
        )
        .expect("new");
        let (name, config) = (kind.name.clone(), kind.kubeconfig());
        let archive = kind.folder.path().join("image.tar").display().to_string();
        kind.start().expect("created");
        let image = Image {
            name: "motd:1".parse().expect("a name"),
            tree: Tree::new(),
            run: Run::default(),
        };
        kind.load(&image).expect("loaded");
        drop(kind);
        let calls = fs::read_to_string(folder.path().join("calls")).expect("calls");
        let want = [
            format!("create cluster --wait 180s --kubeconfig {config} --name {name}"),
            format!("load image-archive {archive} --name {name}"),
            format!("delete cluster --kubeconfig {config} --name {name}"),
        ];
        assert_eq!(calls.lines().collect::<Vec<_>>(), want);
        let loaded = fs::File::open(folder.path().join("archive")).expect("an archive");
        let mut loaded = tar::Archive::new(loaded);
        let index = loaded.entries().expect("entries").flatten().find(|entry| {
            entry
                .path()
                .is_ok_and(|path| path == Path::new("index.json"))
        });
        let index: serde_json::Value =
            serde_json::from_reader(index.expect("an index")).expect("JSON");
        let name = &index["manifests"][0]["annotations"]["io.containerd.image.name"];
        assert_eq!(name, "docker.io/library/motd:1");
    }

    #[test]
    fn what_kind_says_is_passed_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = recorder(folder.path());
        fs::write(&program, "#!/bin/sh\necho no docker >&2\nexit 1\n").expect("written");
        let mut kind = Kind::new(program, "docker".into(), "kubectl".into(), true).expect("new");
        let why = kind.start().expect_err("kind fails").to_string();
        assert!(why.contains("no docker"), "{why}");
        kind.kept = false;
    }
}
