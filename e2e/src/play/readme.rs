//! The README's quick start for a cluster, typed as it stands there: it prints what is printed there.

use super::{Form, mesh::Mesh};
use crate::{
    cluster::{Cluster, Namespace},
    image::MESH,
    kubectl::{Kubectl, SETTLING, eventually},
};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

const README: &str = include_str!("../../../README.md");
const MANIFEST: &str = include_str!("../../manifests/shop.yaml");
const NAMESPACE: &str = "shop";
/// What stands for the reader's own registry, and for the name of a pod.
const REGISTRY: &str = "hub=registry.example.org/mesh";
const POD: &str = "web-7c79c4bf97-7985c";

/// Plays it.
pub(crate) fn play(cluster: &dyn Cluster, _: &Form) -> Result<()> {
    let kubectl = cluster.kubectl();
    let _namespace = Namespace::new(kubectl, NAMESPACE)?;
    let manifest = cluster.manifest(MANIFEST);
    kubectl.apply_text(&manifest, &["-n", NAMESPACE])?;
    kubectl.rolled_out(NAMESPACE, "web")?;
    let _mesh = Mesh::to_be_installed(cluster)?;
    let commands = commands(README)?;
    println!("  {} commands of the README", commands.len());
    for (line, printed) in &commands {
        let typed = line.replace(REGISTRY, &format!("image={}", cluster.image(MESH)));
        // Once is enough for what changes something; what looks may be too early.
        let patience = if line.starts_with("meshctl -n") {
            SETTLING
        } else {
            Duration::ZERO
        };
        eventually(patience, || {
            let seen = kubectl.shell(&typed)?;
            let want = printed.replace(POD, &pod(kubectl)?);
            ensure!(
                seen.trim_end() == want.trim_end(),
                "{typed}\nprints\n{seen}\nrather than\n{want}"
            );
            Ok(())
        })?;
        if line.contains("rollout restart") {
            kubectl.rolled_out(NAMESPACE, "web")?;
        }
    }
    println!("  each prints what the README shows");
    Ok(())
}

/// The pod that is not about to end.
fn pod(kubectl: &Kubectl) -> Result<String> {
    let pods = kubectl.json(&["-n", NAMESPACE, "get", "pods", "-l", "app=web"])?;
    let mut pods = pods["items"].as_array().into_iter().flatten();
    let pod = pods.find(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    let name = pod.and_then(|pod| pod["metadata"]["name"].as_str());
    name.map(str::to_owned).context("no pod")
}

/// The commands of the README's part on clusters, each with what it prints.
fn commands(readme: &str) -> Result<Vec<(String, String)>> {
    let (_, part) = readme
        .split_once("\n## On a cluster\n")
        .context("that part")?;
    let (part, _) = part.split_once("\n## ").context("its end")?;
    let blocks = part.split("```console\n").skip(1);
    let blocks = blocks
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block);
    let all = blocks.flat_map(|block| block.split("$ ").skip(1).collect::<Vec<_>>());
    Ok(all
        .filter_map(|one| one.split_once('\n'))
        .map(|(command, output)| (command.to_owned(), output.to_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_three_commands_that_put_workloads_into_the_mesh() {
        let all = commands(README).expect("commands");
        assert!(all[0].0.contains(REGISTRY), "{all:?}");
        assert!(all[2].0.contains("rollout restart") && all[2].1.lines().count() == 1);
        assert!(all.iter().all(|(_, output)| !output.is_empty()), "{all:?}");
        assert!(all.iter().any(|(_, output)| output.contains(POD)));
    }
}
