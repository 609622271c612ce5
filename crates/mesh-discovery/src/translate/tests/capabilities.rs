//! What a data plane is sent that executes none of Istio's extensions, such as a plain Envoy.

use super::*;
use mesh_model::cluster::Transport;

/// One port of each kind.
const PORTS: &str = "
apiVersion: v1
kind: Service
metadata: {name: s, namespace: test}
spec:
  clusterIP: 10.96.0.9
  selector: {app: s}
  ports:
  - {name: http, port: 80}
  - {name: grpc, port: 81}
  - {name: tcp, port: 82}
  - {name: any, port: 83}
---
apiVersion: v1
kind: Pod
metadata: {name: s, namespace: test, labels: {app: s}}
status: {podIP: 10.244.0.9}
";
const S: &str = "sidecar~10.244.0.9~s.test~test.svc.cluster.local";

/// Everything that a proxy is sent, as text.
fn all(world: &World, proxy: &Proxy) -> String {
    let clusters = clusters(world, proxy).iter().map(json).collect::<Vec<_>>();
    let listeners = listeners(world, proxy).iter().map(json).collect::<Vec<_>>();
    format!("{clusters:?} {listeners:?}")
}

/// What is offered by ALPN over a cluster's mutual TLS.
fn offered(cluster: &Cluster) -> &[String] {
    match &cluster.transport_matches[0].transport {
        Transport::Tls(tls) => &tls.common.alpn,
        Transport::RawBuffer => panic!("{} is in plaintext", cluster.name),
    }
}

#[test]
fn each_extension_goes_to_those_who_execute_it() {
    let world = world(PORTS);
    let without = all(&world, &proxy(S, NOTHING));
    for extension in ["istio.metadata_exchange", "istio.alpn", "istio.stats"] {
        assert!(!without.contains(extension), "{extension} in {without}");
    }
    let alone = [
        (
            Capabilities {
                http_peer_metadata: true,
                ..NOTHING
            },
            "peer_metadata.Config",
        ),
        (
            Capabilities {
                tcp_metadata_exchange: true,
                ..NOTHING
            },
            "metadataexchange.config.MetadataExchange",
        ),
        (
            Capabilities {
                alpn: true,
                ..NOTHING
            },
            "istio.alpn",
        ),
        (
            Capabilities {
                stats: true,
                ..NOTHING
            },
            "istio.stats",
        ),
    ];
    for (capabilities, extension) in alone {
        let with = all(&world, &proxy(S, capabilities));
        assert!(with.contains(extension), "{extension} for {capabilities:?}");
        for (_, other) in alone.iter().filter(|(_, other)| *other != extension) {
            assert!(!with.contains(other), "{other} for {capabilities:?}");
        }
    }
}

/// Neither side may offer it; a server still takes connections of those that do.
#[test]
fn metadata_exchange_is_offered_by_those_who_speak_it() {
    let (world, proxy) = (world(PORTS), proxy(S, NOTHING));
    for cluster in clusters(&world, &proxy)
        .iter()
        .filter(|c| !c.transport_matches.is_empty())
    {
        assert!(
            !offered(cluster).iter().any(|p| p == tls::PEER_EXCHANGE),
            "{}",
            cluster.name
        );
    }
    let inbound = listener(&world, &proxy, "virtualInbound");
    for chain in inbound.chains() {
        let accepted = chain.tls.iter().flat_map(|tls| &tls.common.alpn);
        assert!(
            accepted.clone().all(|p| p != tls::PEER_EXCHANGE),
            "{}",
            chain.name
        );
    }
    let taken = inbound
        .chains()
        .flat_map(|chain| &chain.matches.application_protocols);
    assert!(taken.into_iter().any(|p| p == tls::PEER_EXCHANGE));
}

#[test]
fn what_cannot_be_chosen_per_request_is_offered_per_port() {
    let world = world(PORTS);
    let host = "s.test.svc.cluster.local";
    let plain = proxy(S, NOTHING);
    for (port, subset, want) in [
        (80, "", &["istio-http/1.1", "istio", "http/1.1"][..]),
        (81, "", &["istio-h2", "istio", "h2"]),
        (82, "", &["istio"]),
        // Requests, of whichever version: the server sees by the first bytes which.
        (83, "", &["istio-http/1.1", "istio-h2"]),
        (83, "~tcp", &["istio"]),
    ] {
        let cluster = cluster(&world, &plain, &format!("outbound|{port}|{subset}|{host}"));
        assert_eq!(offered(&cluster), want, "{}", cluster.name);
        let Transport::Tls(tls) = &cluster.transport_matches[0].transport else {
            panic!("no TLS");
        };
        assert_eq!(tls.sni, format!("outbound_.{port}_._.{host}"));
        assert_eq!(
            cluster.discovery,
            Discovery::Eds(format!("outbound|{port}||{host}").into())
        );
    }
    let sniffed = listener(&world, &plain, "10.96.0.9_83");
    let to: Vec<_> = sniffed.chains().map(destination).collect();
    assert_eq!(
        to,
        [
            format!("Route: {host}:83"),
            format!("outbound|83|~tcp|{host}")
        ]
    );
}

#[test]
fn a_data_plane_that_chooses_per_request_has_one_cluster_a_port() {
    let (world, proxy) = (world(PORTS), proxy(S, EVERYTHING));
    assert!(
        !cluster_names(&world, &proxy)
            .iter()
            .any(|name| name.contains("~tcp"))
    );
    let host = "s.test.svc.cluster.local";
    for (port, want) in [
        (80, &["istio-peer-exchange", "istio"][..]),
        (81, &["istio-peer-exchange", "istio", "h2"]),
        (82, &["istio-peer-exchange", "istio"]),
        (83, &["istio-peer-exchange", "istio"]),
    ] {
        let cluster = cluster(&world, &proxy, &format!("outbound|{port}||{host}"));
        assert_eq!(offered(&cluster), want, "{}", cluster.name);
    }
}

#[test]
fn capabilities_are_part_of_the_key() {
    let world = world(PORTS);
    let keys = |capabilities| {
        let proxy = proxy(S, capabilities);
        (
            Key::clusters(&world, &proxy),
            Key::listeners(&world, &proxy),
        )
    };
    let (clusters, listeners) = keys(EVERYTHING);
    let (other_clusters, other_listeners) = keys(NOTHING);
    assert!(clusters.iter().all(|key| !other_clusters.contains(key)));
    assert!(listeners.iter().all(|key| !other_listeners.contains(key)));
}
