//! Everything that the article's proxies are sent, in full. `UPDATE_GOLDEN=1` writes the files anew.

use super::*;
use std::{env, fs, path::Path};

#[test]
fn the_client() {
    compare("test.json", &proxy(TEST, EVERYTHING));
}

#[test]
fn the_server() {
    compare("nginx.json", &proxy(NGINX, EVERYTHING));
}

#[test]
fn a_client_without_extensions() {
    compare("plain-envoy.json", &proxy(TEST, NOTHING));
}

fn compare(file: &str, proxy: &Proxy) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/article")
        .join(file);
    let ours = format!("{:#}\n", all(&world(ARTICLE), proxy));
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &ours).expect("written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let line = golden
        .lines()
        .zip(ours.lines())
        .position(|(golden, ours)| golden != ours);
    assert!(
        golden == ours,
        "{} differs in line {:?}; UPDATE_GOLDEN=1 writes it anew",
        path.display(),
        line.map(|line| line + 1)
    );
}

/// Everything that a proxy is sent.
fn all(world: &World, proxy: &Proxy) -> Json {
    let routes = route_names(world, proxy);
    let routes = routes.iter().filter_map(|name| route(world, proxy, name));
    let assignments = endpoint_names(world, proxy);
    let assignments = assignments
        .iter()
        .filter_map(|name| endpoints(world, proxy, name));
    serde_json::json!({
        "clusters": clusters(world, proxy).iter().map(json).collect::<Vec<_>>(),
        "endpoints": assignments.map(|assignment| json(&assignment)).collect::<Vec<_>>(),
        "listeners": listeners(world, proxy).iter().map(json).collect::<Vec<_>>(),
        "routes": routes.map(|route| json(&route)).collect::<Vec<_>>(),
    })
}
