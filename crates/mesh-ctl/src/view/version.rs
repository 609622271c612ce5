//! The lines of `version`.

use std::collections::BTreeMap;

use crate::command::version::Versions;

/// One line for each version that something has.
pub(crate) fn lines(versions: &Versions) -> String {
    let mut text = client(versions);
    if let Some(remote) = &versions.remote {
        let planes = remote.control_planes.iter();
        for (version, _) in counted(planes.map(|plane| plane.version.as_str())) {
            text += &format!("control plane version: {version}\n");
        }
        text += &format!("data plane version: {}\n", proxies(&remote.proxies));
    }
    text
}

/// One line for each part of the mesh.
pub(crate) fn parts(versions: &Versions) -> String {
    let mut text = client(versions);
    if let Some(remote) = &versions.remote {
        for plane in &remote.control_planes {
            let revision = plane.revision.as_deref().unwrap_or("default");
            let (name, version) = (&plane.name, &plane.version);
            text += &format!("control plane {name} (revision {revision}) version: {version}\n");
        }
        for (name, version) in &remote.proxies {
            text += &format!("proxy {name} version: {version}\n");
        }
    }
    text
}

fn client(versions: &Versions) -> String {
    format!("client version: {}\n", versions.client)
}

/// `<version> (<number> proxies), …`.
fn proxies(named: &[(String, String)]) -> String {
    let counts = counted(named.iter().map(|(_, version)| version.as_str())).into_iter();
    let counts = counts.map(|(version, count)| format!("{version} ({count} proxies)"));
    match counts.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "none".to_owned(),
        some => some,
    }
}

/// Each version and how many have it.
fn counted<'a>(versions: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for version in versions {
        *counts.entry(version).or_default() += 1;
    }
    counts
}
