//! The client's rules, for both protocols.

use super::*;
use crate::pb::{
    envoy::{
        config::cluster::v3::Cluster as PbCluster, service::discovery::v3::Resource as PbResource,
    },
    google::protobuf::Any,
};
use prost::Message;

use ResourceType::{Cluster, Endpoint, Listener, Route, Secret};

fn client(protocol: Protocol) -> Client {
    Client::new(protocol, node().unwrap())
}

fn delta(client: &mut Client) -> Option<DeltaDiscoveryRequest> {
    client.next_request().map(|request| match request {
        Request::Delta(request) => request,
        Request::Sotw(request) => panic!("a delta client sent {request:?}"),
    })
}

fn sotw(client: &mut Client) -> Option<DiscoveryRequest> {
    client.next_request().map(|request| match request {
        Request::Sotw(request) => request,
        Request::Delta(request) => panic!("a SotW client sent {request:?}"),
    })
}

fn any(kind: ResourceType, name: &str) -> Any {
    let payload = PbCluster {
        name: name.into(),
        ..Default::default()
    };
    Any {
        type_url: kind.type_url().into(),
        value: payload.encode_to_vec(),
    }
}

/// A delta response with resources as `name=version`.
fn delta_response(
    kind: ResourceType,
    nonce: &str,
    added: &[&str],
    removed: &[&str],
) -> DeltaDiscoveryResponse {
    let resource = |spec: &&str| {
        let (name, version) = spec.split_once('=').unwrap_or((spec, "1"));
        PbResource {
            name: name.into(),
            version: version.into(),
            resource: Some(any(kind, name)),
            ..Default::default()
        }
    };
    DeltaDiscoveryResponse {
        type_url: kind.type_url().into(),
        nonce: nonce.into(),
        system_version_info: format!("v{nonce}"),
        resources: added.iter().map(resource).collect(),
        removed_resources: strings(removed),
        ..Default::default()
    }
}

fn sotw_response(kind: ResourceType, nonce: &str, names: &[&str]) -> DiscoveryResponse {
    DiscoveryResponse {
        type_url: kind.type_url().into(),
        nonce: nonce.into(),
        version_info: format!("v{nonce}"),
        resources: names.iter().map(|name| any(kind, name)).collect(),
        ..Default::default()
    }
}

fn refused(name: &str, reason: &str) -> Refused {
    Refused {
        name: name.into(),
        reason: reason.into(),
    }
}

fn names(update: &Update) -> Vec<&str> {
    update
        .added
        .iter()
        .map(|resource| resource.name.as_str())
        .collect()
}

fn held(client: &Client, kind: ResourceType) -> Vec<String> {
    let mut held: Vec<_> = client
        .held(kind)
        .map(|(name, version)| format!("{name}={version}"))
        .collect();
    held.sort();
    held
}

/// A client that has everything of `kind` open, with its first request taken.
fn opened(protocol: Protocol, kind: ResourceType) -> Client {
    let mut client = client(protocol);
    client.watch_all(kind);
    client.connected();
    client.next_request().unwrap();
    client
}

#[test]
fn nothing_is_said_without_a_stream_or_a_wish() {
    for protocol in [Protocol::Delta, Protocol::Sotw] {
        let mut client = client(protocol);
        client.connected();
        assert_eq!(client.next_request(), None);
        client.disconnected();
        client.watch_all(Cluster);
        assert_eq!(client.next_request(), None);
    }
}

#[test]
fn only_the_first_request_of_each_stream_carries_the_node() {
    for protocol in [Protocol::Delta, Protocol::Sotw] {
        let mut client = client(protocol);
        client.watch_all(Listener);
        client.watch_all(Cluster);
        for _ in 0..2 {
            client.connected();
            let requests: Vec<_> = std::iter::from_fn(|| client.next_request()).collect();
            let carried: Vec<_> = requests
                .iter()
                .map(|request| request.node().is_some())
                .collect();
            assert_eq!(carried, [true, false]);
            assert_eq!(
                requests[0].type_url(),
                Cluster.type_url(),
                "clusters are asked for before listeners"
            );
        }
    }
}

#[test]
fn everything_is_spelled_as_nothing_where_that_is_understood() {
    let rows: [(ResourceType, &[&str], &[&str]); 4] = [
        (Cluster, &["*"], &[]),
        (Cluster, &["*", "a"], &["*", "a"]),
        (Cluster, &["a"], &["a"]),
        (Secret, &["*"], &["*"]),
    ];
    for (kind, wanted, spelled) in rows {
        let mut client = client(Protocol::Delta);
        client.subscribe(kind, wanted.iter().copied());
        client.connected();
        assert_eq!(
            delta(&mut client).unwrap().resource_names_subscribe,
            spelled,
            "{wanted:?}"
        );
    }
}

#[test]
fn an_accepted_delta_is_acknowledged_and_in_force() {
    let mut client = opened(Protocol::Delta, Cluster);
    let (update, ticket) = client
        .on_response(delta_response(Cluster, "1", &["a", "b=2"], &[]))
        .unwrap();
    assert_eq!(names(&update), ["a", "b"]);
    assert_eq!(update.added[0].bytes, any(Cluster, "a").value);
    assert_eq!(client.next_request(), None, "not before it was applied");
    client.complete(ticket, &[]);
    let ack = delta(&mut client).unwrap();
    assert_eq!((ack.response_nonce.as_str(), ack.error_detail), ("1", None));
    assert!(ack.resource_names_subscribe.is_empty() && ack.initial_resource_versions.is_empty());
    assert_eq!(client.next_request(), None);
    assert_eq!(held(&client, Cluster), ["a=1", "b=2"]);

    let (update, ticket) = client
        .on_response(delta_response(Cluster, "2", &[], &["a"]))
        .unwrap();
    assert_eq!(update.removed, ["a"]);
    client.complete(ticket, &[]);
    assert_eq!(held(&client, Cluster), ["b=2"]);
    assert_eq!(
        client.stats(Cluster),
        TypeStats {
            update_attempt: 2,
            update_success: 2,
            update_rejected: 0
        }
    );
    assert_eq!(client.version(Cluster), "v2");
}

#[test]
fn a_delta_refused_in_part_is_one_nack_and_the_rest_is_in_force() {
    let mut client = opened(Protocol::Delta, Cluster);
    let (_, ticket) = client
        .on_response(delta_response(Cluster, "1", &["a=1", "b=1", "gone"], &[]))
        .unwrap();
    client.complete(ticket, &[]);
    delta(&mut client);
    let (_, ticket) = client
        .on_response(delta_response(
            Cluster,
            "2",
            &["a=2", "b=2", "c=2"],
            &["gone"],
        ))
        .unwrap();
    client.complete(
        ticket,
        &[
            refused("b", "connect_timeout: negative"),
            refused("c", "name: empty"),
        ],
    );
    let nack = delta(&mut client).unwrap();
    assert_eq!(nack.response_nonce, "2");
    let status = nack.error_detail.unwrap();
    assert_eq!(status.code, 13);
    assert_eq!(
        status.message,
        "2 of 3 CDS resources refused: b: connect_timeout: negative; c: name: empty"
    );
    assert_eq!(client.next_request(), None, "one NACK for all");
    assert_eq!(
        held(&client, Cluster),
        ["a=2", "b=1"],
        "b keeps its last good version"
    );
    assert_eq!(client.version(Cluster), "v1");
    assert_eq!(
        client.stats(Cluster),
        TypeStats {
            update_attempt: 2,
            update_success: 1,
            update_rejected: 1
        }
    );
}

#[test]
fn a_reconnect_states_all_names_and_versions_and_removes_nothing() {
    let mut client = client(Protocol::Delta);
    client.watch_all(Cluster);
    client.subscribe(Endpoint, ["a", "b"]);
    client.connected();
    while client.next_request().is_some() {}
    let (_, ticket) = client
        .on_response(delta_response(Cluster, "1", &["a", "b"], &[]))
        .unwrap();
    client.complete(ticket, &[]);
    let (_, ticket) = client
        .on_response(delta_response(Endpoint, "2", &["a=7"], &[]))
        .unwrap();
    client.complete(ticket, &[]);
    client.disconnected();
    assert_eq!(client.next_request(), None);
    assert_eq!(held(&client, Cluster), ["a=1", "b=1"]);
    client.connected();
    let clusters = delta(&mut client).unwrap();
    assert!(clusters.node.is_some() && clusters.response_nonce.is_empty());
    assert!(clusters.resource_names_subscribe.is_empty());
    assert_eq!(
        clusters.initial_resource_versions,
        [("a".into(), "1".into()), ("b".into(), "1".into())].into()
    );
    let endpoints = delta(&mut client).unwrap();
    assert_eq!(endpoints.resource_names_subscribe, ["a", "b"]);
    assert_eq!(
        endpoints.initial_resource_versions,
        [("a".into(), "7".into())].into()
    );
    assert_eq!(
        client.next_request(),
        None,
        "what was to be acknowledged is of the old stream"
    );
}

#[test]
fn a_sotw_reconnect_states_its_version_without_a_nonce() {
    let mut client = opened(Protocol::Sotw, Cluster);
    let (_, ticket) = client
        .on_response(sotw_response(Cluster, "1", &["a"]))
        .unwrap();
    client.complete(ticket, &[]);
    sotw(&mut client);
    client.disconnected();
    client.connected();
    let request = sotw(&mut client).unwrap();
    assert_eq!(
        (
            request.version_info.as_str(),
            request.response_nonce.as_str()
        ),
        ("v1", "")
    );
    assert!(request.node.is_some());
}

#[test]
fn what_an_earlier_stream_brought_counts_but_is_not_answered() {
    let mut client = opened(Protocol::Delta, Cluster);
    let (_, ticket) = client
        .on_response(delta_response(Cluster, "1", &["a=3"], &[]))
        .unwrap();
    client.disconnected();
    client.connected();
    client.complete(ticket, &[]);
    let request = delta(&mut client).unwrap();
    assert_eq!(
        request.initial_resource_versions,
        [("a".into(), "3".into())].into()
    );
    assert_eq!(client.next_request(), None);
}

#[test]
fn sotw_answers_repeat_names_and_version() {
    let mut client = client(Protocol::Sotw);
    client.subscribe(Route, ["80", "81"]);
    client.connected();
    let first = sotw(&mut client).unwrap();
    assert_eq!(first.resource_names, ["80", "81"]);
    assert_eq!(
        (first.version_info.as_str(), first.response_nonce.as_str()),
        ("", "")
    );
    let (_, ticket) = client
        .on_response(sotw_response(Route, "1", &["80"]))
        .unwrap();
    client.complete(ticket, &[]);
    let ack = sotw(&mut client).unwrap();
    assert_eq!(ack.resource_names, ["80", "81"]);
    assert_eq!(
        (ack.version_info.as_str(), ack.response_nonce.as_str()),
        ("v1", "1")
    );
    let (_, ticket) = client
        .on_response(sotw_response(Route, "2", &["81"]))
        .unwrap();
    client.complete(ticket, &[refused("81", "bad")]);
    let nack = sotw(&mut client).unwrap();
    assert_eq!(
        (nack.version_info.as_str(), nack.response_nonce.as_str()),
        ("v1", "2"),
        "the old version stays"
    );
    assert_eq!(
        nack.error_detail.unwrap().message,
        "1 of 1 RDS resources refused: 81: bad"
    );
}

#[test]
fn in_sotw_what_a_whole_response_lacks_is_gone_and_names_never_are() {
    for (kind, gone) in [
        (Cluster, vec!["b"]),
        (Listener, vec!["b"]),
        (Endpoint, vec![]),
        (Route, vec![]),
    ] {
        let mut client = client(Protocol::Sotw);
        client.subscribe(
            kind,
            if kind.is_wildcard() {
                vec!["*"]
            } else {
                vec!["a", "b"]
            },
        );
        client.connected();
        sotw(&mut client);
        let (update, ticket) = client
            .on_response(sotw_response(kind, "1", &["a", "b"]))
            .unwrap();
        assert_eq!(names(&update), ["a", "b"], "read from the payload");
        client.complete(ticket, &[]);
        let (update, ticket) = client
            .on_response(sotw_response(kind, "2", &["a"]))
            .unwrap();
        assert_eq!(update.removed, gone, "{kind:?}");
        client.complete(ticket, &[]);
        assert_eq!(client.held(kind).count(), 2 - gone.len());
    }
}

#[test]
fn in_sotw_a_refused_cluster_keeps_its_last_good_state() {
    let mut client = opened(Protocol::Sotw, Cluster);
    let (_, ticket) = client
        .on_response(sotw_response(Cluster, "1", &["a", "b"]))
        .unwrap();
    client.complete(ticket, &[]);
    let (_, ticket) = client
        .on_response(sotw_response(Cluster, "2", &["a", "b"]))
        .unwrap();
    client.complete(ticket, &[refused("b", "bad")]);
    assert_eq!(held(&client, Cluster), ["a=v2", "b=v1"]);
    let (update, _ticket) = client
        .on_response(sotw_response(Cluster, "3", &["a"]))
        .unwrap();
    assert_eq!(
        update.removed,
        ["b"],
        "and is removed when the server says so"
    );
}

#[test]
fn changed_subscriptions_are_said_once_and_by_themselves() {
    let mut client = client(Protocol::Delta);
    client.subscribe(Endpoint, ["a", "b"]);
    client.connected();
    delta(&mut client);
    client.subscribe(Endpoint, ["b", "c", "d"]);
    client.unsubscribe(Endpoint, ["a", "d", "never"]);
    let request = delta(&mut client).unwrap();
    assert_eq!(
        request.resource_names_subscribe,
        ["c"],
        "b is known, d was dropped before it was said"
    );
    assert_eq!(request.resource_names_unsubscribe, ["a"]);
    assert!(request.response_nonce.is_empty(), "a spontaneous request");
    assert_eq!(client.next_request(), None);
}

#[test]
fn a_name_dropped_and_wanted_again_is_asked_for_again() {
    let mut client = client(Protocol::Delta);
    client.subscribe(Endpoint, ["a"]);
    client.connected();
    delta(&mut client);
    let (_, ticket) = client
        .on_response(delta_response(Endpoint, "1", &["a"], &[]))
        .unwrap();
    client.complete(ticket, &[]);
    delta(&mut client);
    client.unsubscribe(Endpoint, ["a"]);
    assert_eq!(client.held(Endpoint).count(), 0, "the owner has dropped it");
    client.subscribe(Endpoint, ["a"]);
    let request = delta(&mut client).unwrap();
    assert_eq!(request.resource_names_subscribe, ["a"]);
    assert!(request.resource_names_unsubscribe.is_empty());
    client.unsubscribe(Endpoint, ["a"]);
    client.subscribe(Endpoint, ["a"]);
    client.unsubscribe(Endpoint, ["a"]);
    assert_eq!(
        delta(&mut client).unwrap().resource_names_unsubscribe,
        ["a"]
    );
}

#[test]
fn an_answer_goes_before_changed_subscriptions() {
    let mut client = opened(Protocol::Delta, Cluster);
    client.subscribe(Endpoint, ["a"]);
    delta(&mut client);
    let (_, ticket) = client
        .on_response(delta_response(Endpoint, "1", &["a"], &[]))
        .unwrap();
    client.complete(ticket, &[]);
    client.subscribe(Cluster, ["x"]);
    assert_eq!(delta(&mut client).unwrap().response_nonce, "1");
    assert_eq!(delta(&mut client).unwrap().resource_names_subscribe, ["x"]);
}

#[test]
fn sotw_waits_with_names_while_a_response_is_worked_on() {
    let mut client = client(Protocol::Sotw);
    client.subscribe(Endpoint, ["a"]);
    client.connected();
    sotw(&mut client);
    let (_, ticket) = client
        .on_response(sotw_response(Endpoint, "1", &["a"]))
        .unwrap();
    client.subscribe(Endpoint, ["b"]);
    assert_eq!(client.next_request(), None, "it would carry a stale nonce");
    client.complete(ticket, &[]);
    assert_eq!(
        sotw(&mut client).unwrap().resource_names,
        ["a", "b"],
        "the ACK carries it"
    );
    assert_eq!(client.next_request(), None);
    client.unsubscribe(Endpoint, ["a", "b"]);
    assert!(sotw(&mut client).unwrap().resource_names.is_empty());
}

#[test]
fn what_was_not_asked_for_is_left_out() {
    let mut client = client(Protocol::Delta);
    client.subscribe(Endpoint, ["a"]);
    client.connected();
    delta(&mut client);
    let (update, ticket) = client
        .on_response(delta_response(Endpoint, "1", &["a", "x"], &["y"]))
        .unwrap();
    assert_eq!(
        (
            names(&update),
            update.ignored.as_slice(),
            update.removed.len()
        ),
        (vec!["a"], &["x".to_owned()][..], 0)
    );
    client.complete(ticket, &[]);
    assert_eq!(delta(&mut client).unwrap().error_detail, None);
    assert_eq!(held(&client, Endpoint), ["a=1"]);
}

#[test]
fn an_absent_resource_is_told() {
    let mut client = client(Protocol::Delta);
    client.subscribe(Endpoint, ["a"]);
    client.connected();
    delta(&mut client);
    let (update, _ticket) = client
        .on_response(delta_response(Endpoint, "1", &[], &["a"]))
        .unwrap();
    assert_eq!(update.removed, ["a"], "so that its cluster need not wait");
}

#[test]
fn an_unknown_or_unasked_type_is_refused_without_an_answer() {
    let mut client = opened(Protocol::Delta, Cluster);
    let mut unknown = delta_response(Cluster, "1", &[], &[]);
    unknown.type_url = "type.googleapis.com/envoy.service.runtime.v3.Runtime".into();
    let url = unknown.type_url.clone();
    assert_eq!(
        client.on_response(unknown).unwrap_err(),
        ResponseError::UnknownType(url)
    );
    let unasked = delta_response(Route, "1", &["80"], &[]);
    assert_eq!(
        client.on_response(unasked).unwrap_err(),
        ResponseError::NotAsked(Route)
    );
    assert_eq!(
        client.next_request(),
        None,
        "a request of a new type would subscribe to it"
    );
}

#[test]
fn a_malformed_response_is_refused_as_a_whole() {
    let contentless = PbResource {
        name: "a".into(),
        version: "1".into(),
        ..Default::default()
    };
    let mut without_content = delta_response(Cluster, "1", &["b"], &[]);
    without_content.resources.push(contentless);
    let mut mixed = delta_response(Cluster, "1", &["b"], &[]);
    mixed.resources[0].resource = Some(any(Listener, "b"));
    let rows = [
        (
            delta_response(Cluster, "1", &["a", "a"], &[]),
            "resource `a` is there twice",
        ),
        (
            delta_response(Cluster, "1", &["a"], &["a"]),
            "resource `a` is there and removed, or removed twice",
        ),
        (without_content, "resource `a` has no content"),
        (
            mixed,
            "a resource of type `type.googleapis.com/envoy.config.listener.v3.Listener` among those of \
                 `type.googleapis.com/envoy.config.cluster.v3.Cluster`",
        ),
    ];
    for (response, expected) in rows {
        let mut client = opened(Protocol::Delta, Cluster);
        let error = client.on_response(response).unwrap_err();
        assert_eq!(
            error,
            ResponseError::Malformed {
                kind: Cluster,
                reason: expected.into()
            }
        );
        let nack = delta(&mut client).unwrap();
        assert_eq!(
            (
                nack.response_nonce.as_str(),
                nack.error_detail.unwrap().message.as_str()
            ),
            ("1", expected)
        );
        assert_eq!(client.held(Cluster).count(), 0);
        assert_eq!(client.stats(Cluster).update_rejected, 1);
    }
}

#[test]
fn garbage_in_a_sotw_payload_is_refused() {
    let mut client = opened(Protocol::Sotw, Cluster);
    let mut response = sotw_response(Cluster, "1", &["a"]);
    response.resources[0].value = vec![0x0a, 0xff];
    assert!(matches!(
        client.on_response(response),
        Err(ResponseError::Malformed { kind: Cluster, .. })
    ));
    assert!(sotw(&mut client).unwrap().error_detail.is_some());
}

#[test]
fn a_message_that_extends_a_lifetime_changes_nothing() {
    let mut client = opened(Protocol::Delta, Cluster);
    let (_, ticket) = client
        .on_response(delta_response(Cluster, "1", &["a=5"], &[]))
        .unwrap();
    client.complete(ticket, &[]);
    let mut heartbeat = delta_response(Cluster, "2", &["a=5"], &[]);
    heartbeat.resources[0].resource = None;
    let (update, _ticket) = client.on_response(heartbeat).unwrap();
    assert!(update.added.is_empty() && update.removed.is_empty());
}

#[test]
fn a_long_reason_is_cut_where_a_character_ends() {
    let mut client = opened(Protocol::Delta, Cluster);
    let (_, ticket) = client
        .on_response(delta_response(Cluster, "1", &["a"], &[]))
        .unwrap();
    client.complete(ticket, &[refused("a", &"ü".repeat(5000))]);
    let message = delta(&mut client).unwrap().error_detail.unwrap().message;
    assert!(
        message.len() <= 4096 && message.ends_with("ü… (truncated)"),
        "{}",
        message.len()
    );
}

#[test]
fn after_a_name_everything_must_be_spelled_out() {
    let mut client = opened(Protocol::Sotw, Cluster);
    client.subscribe(Cluster, ["a"]);
    assert_eq!(sotw(&mut client).unwrap().resource_names, ["*", "a"]);
    client.unsubscribe(Cluster, ["a"]);
    assert_eq!(
        sotw(&mut client).unwrap().resource_names,
        ["*"],
        "no names would end the subscription"
    );
    client.connected();
    assert!(
        sotw(&mut client).unwrap().resource_names.is_empty(),
        "a new stream has heard no name"
    );
}

#[test]
fn in_sotw_a_name_dropped_and_wanted_again_starts_anew() {
    let mut client = client(Protocol::Sotw);
    client.subscribe(Endpoint, ["a", "b"]);
    client.connected();
    sotw(&mut client);
    let (_, ticket) = client
        .on_response(sotw_response(Endpoint, "1", &["a", "b"]))
        .unwrap();
    client.complete(ticket, &[]);
    sotw(&mut client);
    client.unsubscribe(Endpoint, ["a"]);
    assert_eq!(sotw(&mut client).unwrap().response_nonce, "1");
    client.subscribe(Endpoint, ["a"]);
    let request = sotw(&mut client).unwrap();
    assert_eq!(request.resource_names, ["a", "b"]);
    assert_eq!(
        request.response_nonce, "",
        "the server may have ignored that it was dropped"
    );
    assert_eq!(client.next_request(), None);
}

#[test]
fn a_ticket_of_an_earlier_stream_ends_no_waiting_of_this_one() {
    let mut client = client(Protocol::Sotw);
    client.subscribe(Endpoint, ["a"]);
    client.connected();
    sotw(&mut client);
    let (_, old) = client
        .on_response(sotw_response(Endpoint, "1", &["a"]))
        .unwrap();
    client.connected();
    sotw(&mut client);
    let (_, new) = client
        .on_response(sotw_response(Endpoint, "2", &["a"]))
        .unwrap();
    client.complete(old, &[]);
    client.subscribe(Endpoint, ["b"]);
    assert_eq!(client.next_request(), None, "the new response is worked on");
    client.complete(new, &[]);
    assert_eq!(sotw(&mut client).unwrap().resource_names, ["a", "b"]);
}
