//! The lines of `version`.

use std::collections::BTreeMap;

use crate::command::version::Versions;

/// One line for each part of the mesh.
pub(crate) fn lines(versions: &Versions) -> String {
    let mut text = format!("client version: {}\n", versions.client);
    if let Some(remote) = &versions.remote {
        for (version, _) in counted(&remote.control_planes) {
            text += &format!("control plane version: {version}\n");
        }
        text += &format!("data plane version: {}\n", proxies(&remote.proxies));
    }
    text
}

/// Only the numbers: of the client, and of the control planes.
pub(crate) fn short(versions: &Versions) -> String {
    let remote = versions
        .remote
        .iter()
        .flat_map(|remote| counted(&remote.control_planes));
    let all = std::iter::once(versions.client.as_str()).chain(remote.map(|(version, _)| version));
    all.map(|version| format!("{version}\n")).collect()
}

/// `<version> (<number> proxies), …`.
fn proxies(named: &[(String, String)]) -> String {
    let counts = counted(named).into_iter();
    let counts = counts.map(|(version, count)| format!("{version} ({count} proxies)"));
    match counts.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "none".to_owned(),
        some => some,
    }
}

/// Each version and how many have it.
fn counted(named: &[(String, String)]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for (_, version) in named {
        *counts.entry(version.as_str()).or_default() += 1;
    }
    counts
}
