//! The mesh on a cluster, installed as a person installs it.

use crate::{
    cluster::Cluster,
    image::MESH,
    kubectl::{Kubectl, eventually},
};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// Where it is installed.
pub(super) const SYSTEM: &str = "istio-system";

/// Sidecars as a pod's ordinary containers, and applications that do not wait for them.
pub(super) const CLASSIC: &[&str] = &["values.pilot.env.ENABLE_NATIVE_SIDECARS=false"];

/// The installed mesh. Goes, with all that belongs to it, when it is dropped.
pub(super) struct Mesh<'a> {
    kubectl: &'a Kubectl,
    image: String,
}

impl<'a> Mesh<'a> {
    /// Installs it with further settings, as `--set` takes them, and waits until it is ready.
    ///
    /// # Errors
    /// If there is one already: it is not ours, and so is left alone.
    pub(super) fn install(cluster: &'a dyn Cluster, settings: &[&str]) -> Result<Self> {
        let mesh = Self::to_be_installed(cluster)?;
        let start = Instant::now();
        mesh.set(settings)?;
        println!(
            "  the mesh is ready after {:.1} s",
            start.elapsed().as_secs_f32()
        );
        Ok(mesh)
    }

    /// For who installs it himself: it goes all the same.
    ///
    /// # Errors
    /// As [`Self::install`].
    pub(super) fn to_be_installed(cluster: &'a dyn Cluster) -> Result<Self> {
        let kubectl = cluster.kubectl();
        ensure!(
            kubectl.text(&["get", "namespace", SYSTEM]).is_err(),
            "there is a namespace {SYSTEM} already, which is not ours"
        );
        Ok(Self {
            kubectl,
            image: cluster.image(MESH),
        })
    }

    /// Installs it over what is there, and waits until it is ready.
    pub(super) fn set(&self, settings: &[&str]) -> Result<()> {
        let log = ["meshConfig.accessLogFile=/dev/stdout"];
        let settings = log.iter().chain(settings);
        let settings: String = settings.map(|set| format!(" --set {set}")).collect();
        let line = format!(
            "meshctl install --set image={}{settings} --readiness-timeout 120s",
            self.image
        );
        let installed = self.kubectl.shell(&line).and_then(|_| self.settled());
        installed.map_err(|error| error.context(self.pods()))
    }

    /// Waits until no pod of an earlier installation is left: while it ends it still answers the API server.
    fn settled(&self) -> Result<()> {
        eventually(Duration::from_secs(60), || {
            let pods = self.kubectl.json(&["-n", SYSTEM, "get", "pods"])?;
            let mut pods = pods["items"].as_array().into_iter().flatten();
            let ending = pods.find(|pod| !pod["metadata"]["deletionTimestamp"].is_null());
            ensure!(
                ending.is_none(),
                "a pod of the earlier installation still ends"
            );
            Ok(())
        })
    }

    /// What is wrong with its pods, for who looks at a failure.
    fn pods(&self) -> String {
        let said = |line: &str| self.kubectl.shell(line).unwrap_or_default();
        format!(
            "{}\n{}",
            said(&format!("kubectl -n {SYSTEM} get pods -o wide")),
            said(&format!(
                "for pod in $(kubectl -n {SYSTEM} get pods -o name); do kubectl -n {SYSTEM} logs --tail=20 $pod 2>&1; done"
            ))
        )
    }

    /// Removes it, and makes sure that nothing is left.
    pub(super) fn remove(self) -> Result<()> {
        let kubectl = self.kubectl;
        drop(self);
        let left = kubectl
            .shell(
                "kubectl get ns,crd,clusterrole,clusterrolebinding,mutatingwebhookconfiguration -o name; \
                 kubectl get configmap -A -o name",
            )
            .context("what is left")?;
        let mut left = left.lines().filter(|line| line.contains("istio"));
        ensure!(left.next().is_none(), "uninstall leaves {left:?}");
        Ok(())
    }
}

impl Drop for Mesh<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.kubectl.shell("meshctl uninstall --purge -y") {
            eprintln!("warning: the mesh is left behind: {error:#}");
        }
    }
}
