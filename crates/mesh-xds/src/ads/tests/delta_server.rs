//! The server's delta rules, one test for each.

use super::*;

use ResourceType::{Cluster, Endpoint, ExtensionConfig, Listener, Route};

/// A stream whose first request names its node.
struct Stream(Server);

impl Stream {
    fn new() -> Self {
        Self(Server::new(Protocol::Delta, 7, control_plane("{}")))
    }

    fn hear(&mut self, request: DeltaDiscoveryRequest) -> Heard {
        let request = DeltaDiscoveryRequest {
            node: node(),
            ..request
        };
        self.0.on_request(&request.into(), at(5)).unwrap()
    }

    /// Opens a type with names and held versions.
    fn open(&mut self, kind: ResourceType, names: &[&str], held: &[(&str, &str)]) -> Heard {
        self.hear(DeltaDiscoveryRequest {
            type_url: kind.type_url().into(),
            resource_names_subscribe: strings(names),
            initial_resource_versions: held
                .iter()
                .map(|(a, b)| ((*a).into(), (*b).into()))
                .collect(),
            ..Default::default()
        })
    }

    fn change(&mut self, kind: ResourceType, add: &[&str], remove: &[&str]) -> Heard {
        self.hear(DeltaDiscoveryRequest {
            type_url: kind.type_url().into(),
            resource_names_subscribe: strings(add),
            resource_names_unsubscribe: strings(remove),
            ..Default::default()
        })
    }

    fn ack(&mut self, response: &Response) -> Heard {
        self.hear(DeltaDiscoveryRequest {
            type_url: response.kind.type_url().into(),
            response_nonce: response.nonce.clone(),
            ..Default::default()
        })
    }

    fn nack(&mut self, response: &Response, text: &str) -> Heard {
        self.hear(DeltaDiscoveryRequest {
            type_url: response.kind.type_url().into(),
            response_nonce: response.nonce.clone(),
            error_detail: error(text),
            ..Default::default()
        })
    }

    fn answers(&mut self, specs: &[&str]) -> Vec<Response> {
        answers(&mut self.0, |kind| resources(kind, specs))
    }

    fn push(&mut self, specs: &[&str]) -> Vec<Response> {
        push(&mut self.0, |kind| resources(kind, specs))
    }
}

#[test]
fn the_first_request_must_name_its_node() {
    let mut server = Server::new(Protocol::Delta, 7, control_plane("{}"));
    let nameless = DeltaDiscoveryRequest {
        type_url: Cluster.type_url().into(),
        ..Default::default()
    };
    for node in [None, Some(Node::default())] {
        let request = DeltaDiscoveryRequest {
            node,
            ..nameless.clone()
        }
        .into();
        assert_eq!(
            server.on_request(&request, at(0)),
            Err(Refusal::MissingNode)
        );
    }
    assert_eq!(server.asked(), None, "nothing was opened");
    let request = DeltaDiscoveryRequest {
        node: node(),
        ..nameless.clone()
    }
    .into();
    assert!(server.on_request(&request, at(0)).is_ok());
    assert!(
        server.on_request(&nameless.into(), at(0)).is_ok(),
        "later requests need none"
    );
}

#[test]
fn an_unknown_type_is_refused_and_the_stream_goes_on() {
    let mut stream = Stream::new();
    let url = "type.googleapis.com/envoy.service.runtime.v3.Runtime";
    let request = DeltaDiscoveryRequest {
        node: node(),
        type_url: url.into(),
        ..Default::default()
    };
    assert_eq!(
        stream.0.on_request(&request.into(), at(0)),
        Err(Refusal::UnknownType(url.into()))
    );
    stream.open(Cluster, &[], &[]);
    assert_eq!(said(&stream.answers(&["a"])), ["+a"]);
}

#[test]
fn a_request_of_the_other_protocol_is_refused() {
    let mut stream = Stream::new();
    let request = DiscoveryRequest {
        node: node(),
        type_url: Cluster.type_url().into(),
        ..Default::default()
    };
    assert_eq!(
        stream.0.on_request(&request.into(), at(0)),
        Err(Refusal::WrongProtocol)
    );
}

#[test]
fn no_names_at_first_mean_everything_for_clusters_and_listeners_only() {
    let mut stream = Stream::new();
    for (kind, expected) in [
        (Cluster, vec!["+a +b"]),
        (Listener, vec!["+a +b"]),
        (Endpoint, vec![]),
        (Route, vec![]),
    ] {
        assert_eq!(stream.open(kind, &[], &[]).interest, Interest::Opened);
        assert_eq!(said(&stream.answers(&["a", "b"])), expected, "{kind:?}");
    }
}

#[test]
fn a_star_means_everything() {
    let mut stream = Stream::new();
    stream.open(Cluster, &["*"], &[]);
    assert!(stream.0.wants_all(Cluster));
    assert_eq!(said(&stream.answers(&["a", "b"])), ["+a +b"]);
}

#[test]
fn a_star_given_and_taken_back_means_nothing() {
    // How a client opens a type that it will only ask for by name.
    let mut stream = Stream::new();
    stream.change(Cluster, &["*"], &["*"]);
    assert_eq!(stream.0.asked(), None);
    stream.change(Cluster, &["a"], &[]);
    assert_eq!(said(&stream.answers(&["a", "b"])), ["+a"]);
}

#[test]
fn an_empty_answer_is_an_answer() {
    let mut stream = Stream::new();
    stream.open(Cluster, &[], &[]);
    assert_eq!(said(&stream.answers(&[])), [""]);
    assert_eq!(stream.0.asked(), None);
}

#[test]
fn names_are_answered_exactly_and_absence_is_told_once() {
    let mut stream = Stream::new();
    stream.open(Endpoint, &["a", "none"], &[]);
    assert_eq!(said(&stream.answers(&["a", "b"])), ["+a -none"]);
    assert!(stream.push(&["a", "b"]).is_empty(), "told already");
    assert_eq!(
        said(&stream.push(&["a", "none"])),
        ["+none"],
        "it may come into being later"
    );
}

#[test]
fn an_ack_is_recorded_and_not_answered() {
    let mut stream = Stream::new();
    assert_eq!(state(&stream.0, Cluster), SyncState::Ignored);
    stream.open(Cluster, &[], &[]);
    assert_eq!(state(&stream.0, Cluster), SyncState::NotSent);
    let sent = stream.answers(&["a"]);
    assert_eq!(state(&stream.0, Cluster), SyncState::Stale);
    let heard = stream.ack(&sent[0]);
    assert_eq!(
        (heard.verdict, heard.interest),
        (Verdict::Ack, Interest::Unchanged)
    );
    assert_eq!(stream.0.asked(), None);
    let status = stream.0.status().next().unwrap();
    assert_eq!((status.state, status.resources), (SyncState::Synced, 1));
    assert_eq!(
        (status.sent_at, status.acked_at),
        (Some(at(1)), Some(at(5)))
    );
}

#[test]
fn a_nack_is_counted_and_not_answered_and_an_ack_clears_it() {
    let mut stream = Stream::new();
    stream.open(Cluster, &[], &[]);
    let sent = stream.answers(&["a"]);
    let heard = stream.nack(&sent[0], "a: no such thing");
    let rejection = Rejection {
        code: 13,
        detail: "a: no such thing".into(),
        at: at(5),
    };
    assert_eq!(heard.verdict, Verdict::Nack(rejection.clone()));
    assert_eq!(stream.0.asked(), None);
    let status = stream.0.status().next().unwrap();
    assert_eq!((status.state, status.rejections), (SyncState::Error, 1));
    assert_eq!(status.rejection, Some(rejection));
    assert!(
        stream.push(&["a"]).is_empty(),
        "what was refused is not sent again while it is the same"
    );

    let sent = stream.push(&["a=better"]);
    assert_eq!(said(&sent), ["+a"]);
    stream.ack(&sent[0]);
    assert_eq!(state(&stream.0, Cluster), SyncState::Synced);
}

#[test]
fn a_stale_nonce_is_no_ack_but_its_subscriptions_count() {
    let mut stream = Stream::new();
    stream.open(Endpoint, &["a"], &[]);
    let old = stream.answers(&["a"]);
    stream.push(&["a=2"]);
    assert_eq!(stream.ack(&old[0]).verdict, Verdict::Stale);
    assert_eq!(state(&stream.0, Endpoint), SyncState::Stale);
    let request = DeltaDiscoveryRequest {
        type_url: Endpoint.type_url().into(),
        response_nonce: "of another age".into(),
        resource_names_subscribe: strings(&["b"]),
        ..Default::default()
    };
    let heard = stream.hear(request);
    assert_eq!(
        (heard.verdict, heard.interest),
        (Verdict::Stale, Interest::Added)
    );
    assert_eq!(said(&stream.answers(&["a=2", "b"])), ["+b"]);
}

#[test]
fn a_spontaneous_request_is_no_ack() {
    let mut stream = Stream::new();
    stream.open(Endpoint, &["a"], &[]);
    stream.answers(&["a"]);
    let heard = stream.change(Endpoint, &["b"], &[]);
    assert_eq!(
        (heard.verdict, heard.interest),
        (Verdict::None, Interest::Added)
    );
    assert_eq!(state(&stream.0, Endpoint), SyncState::Stale);
    assert_eq!(
        said(&stream.answers(&["a", "b"])),
        ["+b"],
        "only what was added"
    );
}

#[test]
fn a_name_subscribed_again_is_sent_again() {
    let mut stream = Stream::new();
    stream.open(Endpoint, &["a"], &[]);
    stream.answers(&["a"]);
    stream.change(Endpoint, &["a"], &[]);
    assert_eq!(
        said(&stream.answers(&["a"])),
        ["+a"],
        "the client may have forgotten it"
    );
}

#[test]
fn only_removals_get_no_answer() {
    let mut stream = Stream::new();
    stream.open(Endpoint, &["a", "b"], &[]);
    stream.answers(&["a", "b"]);
    assert_eq!(
        stream.change(Endpoint, &[], &["b"]).interest,
        Interest::Removed
    );
    assert_eq!(stream.0.asked(), None);
    assert_eq!(said(&stream.push(&["a=2", "b=2"])), ["+a"]);
    assert_eq!(
        stream.change(Endpoint, &[], &["phantom"]).interest,
        Interest::Unchanged
    );
    assert_eq!(
        stream.change(Endpoint, &[], &["a"]).interest,
        Interest::Unsubscribed
    );
    assert_eq!(state(&stream.0, Endpoint), SyncState::Ignored);
    assert!(stream.push(&["a=3"]).is_empty());
}

#[test]
fn under_a_wildcard_an_unsubscribed_name_is_settled() {
    for (world, expected) in [(vec!["a", "b"], "+b"), (vec!["a"], "-b")] {
        let mut stream = Stream::new();
        stream.open(Cluster, &["*", "b"], &[]);
        stream.answers(&["a", "b"]);
        stream.change(Cluster, &[], &["b"]);
        assert_eq!(said(&stream.answers(&world)), [expected]);
    }
}

#[test]
fn a_phantom_unsubscription_under_a_wildcard_keeps_what_is_held() {
    let mut stream = Stream::new();
    stream.open(Cluster, &[], &[]);
    stream.answers(&["a"]);
    assert_eq!(
        stream.change(Cluster, &[], &["a"]).interest,
        Interest::Unchanged
    );
    assert!(stream.push(&["a"]).is_empty());
    assert_eq!(said(&stream.push(&[])), ["-a"]);
}

#[test]
fn without_the_star_only_the_names_remain() {
    let mut stream = Stream::new();
    stream.open(Cluster, &["*", "a"], &[]);
    stream.answers(&["a", "b"]);
    stream.change(Cluster, &[], &["*"]);
    assert_eq!(stream.0.asked(), None);
    assert_eq!(said(&stream.push(&["a=2", "b=2"])), ["+a"]);
}

#[test]
fn a_push_sends_what_changed_and_removes_what_is_gone() {
    let mut stream = Stream::new();
    stream.open(Cluster, &[], &[]);
    stream.answers(&["a", "b", "c"]);
    assert!(stream.push(&["a", "b", "c"]).is_empty());
    assert_eq!(said(&stream.push(&["a=2", "c", "d"])), ["+a +d", "-b"]);
    assert!(stream.push(&["a=2", "c", "d"]).is_empty());
}

#[test]
fn a_client_that_comes_back_is_sent_what_differs_and_told_what_is_gone() {
    let same = Version::of(b"1").to_string();
    let held: &[(&str, &str)] = &[
        ("same", &same),
        ("old", "0123456789abcdef"),
        ("foreign", "2026-01-01/3"),
        ("gone", &same),
    ];
    let world = ["same", "old", "foreign", "new"];
    let mut stream = Stream::new();
    stream.open(Cluster, &[], held);
    assert_eq!(
        said(&stream.answers(&world)),
        ["+old +foreign +new", "-gone"]
    );

    // By name, the versions count as subscriptions too.
    let mut stream = Stream::new();
    stream.open(Endpoint, &["same", "old"], held);
    assert_eq!(said(&stream.answers(&world)), ["+old +foreign", "-gone"]);
}

#[test]
fn a_client_that_comes_back_with_everything_is_sent_nothing_again() {
    let same = Version::of(b"1").to_string();
    let mut stream = Stream::new();
    stream.open(Cluster, &[], &[("a", &same)]);
    let sent = stream.answers(&["a"]);
    assert_eq!(
        said(&sent),
        [""],
        "an answer, so that it can be acknowledged"
    );
    stream.ack(&sent[0]);
    assert_eq!(state(&stream.0, Cluster), SyncState::Synced);
}

#[test]
fn a_sent_cluster_makes_its_endpoints_due() {
    let mut stream = Stream::new();
    stream.open(Cluster, &[], &[]);
    stream.open(Endpoint, &["a", "b"], &[]);
    stream.answers(&["a", "b"]);
    let clusters = resources(Cluster, &["a=2", "b", "c"]);
    let ask = stream.0.refresh(Cluster).unwrap();
    stream.0.answer(&ask, &clusters, &stamp("v2")).unwrap();
    let due = stream.0.asked().unwrap();
    assert_eq!(
        (due.kind(), due.names().unwrap().collect::<Vec<_>>()),
        (Endpoint, vec!["a"])
    );
    assert_eq!(said(&stream.answers(&["a", "b"])), ["+a"]);
}

#[test]
fn additions_go_down_the_order_and_removals_up() {
    let mut stream = Stream::new();
    stream.open(Listener, &[], &[]);
    stream.open(Route, &["old", "new"], &[]);
    stream.open(Endpoint, &["old", "new"], &[]);
    stream.open(Cluster, &[], &[]);
    stream.answers(&["old"]);
    let sent = push(&mut stream.0, |kind| resources(kind, &["new"]));
    let order: Vec<_> = sent
        .iter()
        .map(|response| {
            (
                response.kind,
                said(std::slice::from_ref(response)).remove(0),
            )
        })
        .collect();
    let expected = [
        (Cluster, "+new"),
        (Endpoint, "+new"),
        (Listener, "+new"),
        (Route, "+new"),
        (Route, "-old"),
        (Listener, "-old"),
        (Endpoint, "-old"),
        (Cluster, "-old"),
    ];
    assert_eq!(order, expected.map(|(kind, text)| (kind, text.to_owned())));
}

#[test]
fn what_comes_back_before_it_was_withdrawn_stays() {
    let mut stream = Stream::new();
    stream.open(Cluster, &[], &[]);
    stream.answers(&["a"]);
    let ask = stream.0.refresh(Cluster).unwrap();
    assert!(
        stream.0.answer(&ask, &[], &stamp("v2")).unwrap().is_empty(),
        "held back"
    );
    assert!(stream.push(&["a"]).is_empty());
}

#[test]
fn a_push_of_a_few_names_leaves_the_others() {
    let mut stream = Stream::new();
    stream.open(Endpoint, &["a", "b", "c"], &[]);
    stream.answers(&["a", "b", "c"]);
    assert_eq!(
        stream.0.refresh_names(Endpoint, ["x", "y"]),
        None,
        "not subscribed"
    );
    let ask = stream.0.refresh_names(Endpoint, ["a", "b", "x"]).unwrap();
    assert_eq!(ask.names().unwrap().collect::<Vec<_>>(), ["a", "b"]);
    let mut sent = stream
        .0
        .answer(&ask, &resources(Endpoint, &["a=2", "x"]), &stamp("v2"))
        .unwrap();
    sent.extend(stream.0.withdraw(&stamp("v2")));
    assert_eq!(said(&sent), ["+a", "-b"]);
}

#[test]
fn extension_configurations_are_never_removed() {
    let mut stream = Stream::new();
    stream.open(ExtensionConfig, &["a", "none"], &[]);
    assert_eq!(said(&stream.answers(&["a"])), ["+a"]);
    assert!(stream.push(&[]).is_empty());
}

#[test]
fn a_resource_given_twice_is_sent_once() {
    let mut stream = Stream::new();
    stream.open(Cluster, &[], &[]);
    assert_eq!(
        said(&stream.answers(&["a=1", "a=2"])),
        ["+a"],
        "a client refuses a response with a name twice"
    );
}

#[test]
fn nonces_are_unique_across_streams() {
    let mut seen = std::collections::HashSet::new();
    for stream in 0..3 {
        let mut server = Server::new(Protocol::Delta, stream, control_plane("{}"));
        let request = DeltaDiscoveryRequest {
            node: node(),
            type_url: Cluster.type_url().into(),
            ..Default::default()
        };
        server.on_request(&request.into(), at(0)).unwrap();
        let mut sent = answers(&mut server, |kind| resources(kind, &["a"]));
        sent.extend(push(&mut server, |kind| resources(kind, &["a=2"])));
        assert_eq!(sent.len(), 2);
        assert!(sent.into_iter().all(|response| seen.insert(response.nonce)));
    }
}

#[test]
fn a_large_answer_is_split_and_a_resource_that_fits_no_message_is_refused() {
    let mut stream = Stream::new();
    stream.open(Cluster, &[], &[]);
    let big: Vec<_> = ["a", "b", "c"]
        .map(|name| large(Cluster, name, 30 << 20))
        .into();
    let ask = stream.0.asked().unwrap();
    let sent = stream.0.answer(&ask, &big, &stamp("v1")).unwrap();
    assert_eq!(said(&sent), ["+a +b", "+c"]);
    for response in sent {
        let bytes = prost::Message::encoded_len(&EncodedDeltaResponse::from(response));
        assert!(bytes <= MAX_RESPONSE_BYTES, "{bytes}");
    }
    let huge = [large(Cluster, "huge", MAX_RESPONSE_BYTES)];
    let ask = stream.0.refresh(Cluster).unwrap();
    assert!(matches!(
        stream.0.answer(&ask, &huge, &stamp("v2")),
        Err(Refusal::TooLarge { kind: Cluster, .. })
    ));
}

#[test]
fn a_wildcard_that_comes_back_settles_what_is_still_under_way() {
    let mut stream = Stream::new();
    stream.open(Cluster, &[], &[]);
    stream.answers(&["a", "b"]);
    stream.change(Cluster, &[], &["*"]);
    stream.change(Cluster, &["*"], &[]);
    // The client takes `a` and `b` when they arrive, since it wants everything again.
    let sent = stream.answers(&["a"]);
    assert_eq!(said(&sent), ["+a", "-b"]);

    stream.change(Cluster, &[], &["*"]);
    assert_eq!(stream.ack(&sent[1]).verdict, Verdict::Ack);
    stream.change(Cluster, &["*"], &[]);
    assert_eq!(
        said(&stream.answers(&[])),
        [""],
        "it has seen everything while it wanted nothing"
    );
}
