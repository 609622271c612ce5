//! What we encode, a real Envoy takes.
//!
//! Not run by itself: it needs the path of an Envoy in `ENVOY`. Each case is one bootstrap with an arbitrary
//! listener and an arbitrary cluster, without Istio's extensions, given to `envoy --mode validate`.

use super::{cluster, listener};
use crate::{
    json::{Pool, Style},
    resource::Resource,
};
use anyhow::{Context, Result, ensure};
use mesh_model::{
    access_log::AccessLog,
    cluster::{Cluster, Transport},
    filter::NetworkFilter,
    http::HttpFilter,
    listener::{FilterChain, Listener},
    policy::jwt::{JwtAuthn, Keys},
};
use proptest::{strategy::Strategy, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value as Json, json};
use std::process::Command;

const CASES: usize = 100;

#[test]
#[ignore = "envoy: needs an Envoy, named by ENVOY"]
fn a_plain_envoy_takes_what_we_encode() -> Result<()> {
    let envoy = std::path::absolute(std::env::var_os("ENVOY").context("ENVOY is not set")?)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bootstrap.json");
    let (mut runner, pool) = (TestRunner::deterministic(), Pool::load());
    for _ in 0..CASES {
        let listener = plain_listener(any(listener::listener(), &mut runner)?);
        let cluster = plain_cluster(any(cluster::cluster(), &mut runner)?);
        let bootstrap = bootstrap(&json(&pool, &listener)?, &json(&pool, &cluster)?);
        std::fs::write(&file, bootstrap.to_string())?;
        let said = Command::new(&envoy)
            // It opens the access logs that it is told of, by their arbitrary names.
            .current_dir(folder.path())
            .args([
                "--mode",
                "validate",
                "--log-level",
                "error",
                "--config-path",
            ])
            .arg(&file)
            .output()?;
        let why = String::from_utf8_lossy(&said.stderr);
        ensure!(said.status.success(), "{why}\n{listener:#?}\n{cluster:#?}");
    }
    Ok(())
}

fn any<T>(strategy: impl Strategy<Value = T>, runner: &mut TestRunner) -> Result<T> {
    let tree = strategy
        .new_tree(runner)
        .map_err(|e| anyhow::anyhow!("{e}"))?;
    Ok(tree.current())
}

/// One chain, because chains made at random would match the same connections, and nothing of Istio.
fn plain_listener(mut listener: Listener) -> Listener {
    listener.filter_chains.truncate(1);
    plain_logs(&mut listener.access_logs);
    let chains = listener.filter_chains.iter_mut();
    chains
        .chain(&mut listener.default_filter_chain)
        .for_each(plain_chain);
    listener
}

fn plain_chain(chain: &mut FilterChain) {
    chain.filters.retain(|filter| {
        !matches!(
            filter,
            // Rules about requests are judged where there are requests; about connections Envoy refuses them.
            NetworkFilter::MetadataExchange(_) | NetworkFilter::Stats(_) | NetworkFilter::Rbac(_)
        )
    });
    for filter in &mut chain.filters {
        match filter {
            NetworkFilter::TcpProxy(proxy) => plain_logs(&mut proxy.access_logs),
            NetworkFilter::HttpConnectionManager(manager) => {
                plain_logs(&mut manager.access_logs);
                for filter in &mut manager.filters {
                    if let HttpFilter::Jwt(jwt) = &mut filter.filter {
                        plain_keys(jwt);
                    }
                }
                manager.filters.retain(|filter| {
                    use HttpFilter::{Alpn, PeerMetadata, Stats};
                    !matches!(filter.filter, PeerMetadata(_) | Alpn(_) | Stats(_))
                });
            }
            NetworkFilter::MetadataExchange(_)
            | NetworkFilter::Stats(_)
            | NetworkFilter::Rbac(_) => {}
        }
    }
}

/// Keys that are some.
fn plain_keys(jwt: &mut JwtAuthn) {
    for provider in &mut jwt.providers {
        if let Keys::Inline(keys) = &mut provider.keys {
            *keys = r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#.into();
        }
    }
}

/// Envoy opens the files even when it only validates.
fn plain_logs(logs: &mut [AccessLog]) {
    logs.iter_mut()
        .for_each(|log| log.path = "/dev/null".into());
}

/// Without the ALPN protocol that brings Istio's filter.
fn plain_cluster(mut cluster: Cluster) -> Cluster {
    let matches = cluster.transport_matches.iter_mut();
    let transports = matches.map(|m| &mut m.transport);
    for transport in transports.chain([&mut cluster.transport]) {
        if let Transport::Tls(tls) = transport {
            tls.common
                .alpn
                .retain(|protocol| protocol != "istio-peer-exchange");
        }
    }
    cluster
}

fn json<R: Resource>(pool: &Pool, resource: &R) -> Result<Json> {
    let mut json = pool.print_any(R::TYPE_URL, &resource.encode(), Style::Envoy)?;
    json.as_object_mut().context("an object")?.remove("@type");
    Ok(json)
}

fn bootstrap(listener: &Json, cluster: &Json) -> Json {
    let grpc = json!([{"envoy_grpc": {"cluster_name": "sds-grpc"}}]);
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let http2 = json!({
        "@type": format!("type.googleapis.com/{options}"),
        "explicit_http_config": {"http2_protocol_options": {}},
    });
    let agent = json!({
        "name": "sds-grpc",
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {options: http2},
        "load_assignment": {
            "cluster_name": "sds-grpc",
            "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": {"pipe": {"path": "/tmp/no.sock"}}}},
            ]}],
        },
    });
    json!({
        "node": {"id": "x", "cluster": "x"},
        "dynamic_resources": {"ads_config": {
            "api_type": "GRPC", "transport_api_version": "V3", "grpc_services": grpc,
        }},
        "static_resources": {"listeners": [listener], "clusters": [cluster, agent]},
    })
}
