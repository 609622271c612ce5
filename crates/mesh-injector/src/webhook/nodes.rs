//! Which kubelets of the cluster are new: run native sidecars by default, and know the hook `sleep`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kube::{Api, Client, api::ListParams};
use mesh_api::k8s::api::core::v1::Node;
use mesh_runtime::{readiness::Condition, shutdown::Shutdown};

use super::live::Live;

/// The minor version of Kubernetes from which on native sidecars are out of beta; the hook `sleep` is since 1.30.
const SINCE: u32 = 33;
/// How often nodes are looked at: they come and go slowly.
const INTERVAL: Duration = Duration::from_secs(60);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(2);
/// Nodes in one answer of the API server.
const PAGE: u32 = 500;

/// Keeps `live` up to date until the end; `first` is met when it is known, or cannot be.
pub async fn run(client: Client, live: Arc<Live>, first: Condition, shutdown: Shutdown) {
    let api: Api<Node> = Api::all(client);
    let mut first = Some(first);
    loop {
        let (known, wait) = match kubelets(&api).await {
            Ok(kubelets) => {
                live.set_kubelets(kubelets);
                (true, INTERVAL)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot see how old the kubelets are");
                // Forbidden stays forbidden; what we have been told to assume then holds.
                (
                    matches!(&error, kube::Error::Api(status) if status.code == 403),
                    PAUSE,
                )
            }
        };
        if known && let Some(condition) = first.take() {
            condition.met();
        }
        let wait = if known { INTERVAL } else { wait };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.begun() => return,
        }
    }
}

/// Whether every kubelet of the cluster runs native sidecars by default; false if there is no node.
///
/// # Errors
/// If the API server does not list the nodes.
pub async fn all_are_new(api: &Api<Node>) -> kube::Result<bool> {
    let kubelets = kubelets(api).await?;
    Ok(!kubelets.is_empty() && kubelets.values().all(|new| *new))
}

/// Whether each kubelet runs native sidecars by default, by the name of its node.
///
/// # Errors
/// If the API server does not list the nodes.
pub async fn kubelets(api: &Api<Node>) -> kube::Result<BTreeMap<String, bool>> {
    let mut params = ListParams::default().limit(PAGE);
    let mut kubelets = BTreeMap::new();
    loop {
        let page = api.list(&params).await?;
        let nodes = page.items.iter();
        kubelets.extend(nodes.filter_map(|node| Some((node.metadata.name.clone()?, is_new(node)))));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(kubelets),
        }
    }
}

fn is_new(node: &Node) -> bool {
    let info = node
        .status
        .as_ref()
        .and_then(|status| status.node_info.as_ref());
    info.and_then(|info| minor(&info.kubelet_version))
        .is_some_and(|minor| minor >= SINCE)
}

/// `33` of `v1.33.2-eks-1`.
fn minor(version: &str) -> Option<u32> {
    let mut parts = version.trim_start_matches('v').split('.');
    let major: u32 = parts.next()?.parse().ok()?;
    let digits = parts.next()?;
    let digits = digits.split(|c: char| !c.is_ascii_digit()).next()?;
    let minor: u32 = digits.parse().ok()?;
    Some(if major > 1 { u32::MAX } else { minor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minors_are_read() {
        let rows = [
            ("v1.33.2", Some(33)),
            ("v1.34.4-eks-1", Some(34)),
            ("v1.28+", Some(28)),
            ("1.29", Some(29)),
            ("v2.0.0", Some(u32::MAX)),
            ("", None),
            ("v1", None),
            ("x.y", None),
        ];
        for (version, expected) in rows {
            assert_eq!(minor(version), expected, "{version}");
        }
    }
}
