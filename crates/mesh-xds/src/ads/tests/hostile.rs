//! Peers that follow no rule: whatever they send, neither machine panics, and a server answers only what exists.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::pb::envoy::service::discovery::v3::Resource as PbResource;

fn url() -> impl Strategy<Value = String> {
    let known = select(ResourceType::ALL.to_vec()).prop_map(|kind| kind.type_url().to_owned());
    prop_oneof![6 => known, 1 => ".{0,8}"]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(vec!["a", "b", "c", "*", ""]).prop_map(Into::into), 1 => ".{0,6}"]
}

fn names() -> impl Strategy<Value = Vec<String>> {
    vec(name(), 0..5)
}

/// The nonce of the last response, of none, or of some other.
fn nonce() -> impl Strategy<Value = Option<String>> {
    prop_oneof![2 => Just(None), 1 => Just(Some(String::new())), 1 => ".{0,4}".prop_map(Some)]
}

prop_compose! {
    fn delta_request()(
        type_url in url(), subscribe in names(), unsubscribe in names(), held in vec((name(), ".{0,17}"), 0..4),
        nonce in nonce(), nack in any::<bool>(),
    ) -> (Option<String>, DeltaDiscoveryRequest) {
        (nonce, DeltaDiscoveryRequest {
            node: node(),
            type_url,
            resource_names_subscribe: subscribe,
            resource_names_unsubscribe: unsubscribe,
            initial_resource_versions: held.into_iter().collect(),
            error_detail: nack.then(|| error("no")).flatten(),
            ..Default::default()
        })
    }
}

prop_compose! {
    fn sotw_request()(
        type_url in url(), names in names(), nonce in nonce(), nack in any::<bool>(),
    ) -> (Option<String>, DiscoveryRequest) {
        (nonce, DiscoveryRequest {
            node: node(),
            type_url,
            resource_names: names,
            error_detail: nack.then(|| error("no")).flatten(),
            ..Default::default()
        })
    }
}

prop_compose! {
    fn delta_response()(
        type_url in url(), added in vec((name(), ".{0,3}", url(), any::<bool>(), vec(any::<u8>(), 0..9)), 0..5),
        removed in names(), nonce in ".{0,4}",
    ) -> DeltaDiscoveryResponse {
        let resource = |(name, version, type_url, full, value): (String, String, String, bool, Vec<u8>)| PbResource {
            name,
            version,
            resource: full.then_some(crate::pb::google::protobuf::Any { type_url, value }),
            ..Default::default()
        };
        let resources = added.into_iter().map(resource).collect();
        DeltaDiscoveryResponse { type_url, resources, removed_resources: removed, nonce, ..Default::default() }
    }
}

/// Everything a server says to one request; every answer is about what exists or is asked for and then done.
fn serve(server: &mut Server, request: Request, last: &mut String) {
    if server.on_request(&request, at(1)).is_err() {
        return;
    }
    for _ in 0..ResourceType::ALL.len() {
        let Some(ask) = server.asked() else { break };
        for response in server
            .answer(&ask, &resources(ask.kind(), &["a", "b"]), &stamp("v"))
            .unwrap()
        {
            assert!(
                response
                    .resources
                    .iter()
                    .all(|resource| ["a", "b"].contains(&resource.name()))
            );
            assert!(
                response
                    .removed
                    .iter()
                    .all(|name| name != "a" && name != "b"),
                "{:?}",
                response.removed
            );
            last.clone_from(&response.nonce);
        }
    }
    assert_eq!(
        server.asked(),
        None,
        "an answer is due that no answer satisfies"
    );
    while server.withdraw(&stamp("v")).is_some() {}
    assert_eq!(server.status().count(), ResourceType::ALL.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_server_survives_delta_requests(requests in vec(delta_request(), 0..30)) {
        let (mut server, mut last) = (Server::new(Protocol::Delta, 1, control_plane("{}")), String::new());
        for (nonce, request) in requests {
            let response_nonce = nonce.unwrap_or_else(|| last.clone());
            serve(&mut server, DeltaDiscoveryRequest { response_nonce, ..request }.into(), &mut last);
        }
    }

    #[test]
    fn a_server_survives_sotw_requests(requests in vec(sotw_request(), 0..30)) {
        let (mut server, mut last) = (Server::new(Protocol::Sotw, 1, control_plane("{}")), String::new());
        for (nonce, request) in requests {
            let response_nonce = nonce.unwrap_or_else(|| last.clone());
            serve(&mut server, DiscoveryRequest { response_nonce, ..request }.into(), &mut last);
        }
    }

    #[test]
    fn a_client_survives_responses(responses in vec(delta_response(), 0..30), sotw in any::<bool>()) {
        let protocol = if sotw { Protocol::Sotw } else { Protocol::Delta };
        let mut client = Client::new(protocol, node().unwrap());
        client.watch_all(ResourceType::Cluster);
        client.subscribe(ResourceType::Endpoint, ["a", "b"]);
        client.connected();
        while client.next_request().is_some() {}
        for response in responses {
            let owed = match client.on_response(response) {
                Ok((update, ticket)) => {
                    prop_assert!(update.added.iter().all(|resource| client.wants(update.kind, &resource.name)));
                    client.complete(ticket, &[]);
                    1
                }
                Err(ResponseError::Malformed { .. }) => 1,
                Err(_) => 0,
            };
            let said = std::iter::from_fn(|| client.next_request()).count();
            prop_assert_eq!(said, owed, "each response that was asked for is answered once, and no other");
        }
    }
}
