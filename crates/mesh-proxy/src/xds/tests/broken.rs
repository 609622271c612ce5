//! Row 60: a control plane that is hostile or broken. What is wrong is named in the refusal, all else is in force.

use super::*;
use mesh_xds::{
    pb::{
        envoy::config::cluster::v3::{
            Cluster as PbCluster,
            cluster::{ClusterDiscoveryType, CustomClusterType},
        },
        google::protobuf::Any,
    },
    resource::Resource,
};
use prost::Message;

/// Of each type, one of many is garbage: it alone is refused, and its old version stays.
#[tokio::test]
async fn sec_60_one_bad_of_many_is_named_and_all_others_are_in_force() {
    const MANY: usize = 100;
    let root = Root::new("a");
    let ads = FakeAds::serve(&root).await;
    let running = Running::start(&root, ads.server.port);
    let mut stream = ads.stream().await;
    let name = |n: usize| format!("r{n}");
    type Make = fn(&str, &str) -> mesh_xds::pb::envoy::service::discovery::v3::Resource;
    // Endpoints and routes are asked for by what refers to them, so these come first.
    let makes: [(ResourceType, Make); 4] = [
        (Cds, |name, version| wire(&cluster(name), version)),
        (Lds, |name, version| {
            wire(&listener(name, 80, name), version)
        }),
        (Eds, |name, version| wire(&endpoints(name), version)),
        (Rds, |name, version| wire(&routes(name), version)),
    ];
    for (kind, make) in makes {
        let good = (0..MANY).map(|n| make(&name(n), "1")).collect();
        let ack = stream.push(kind, "good", good, &[]).await;
        assert!(ack.error_detail.is_none(), "{ack:?}");
    }
    for (bad, (kind, make)) in makes.into_iter().enumerate() {
        running.target.take();
        let mut all: Vec<_> = (0..MANY).map(|n| make(&name(n), "2")).collect();
        all[bad] = raw(kind.type_url(), &name(bad), "2", b"\xff\xff");
        let nack = stream.push(kind, "bad", all, &[]).await;
        let message = nack.error_detail.expect("a refusal").message;
        let named = (0..MANY).filter(|n| {
            let mut words = message.split(|c: char| !c.is_alphanumeric());
            words.any(|word| word == name(*n))
        });
        assert_eq!(named.collect::<Vec<_>>(), [bad], "{message}");
        let told = running.target.take();
        let added = told.iter().filter(|told| told.starts_with('+')).count();
        assert_eq!((added, told.len()), (MANY - 1, MANY - 1), "{told:?}");
        let entries = running.store.entries(kind);
        for n in 0..MANY {
            let (_, entry) = entries.iter().find(|e| e.0 == name(n)).expect("held");
            let version = &entry.latest.as_ref().expect("in force").version;
            assert_eq!(version, if n == bad { "1" } else { "2" }, "{n}");
            assert_eq!(entry.refused.is_some(), n == bad, "{n}");
        }
        // The stream and all types go on.
        for (other, make) in makes {
            let ack = stream
                .push(other, "after", vec![make(&name(99), "3")], &[])
                .await;
            assert!(ack.error_detail.is_none(), "{ack:?}");
        }
    }
}

#[tokio::test]
async fn sec_60_ten_megabytes_are_taken() {
    let root = Root::new("a");
    let ads = FakeAds::serve(&root).await;
    let running = Running::start(&root, ads.server.port);
    let mut stream = ads.stream().await;
    let names = (0..5000).map(|n| format!("{n:->1000}"));
    let all: Vec<_> = names
        .map(|name| wire(&listener(&name, 80, "80"), "1"))
        .collect();
    let bytes: usize = all.iter().map(Message::encoded_len).sum();
    assert!(bytes > 10_000_000, "{bytes}");
    let count = all.len();
    let ack = stream.push(Lds, "large", all, &[]).await;
    assert!(ack.error_detail.is_none(), "{:?}", ack.error_detail);
    assert_eq!(running.target.take().len(), count);
    let ack = stream
        .push(Cds, "small", vec![wire(&cluster("a"), "1")], &[])
        .await;
    assert!(ack.error_detail.is_none(), "{ack:?}");
    assert_eq!(running.target.take(), ["+cluster a"]);
}

/// Which of the two is meant nobody knows: none is put in force, and the response is refused.
#[tokio::test]
async fn sec_60_a_name_that_is_there_twice_is_refused_and_changes_nothing() {
    let root = Root::new("a");
    let ads = FakeAds::serve(&root).await;
    let running = Running::start(&root, ads.server.port);
    let mut stream = ads.stream().await;
    configure(&mut stream).await;
    running.target.take();
    let twice = vec![
        wire(&cluster("a"), "2"),
        wire(&cluster("b"), "2"),
        wire(&cluster("a"), "3"),
    ];
    let nack = stream.push(Cds, "twice", twice, &[]).await;
    let message = nack.error_detail.expect("a refusal").message;
    assert!(message.contains("`a` is there twice"), "{message}");
    let both = stream
        .push(Cds, "both", vec![wire(&cluster("a"), "2")], &["a"])
        .await;
    let message = both.error_detail.expect("a refusal").message;
    assert!(message.contains("`a` is there and removed"), "{message}");
    assert_eq!(running.target.take(), [""; 0], "nothing has changed");
    let ack = stream
        .push(Cds, "once", vec![wire(&cluster("a"), "2")], &[])
        .await;
    assert!(ack.error_detail.is_none(), "{ack:?}");
    assert_eq!(running.target.take(), ["+cluster a"]);
}

/// Clusters that stand for each other, and endpoint sets that are named crosswise: the first are refused by name, as no
/// cluster that stands for others is executed; the second are no circle.
#[tokio::test]
async fn sec_60_references_in_a_circle_hold_up_nothing() {
    let root = Root::new("a");
    let ads = FakeAds::serve(&root).await;
    let running = Running::start(&root, ads.server.port);
    let mut stream = ads.stream().await;
    let aggregate = |name: &str, of: &str| {
        // `ClusterConfig { clusters: [of] }`.
        let mut config = vec![0x0a, of.len() as u8];
        config.extend(of.as_bytes());
        let kind = CustomClusterType {
            name: "envoy.clusters.aggregate".into(),
            typed_config: Some(Any {
                type_url:
                    "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig"
                        .into(),
                value: config,
            }),
        };
        let cluster = PbCluster {
            name: name.into(),
            cluster_discovery_type: Some(ClusterDiscoveryType::ClusterType(kind)),
            ..PbCluster::default()
        };
        raw(Cds.type_url(), name, "1", &cluster.encode_to_vec())
    };
    let crossed = |name: &str, set: &str| {
        let crossed = Cluster {
            limits: Limits::UNLIMITED,
            ..Cluster::new(name.into(), Discovery::Eds(set.into()))
        };
        raw(Cluster::TYPE_URL, name, "1", &crossed.encode())
    };
    let all = vec![
        aggregate("circle-a", "circle-b"),
        crossed("cross-a", "cross-b"),
        aggregate("circle-b", "circle-a"),
        crossed("cross-b", "cross-a"),
    ];
    let nack = stream.push(Cds, "circle", all, &[]).await;
    let message = nack.error_detail.expect("a refusal").message;
    for circle in ["circle-a", "circle-b"] {
        assert!(message.contains(circle), "{message}");
    }
    assert!(!message.contains("cross-"), "{message}");
    let sets = ["cross-a", "cross-b"].map(|name| wire(&endpoints(name), "1"));
    let ack = stream.push(Eds, "sets", sets.into(), &[]).await;
    assert!(ack.error_detail.is_none(), "{ack:?}");
    assert_eq!(
        running.target.take(),
        [
            "+cluster cross-a",
            "+cluster cross-b",
            "+endpoints cross-a",
            "+endpoints cross-b"
        ]
    );
}
