//! What this proxy does not execute is refused with its place, above all what bears on security.
//!
//! Each row changes one place of a resource that a real istiod served, and names the answer.

mod cluster;
mod filter;
mod listener;
mod policy;
mod route;
mod tls;

use anyhow::{Context, Result};
use mesh_xds::{
    json::{Pool, Style},
    resource::Resource,
};
use serde_json::Value as Json;

const NGINX: &str = include_str!("../../testdata/captures/article/nginx.config_dump.json");
const NOT_EXECUTED: &str = "is set, and this proxy does not execute it";

/// The served resource of type `R` called `name`, as JSON.
fn served<R: Resource>(pool: &Pool, name: &str) -> Result<Json> {
    let dump = mesh_xds::json::resources(pool, &serde_json::from_str(NGINX)?)?;
    let found = dump.resources.into_iter();
    let mut found = found.filter(|r| r.type_url == R::TYPE_URL && r.name == name);
    let found = found
        .next()
        .with_context(|| format!("nothing served as {name}"))?;
    Ok(pool.print_any(R::TYPE_URL, &found.bytes, Style::Envoy)?)
}

/// The errors of `resource` with `value` put at the JSON pointer `place`, whose parents exist.
fn errors<R: Resource>(
    pool: &Pool,
    resource: &Json,
    place: &str,
    value: Json,
) -> Result<Vec<String>> {
    let mut changed = resource.clone();
    changed
        .as_object_mut()
        .context("an object")?
        .remove("@type");
    let (parent, name) = place.rsplit_once('/').context("a pointer")?;
    match changed
        .pointer_mut(parent)
        .with_context(|| format!("{parent} exists"))?
    {
        Json::Array(list) => list.insert(name.parse()?, value),
        parent => parent[name] = value,
    }
    let type_name = R::TYPE_URL.rsplit('/').next().unwrap_or_default();
    let bytes = pool
        .read(type_name, &changed)
        .with_context(|| place.to_owned())?;
    Ok(match R::decode(&bytes) {
        Ok(_) => vec![],
        Err(invalid) => invalid.errors.iter().map(ToString::to_string).collect(),
    })
}

/// Asserts for each row of place, value and what is said about it that it is said, and nothing else.
fn expect_refusals<R: Resource>(name: &str, rows: Vec<(&str, Json, &str)>) -> Result<()> {
    let pool = Pool::load();
    let resource = served::<R>(&pool, name)?;
    for (place, value, want) in rows {
        let found = errors::<R>(&pool, &resource, place, value)?;
        assert_eq!(found, [want], "{place}");
    }
    Ok(())
}
