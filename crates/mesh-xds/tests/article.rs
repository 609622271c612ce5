//! What the article prints of a mesh is what we encode, field by field.

use anyhow::{Context, Result};
use mesh_model::{
    ClusterName,
    cluster::{
        Cluster, Discovery, LbPolicy, Limits, ServiceRef, Transport, TransportMatch, UpstreamHttp,
    },
    matcher::StringMatch,
    name::{DEFAULT_SECRET, ROOT_CA_SECRET},
    route::{
        Forward, MaxStreamDuration, PathMatch, RetryOn, RetryPolicy, Route, RouteAction,
        RouteConfiguration, RouteMatch, VirtualHost,
    },
    tls::{CommonTls, PeerValidation, TlsVersion, UpstreamTls},
};
use mesh_xds::{
    json::{Pool, Style},
    resource::Resource,
};
use serde_json::Value as Json;
use std::time::Duration;

const HOST: &str = "nginx.test.svc.cluster.local";

#[test]
fn the_cluster() -> Result<()> {
    let name = ClusterName::outbound(80, "", HOST);
    let tls = UpstreamTls {
        common: CommonTls {
            min_version: TlsVersion::V1_2,
            max_version: TlsVersion::V1_3,
            cipher_suites: vec![],
            certificate: Some(DEFAULT_SECRET.into()),
            validation: Some(PeerValidation {
                trusted_ca: ROOT_CA_SECRET.into(),
                subject_alt_names: vec![
                    StringMatch::Exact("spiffe://cluster.local/ns/test/sa/default".into()).into(),
                ],
            }),
            alpn: vec!["istio-peer-exchange".into(), "istio".into()],
        },
        sni: name.sni().context("an outbound cluster has one")?,
    };
    let cluster = Cluster {
        connect_timeout: Duration::from_secs(10),
        lb_policy: LbPolicy::LeastRequest,
        limits: Limits::UNLIMITED,
        locality_weighted: true,
        transport_matches: vec![
            TransportMatch {
                name: "tlsMode-istio".into(),
                labels: vec![("tlsMode".into(), "istio".into())],
                transport: Transport::Tls(Box::new(tls)),
            },
            TransportMatch {
                name: "tlsMode-disabled".into(),
                labels: vec![],
                transport: Transport::RawBuffer,
            },
        ],
        http_protocol: UpstreamHttp::Downstream,
        services: vec![ServiceRef {
            host: HOST.into(),
            name: "nginx".into(),
            namespace: "test".into(),
        }],
        ..Cluster::new(name.clone(), Discovery::Eds(name))
    };
    expect_printed(&cluster, include_str!("../testdata/article/cluster.yaml"))
}

#[test]
fn the_outbound_route() -> Result<()> {
    let forward = Forward {
        timeout: Some(Duration::ZERO),
        max_grpc_timeout: Some(Duration::ZERO),
        retry: Some(RetryPolicy {
            retry_on: vec![
                RetryOn::ConnectFailure,
                RetryOn::RefusedStream,
                RetryOn::Unavailable,
                RetryOn::Cancelled,
                RetryOn::RetriableStatusCodes,
            ],
            num_retries: 2,
            retriable_status_codes: vec![503],
            avoid_previous_hosts: true,
            host_selection_attempts: 5,
            ..Default::default()
        }),
        ..Forward::to(ClusterName::outbound(80, "", HOST))
    };
    let host = format!("{HOST}:80");
    let table = RouteConfiguration {
        ignore_port_in_host_matching: true,
        max_direct_response_body_bytes: Some(1_048_576),
        ..RouteConfiguration::new(
            host.clone().into(),
            vec![for_all_hosts(&host, forward, true)],
        )
    };
    expect_printed(
        &table,
        include_str!("../testdata/article/route.outbound.yaml"),
    )
}

#[test]
fn the_inbound_route() -> Result<()> {
    let forward = Forward {
        timeout: Some(Duration::ZERO),
        max_stream_duration: Some(MaxStreamDuration {
            max: Some(Duration::ZERO),
            grpc_timeout_header_max: Some(Duration::ZERO),
            grpc_timeout_header_offset: None,
        }),
        ..Forward::to(ClusterName::inbound(80))
    };
    let table = RouteConfiguration::new(
        "inbound|80||".into(),
        vec![for_all_hosts("inbound|http|80", forward, false)],
    );
    expect_printed(
        &table,
        include_str!("../testdata/article/route.inbound.yaml"),
    )
}

/// A virtual host that sends all there is to one cluster.
fn for_all_hosts(name: &str, forward: Forward, count_attempts: bool) -> VirtualHost {
    let all = RouteMatch::new(PathMatch::Prefix("/".into()));
    let route = Route {
        name: "default".into(),
        operation: Some(format!("{HOST}:80/*")),
        ..Route::new(all, RouteAction::Forward(forward))
    };
    VirtualHost {
        include_request_attempt_count: count_attempts,
        ..VirtualHost::new(name, vec!["*".into()], vec![route])
    }
}

/// `yaml` is a list as the command line prints it; every entry must be what `resource` encodes to.
fn expect_printed<R: Resource>(resource: &R, yaml: &str) -> Result<()> {
    let entries: Vec<Json> = serde_saphyr::from_str(yaml)?;
    assert!(!entries.is_empty());
    let mut json = Pool::load().print_any(R::TYPE_URL, &resource.encode(), Style::Istio)?;
    // The command line leaves out what it asked for.
    json.as_object_mut().context("an object")?.remove("@type");
    for entry in entries {
        assert_eq!(
            serde_json::to_string_pretty(&sorted(&json))?,
            serde_json::to_string_pretty(&sorted(&entry))?
        );
    }
    Ok(())
}

/// Keys in alphabetical order, so that a difference shows where it is.
fn sorted(json: &Json) -> Json {
    match json {
        Json::Object(fields) => {
            let fields: std::collections::BTreeMap<_, _> = fields.iter().collect();
            fields
                .into_iter()
                .map(|(k, v)| (k.clone(), sorted(v)))
                .collect()
        }
        Json::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
