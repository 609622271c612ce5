//! The mesh's image in the place of Istio's, called as Istio's injection calls it: it lays the rules of a pod, and the
//! pod's network shows them as the article does.

use super::{Form, pod};
use crate::{
    cluster::{Cluster, Namespace},
    image::MESH,
    kubectl::Kubectl,
};
use anyhow::{Result, ensure};

const MANIFEST: &str = include_str!("../../manifests/rules.yaml");
const WANT: &str = include_str!("../../tests/article/iptables.txt");
const NAMESPACE: &str = "rules";

/// Plays it.
pub(crate) fn play(cluster: &dyn Cluster, _: &Form) -> Result<()> {
    let kubectl = cluster.kubectl();
    let _namespace = Namespace::new(kubectl, NAMESPACE)?;
    let manifest = cluster.manifest(&MANIFEST.replace("mesh-proxy:latest", &cluster.image(MESH)));
    kubectl.apply_text(&manifest, &[])?;
    kubectl.rolled_out(NAMESPACE, "test")?;
    println!("  a pod with istio-init runs");
    names(kubectl)?;
    if let Some(pid) = pod::process(cluster, NAMESPACE, "app=test")? {
        let dump = pod::enter(cluster, &pid, &["-n"], &["iptables-save", "-t", "nat"])?;
        let seen = without_counters(&dump);
        ensure!(seen == WANT, "the rules are not the article's:\n{seen}");
        println!("  iptables-save in its network prints what the article prints");
    }
    Ok(())
}

/// The image answers to the names of Istio's; that it is no root by itself, kubelet has checked (`runAsNonRoot`).
fn names(kubectl: &Kubectl) -> Result<()> {
    let proxy = |command: &str| {
        kubectl.shell(&format!(
            "kubectl -n {NAMESPACE} exec deploy/test -c istio-proxy -- {command}"
        ))
    };
    let version = proxy("pilot-agent --version")?;
    ensure!(
        version.contains(env!("CARGO_PKG_VERSION")),
        "pilot-agent is {version}"
    );
    for variant in ["nf_tables", "legacy"] {
        let program = if variant == "legacy" {
            "iptables-legacy"
        } else {
            "iptables-nft"
        };
        let version = proxy(&format!("{program} --version"))?;
        ensure!(version.contains(variant), "{program} is {version}");
    }
    println!("  the image has Istio's names and both variants of iptables, and is not root");
    Ok(())
}

/// A dump without comments and counters.
pub(super) fn without_counters(dump: &str) -> String {
    let lines = dump.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let line = if line.starts_with(':') {
                line.split(" [").next().unwrap_or(line)
            } else {
                line
            };
            format!("{}\n", line.trim_end())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_comments_are_left_out() {
        let dump = "# made today\n*nat\n:OUTPUT ACCEPT [3:180]\n-A OUTPUT -j X \nCOMMIT\n# done\n";
        assert_eq!(
            without_counters(dump),
            "*nat\n:OUTPUT ACCEPT\n-A OUTPUT -j X\nCOMMIT\n"
        );
    }
}
