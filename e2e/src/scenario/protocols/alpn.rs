//! Who is offered `istio-peer-exchange`: mesh-proxy, which speaks it, and not a plain Envoy, which does not.

use super::cluster::{Cluster, ENVOY, ONE, Workload};
use anyhow::{Result, ensure};
use mesh_model::port;
use serde_json::Value;

const EXCHANGE: &str = "istio-peer-exchange";

/// Reads it from the configuration that both run with.
pub(super) fn judge(cluster: &Cluster) -> Result<()> {
    let ours = offered(cluster, ONE)?;
    ensure!(
        ours.iter().any(|list| list.iter().any(|p| p == EXCHANGE)),
        "mesh-proxy is not offered {EXCHANGE}: {ours:?}"
    );
    let theirs = offered(cluster, ENVOY)?;
    ensure!(
        theirs.iter().any(|list| list.iter().any(|p| p == "istio")),
        "Envoy speaks no mutual TLS: {theirs:?}"
    );
    ensure!(
        !theirs.iter().flatten().any(|p| p == EXCHANGE),
        "Envoy is offered {EXCHANGE}: {theirs:?}"
    );
    println!("{EXCHANGE}: offered to mesh-proxy, not to Envoy");
    Ok(())
}

/// Every list of protocols that a TLS context of `workload` has, each once.
fn offered(cluster: &Cluster, workload: Workload) -> Result<Vec<Vec<String>>> {
    let dump = cluster.get(workload, port::ADMIN, "/config_dump")?;
    let mut lists = Vec::new();
    collect(&serde_json::from_str(&dump)?, &mut lists);
    lists.sort();
    lists.dedup();
    Ok(lists)
}

fn collect(value: &Value, lists: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_array() {
                    Some(list) if name == "alpn_protocols" => lists.push(
                        list.iter()
                            .filter_map(|p| p.as_str().map(str::to_owned))
                            .collect(),
                    ),
                    _ => collect(value, lists),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, lists)),
        _ => {}
    }
}
