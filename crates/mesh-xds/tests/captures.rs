//! What a real istiod served for the article's objects decodes with nothing refused, and what has no effect is known.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use mesh_model::{
    cluster::Cluster, endpoint::ClusterLoadAssignment, listener::Listener,
    route::RouteConfiguration, secret::Secret,
};
use mesh_xds::{
    json::{self, Pool, Style},
    resource::{Decoded, Ignored, Resource, ResourceType},
};
use serde_json::Value as Json;
use std::{fmt::Debug, fmt::Write, fs, path::Path};

const TESTDATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/captures");

#[test]
fn everything_of_the_article_decodes() -> Result<()> {
    let mut found = String::new();
    for pod in ["nginx", "test"] {
        for resource in captured("article", pod)? {
            let kind = known(&resource)?;
            let name = format!("{} {} of {pod}", kind.short(), resource.name);
            let ignored = decode(kind, &resource.bytes).context(name.clone())?;
            writeln!(found, "{name}")?;
            for field in ignored {
                writeln!(found, "  {field}")?;
            }
        }
    }
    expect_golden("article.ignored.txt", &found)
}

/// Subsets, outlier detection, pools, consistent hashes, names: the clusters of a larger mesh.
#[test]
fn clusters_of_a_shop_decode() -> Result<()> {
    for pod in ["web", "cart", "legacy"] {
        let resources = captured("shop-clusters", pod)?;
        ensure!(resources.len() > 3, "{} of {pod}", resources.len());
        for resource in resources {
            let kind = known(&resource)?;
            let name = format!("{} {} of {pod}", kind.short(), resource.name);
            decode(kind, &resource.bytes).context(name)?;
        }
    }
    Ok(())
}

/// The other half of "nothing is dropped in silence": what is neither ignored nor kept must not exist.
#[test]
fn what_is_not_listed_as_ignored_is_kept() -> Result<()> {
    let pool = Pool::load();
    for pod in ["nginx", "test"] {
        for resource in captured("article", pod)? {
            let kind = known(&resource)?;
            let print = |bytes: &[u8]| pool.print_any(kind.type_url(), bytes, Style::Envoy);
            let (ignored, again) = reencode(kind, &resource.bytes)?;
            let mut lost = Vec::new();
            collect_lost(&print(&resource.bytes)?, &print(&again)?, "", &mut lost);
            let listed = |place: &String| ignored.iter().any(|i| place.starts_with(&i.path));
            lost.retain(|place| !listed(place) && !SAYS_NOTHING.iter().any(|n| place.ends_with(n)));
            ensure!(lost.is_empty(), "{} of {pod} lost {lost:#?}", resource.name);
        }
    }
    Ok(())
}

/// Messages without content that say no more than their absence.
const SAYS_NOTHING: [&str; 2] = [
    "common_lb_config",
    "default_filter_chain.filter_chain_match",
];

/// The places of what `kept` does not say as `original` does. A value that differs counts as lost.
fn collect_lost(original: &Json, kept: &Json, place: &str, lost: &mut Vec<String>) {
    match (original, kept) {
        (Json::Object(original), Json::Object(kept)) => {
            for (name, value) in original {
                let dot = if place.is_empty() { "" } else { "." };
                let kept = kept.get(name).unwrap_or(&Json::Null);
                collect_lost(value, kept, &format!("{place}{dot}{name}"), lost);
            }
        }
        (Json::Array(original), Json::Array(kept)) => {
            for (i, value) in original.iter().enumerate() {
                let kept = kept.get(i).unwrap_or(&Json::Null);
                collect_lost(value, kept, &format!("{place}[{i}]"), lost);
            }
        }
        _ if original == kept => {}
        _ => lost.push(place.to_owned()),
    }
}

fn captured(folder: &str, pod: &str) -> Result<Vec<json::Resource>> {
    let path = Path::new(TESTDATA)
        .join(folder)
        .join(format!("{pod}.config_dump.json"));
    let dump = serde_json::from_slice(&fs::read(path)?)?;
    Ok(json::resources(&Pool::load(), &dump)?.resources)
}

fn known(resource: &json::Resource) -> Result<ResourceType> {
    let known = ResourceType::from_type_url(&resource.type_url);
    known.with_context(|| format!("{} is known", resource.type_url))
}

/// What is ignored of a resource. What is kept must survive our own encoding.
fn decode(kind: ResourceType, bytes: &[u8]) -> Result<Vec<Ignored>> {
    reencode(kind, bytes).map(|(ignored, _)| ignored)
}

/// What is ignored of a resource, and the rest of it as we encode it.
fn reencode(kind: ResourceType, bytes: &[u8]) -> Result<(Vec<Ignored>, Bytes)> {
    match kind {
        ResourceType::Cluster => reencode_as::<Cluster>(bytes),
        ResourceType::Endpoint => reencode_as::<ClusterLoadAssignment>(bytes),
        ResourceType::Listener => reencode_as::<Listener>(bytes),
        ResourceType::Route => reencode_as::<RouteConfiguration>(bytes),
        ResourceType::Secret => reencode_as::<Secret>(bytes),
        other => anyhow::bail!("{other:?} is no resource of a proxy's configuration"),
    }
}

fn reencode_as<T: Resource + Debug + PartialEq>(bytes: &[u8]) -> Result<(Vec<Ignored>, Bytes)> {
    let Decoded { value, ignored } = T::decode(bytes)?;
    let bytes = value.encode();
    let again = T::decode(&bytes)?;
    ensure!(
        again.value == value,
        "changed by our own encoding: {value:#?}"
    );
    ensure!(
        again.ignored.is_empty(),
        "ignored of our own encoding: {:?}",
        again.ignored
    );
    Ok((ignored, bytes))
}

fn expect_golden(file: &str, found: &str) -> Result<()> {
    let path = Path::new(TESTDATA).join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found)?;
    }
    let golden = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let differs = found
        .lines()
        .zip(golden.lines())
        .find(|(found, golden)| found != golden);
    ensure!(
        found == golden,
        "{file} differs, first at {differs:?}\nhint: UPDATE_GOLDEN=1 rewrites it; read the difference before you commit it"
    );
    Ok(())
}
