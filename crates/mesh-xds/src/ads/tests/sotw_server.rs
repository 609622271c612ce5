//! The server's state-of-the-world rules, one test for each row of Istio section 3.4.

use super::*;

use ResourceType::{Cluster, Endpoint, Listener, Route};

struct Stream(Server);

impl Stream {
    fn new() -> Self {
        Self(Server::new(Protocol::Sotw, 7, control_plane("{}")))
    }

    fn hear(
        &mut self,
        kind: ResourceType,
        names: &[&str],
        nonce: &str,
        error_detail: Option<Status>,
    ) -> Heard {
        let request = DiscoveryRequest {
            node: node(),
            type_url: kind.type_url().into(),
            resource_names: strings(names),
            response_nonce: nonce.into(),
            error_detail,
            ..Default::default()
        };
        self.0.on_request(&request.into(), at(5)).unwrap()
    }

    fn answers(&mut self, specs: &[&str]) -> Vec<Response> {
        answers(&mut self.0, |kind| resources(kind, specs))
    }

    fn push(&mut self, specs: &[&str]) -> Vec<Response> {
        push(&mut self.0, |kind| resources(kind, specs))
    }
}

/// One row: a stream that has been sent `a` and `b` of the endpoints hears one more request.
#[test]
fn every_kind_of_request_is_told_apart() {
    struct Row {
        rule: &'static str,
        names: &'static [&'static str],
        nonce: Nonce,
        refused: bool,
        interest: Interest,
        answer: &'static [&'static str],
        state: SyncState,
    }
    enum Nonce {
        Last,
        Other,
        Empty,
    }
    use Nonce::{Empty, Last, Other};
    let rows = [
        Row {
            rule: "nonce equal, names unchanged: ACK",
            names: &["a", "b"],
            nonce: Last,
            refused: false,
            interest: Interest::Unchanged,
            answer: &[],
            state: SyncState::Synced,
        },
        Row {
            rule: "order of names does not matter",
            names: &["b", "a"],
            nonce: Last,
            refused: false,
            interest: Interest::Unchanged,
            answer: &[],
            state: SyncState::Synced,
        },
        Row {
            rule: "nonce equal, names added: respond with them",
            names: &["a", "b", "c"],
            nonce: Last,
            refused: false,
            interest: Interest::Added,
            answer: &["+c"],
            state: SyncState::Stale,
        },
        Row {
            rule: "one added, one removed: respond",
            names: &["a", "c"],
            nonce: Last,
            refused: false,
            interest: Interest::Added,
            answer: &["+c"],
            state: SyncState::Stale,
        },
        Row {
            rule: "only removals: no response",
            names: &["a"],
            nonce: Last,
            refused: false,
            interest: Interest::Removed,
            answer: &[],
            state: SyncState::Synced,
        },
        Row {
            rule: "stale nonce: ignored",
            names: &["a", "b", "c"],
            nonce: Other,
            refused: false,
            interest: Interest::Unchanged,
            answer: &[],
            state: SyncState::Stale,
        },
        Row {
            rule: "empty nonce: connects anew, respond with all",
            names: &["a", "b"],
            nonce: Empty,
            refused: false,
            interest: Interest::Opened,
            answer: &["+a +b"],
            state: SyncState::Stale,
        },
        Row {
            rule: "error: NACK, no response",
            names: &["a", "b"],
            nonce: Last,
            refused: true,
            interest: Interest::Unchanged,
            answer: &[],
            state: SyncState::Error,
        },
        Row {
            rule: "stale error: NACK all the same",
            names: &["a", "b"],
            nonce: Other,
            refused: true,
            interest: Interest::Unchanged,
            answer: &[],
            state: SyncState::Error,
        },
        Row {
            rule: "no names: unsubscribed",
            names: &[],
            nonce: Last,
            refused: false,
            interest: Interest::Unsubscribed,
            answer: &[],
            state: SyncState::Ignored,
        },
        Row {
            rule: "no names with a stale nonce: unsubscribed",
            names: &[],
            nonce: Other,
            refused: false,
            interest: Interest::Unsubscribed,
            answer: &[],
            state: SyncState::Ignored,
        },
    ];
    for row in rows {
        let mut stream = Stream::new();
        stream.hear(Endpoint, &["a", "b"], "", None);
        let sent = stream.answers(&["a", "b", "c"]);
        let nonce = match row.nonce {
            Last => sent[0].nonce.as_str(),
            Other => "other",
            Empty => "",
        };
        let heard = stream.hear(
            Endpoint,
            row.names,
            nonce,
            row.refused.then(|| error("bad")).flatten(),
        );
        assert_eq!(heard.interest, row.interest, "{}", row.rule);
        assert_eq!(
            matches!(heard.verdict, Verdict::Nack(_)),
            row.refused,
            "{}",
            row.rule
        );
        assert_eq!(
            said(&stream.answers(&["a", "b", "c"])),
            row.answer,
            "{}",
            row.rule
        );
        assert_eq!(state(&stream.0, Endpoint), row.state, "{}", row.rule);
    }
}

#[test]
fn an_unknown_watch_is_answered_whatever_its_nonce() {
    let mut stream = Stream::new();
    let heard = stream.hear(Route, &["80"], "of an earlier stream", None);
    assert_eq!(
        (heard.verdict, heard.interest),
        (Verdict::None, Interest::Opened)
    );
    assert_eq!(said(&stream.answers(&["80", "81"])), ["+80"]);
}

#[test]
fn after_unsubscribing_names_are_answered_again() {
    let mut stream = Stream::new();
    stream.hear(Endpoint, &["a"], "", None);
    let sent = stream.answers(&["a"]);
    stream.hear(Endpoint, &[], &sent[0].nonce, None);
    assert_eq!(
        stream.hear(Endpoint, &["a"], &sent[0].nonce, None).interest,
        Interest::Opened
    );
    assert_eq!(said(&stream.answers(&["a"])), ["+a"]);
}

#[test]
fn clusters_and_listeners_are_sent_whole() {
    for kind in [Cluster, Listener] {
        let mut stream = Stream::new();
        stream.hear(kind, &[], "", None);
        assert_eq!(said(&stream.answers(&["a", "b"])), ["+a +b"]);
        assert!(stream.push(&["a", "b"]).is_empty(), "nothing changed");
        assert_eq!(
            said(&stream.push(&["a", "b=2"])),
            ["+a +b"],
            "one changed, all are sent"
        );
        assert_eq!(said(&stream.push(&["a"])), ["+a"], "one went");
        assert_eq!(said(&stream.push(&[])), [""], "all went");
    }
}

#[test]
fn names_are_sent_alone_and_never_taken_away() {
    let mut stream = Stream::new();
    stream.hear(Endpoint, &["a", "b"], "", None);
    stream.answers(&["a", "b"]);
    assert_eq!(said(&stream.push(&["a", "b=2"])), ["+b"]);
    assert!(
        stream.push(&["a"]).is_empty(),
        "the protocol has no word for it"
    );
    assert_eq!(said(&stream.push(&["a", "b=2"])), ["+b"], "it came back");
}

#[test]
fn a_removal_comes_after_the_additions_of_all_types() {
    let mut stream = Stream::new();
    stream.hear(Cluster, &[], "", None);
    stream.hear(Listener, &[], "", None);
    stream.answers(&["old"]);
    let sent = stream.push(&["new"]);
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
        (Cluster, "+new +old"),
        (Listener, "+new +old"),
        (Listener, "+new"),
        (Cluster, "+new"),
    ];
    assert_eq!(order, expected.map(|(kind, text)| (kind, text.to_owned())));
}

#[test]
fn no_names_mean_everything_until_a_name_was_given() {
    // The four requests of Envoy's description of the wildcard.
    let mut stream = Stream::new();
    stream.hear(Cluster, &[], "", None);
    assert!(stream.0.wants_all(Cluster));
    let nonce = stream.answers(&["a", "b"]).remove(0).nonce;
    assert_eq!(
        stream.hear(Cluster, &["*", "a"], &nonce, None).interest,
        Interest::Added
    );
    assert!(stream.0.wants_all(Cluster));
    let nonce = stream.answers(&["a", "b"]).remove(0).nonce;
    assert_eq!(
        stream.hear(Cluster, &["a"], &nonce, None).interest,
        Interest::Removed
    );
    assert!(!stream.0.wants_all(Cluster));
    assert_eq!(stream.0.names(Cluster).collect::<Vec<_>>(), ["a"]);
    assert_eq!(
        stream.hear(Cluster, &[], &nonce, None).interest,
        Interest::Unsubscribed
    );
    assert_eq!(state(&stream.0, Cluster), SyncState::Ignored);
}

#[test]
fn a_sent_cluster_makes_its_endpoints_due() {
    let mut stream = Stream::new();
    stream.hear(Cluster, &[], "", None);
    stream.hear(Endpoint, &["a", "b"], "", None);
    stream.answers(&["a", "b"]);
    let ask = stream.0.refresh(Cluster).unwrap();
    stream
        .0
        .answer(&ask, &resources(Cluster, &["a=2", "b"]), &stamp("v2"))
        .unwrap();
    assert_eq!(
        said(&stream.answers(&["a", "b"])),
        ["+a"],
        "which finishes its warming"
    );
}

#[test]
fn a_push_of_a_few_names_is_a_whole_one_where_it_must_be() {
    let mut stream = Stream::new();
    stream.hear(Cluster, &[], "", None);
    stream.hear(Endpoint, &["a", "b"], "", None);
    stream.answers(&["a", "b"]);
    assert!(
        stream
            .0
            .refresh_names(Cluster, ["a"])
            .unwrap()
            .names()
            .is_none()
    );
    assert_eq!(
        stream
            .0
            .refresh_names(Endpoint, ["a"])
            .unwrap()
            .names()
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn an_answer_that_no_client_takes_is_refused() {
    let mut stream = Stream::new();
    stream.hear(Cluster, &[], "", None);
    let ask = stream.0.asked().unwrap();
    let big: Vec<_> = ["a", "b", "c"]
        .map(|name| large(Cluster, name, 30 << 20))
        .into();
    assert!(matches!(
        stream.0.answer(&ask, &big, &stamp("v1")),
        Err(Refusal::TooLarge { kind: Cluster, .. })
    ));
}
