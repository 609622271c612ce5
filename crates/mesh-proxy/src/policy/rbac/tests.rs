//! What policies decide, and that the compiled ones decide as they are written.

use super::{reference, *};
use crate::{connection::DownstreamPeer, policy::metadata::NOTHING};
use http::{HeaderMap, HeaderValue, Method, uri::PathAndQuery};
use mesh_model::{
    matcher::{HeaderMatch, HeaderValueMatch, PathTemplate, Regex, StringMatch, StringMatcher},
    name::Direction,
    policy::{
        MetadataMatch, ValueMatch,
        rbac::{Permission, Principal},
    },
};
use proptest::{collection, option, prelude::*, sample::select};
use serde_json::json;

/// Who does what.
#[derive(Clone, Debug)]
struct Case {
    method: Method,
    host: String,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    identity: Option<Option<&'static str>>,
    peer: [u8; 4],
    destination: ([u8; 4], u16),
    server_name: Option<&'static str>,
    claims: Option<&'static str>,
    is_request: bool,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            method: Method::GET,
            host: "a.com".into(),
            path: "/".into(),
            headers: Vec::new(),
            identity: None,
            peer: [10, 0, 0, 9],
            destination: ([10, 0, 0, 1], 80),
            server_name: None,
            claims: None,
            is_request: true,
        }
    }
}

impl Case {
    fn asks(path: &str) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    fn to(host: &str) -> Self {
        Self {
            host: host.into(),
            ..Self::default()
        }
    }

    fn with(headers: &[(&'static str, &[u8])]) -> Self {
        let headers = headers.iter().map(|(name, value)| (*name, value.to_vec()));
        Self {
            headers: headers.collect(),
            ..Self::default()
        }
    }

    fn of(identity: &'static str) -> Self {
        Self {
            identity: Some(Some(identity)),
            ..Self::default()
        }
    }

    /// What `judge` says of its facts.
    fn facts<T>(&self, judge: impl FnOnce(&Facts<'_>) -> T) -> T {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let value = HeaderValue::from_bytes(value).expect("a value");
            headers.append(*name, value);
        }
        let connection = Connection {
            id: 1,
            listener: "test".into(),
            direction: Some(Direction::Inbound),
            peer: (self.peer, 40000).into(),
            destination: self.destination.into(),
            server_name: self.server_name.map(Into::into),
            tls: self.identity.map(|identity| DownstreamPeer {
                uri_san: identity.map(Into::into),
                local_uri_san: None,
                certificate: Some(b"der"[..].into()),
                alpn: None,
            }),
        };
        let mut metadata = DynamicMetadata::default();
        if let Some(group) = self.claims {
            metadata.set("jwt", "payload", json!({"sub": group, "groups": [group]}));
        }
        let path = PathAndQuery::try_from(self.path.as_str()).expect("a path");
        let head = RequestHead {
            host: &self.host,
            path: &path,
            method: &self.method,
            headers: &headers,
            random: 0,
        };
        judge(&Facts {
            connection: &connection,
            head: self.is_request.then_some(head),
            remote: connection.peer.ip(),
            metadata: match self.claims {
                Some(_) => &metadata,
                None => &NOTHING,
            },
        })
    }
}

fn rules(action: Action, permission: Permission, principal: Principal) -> model::Rules {
    model::Rules {
        action,
        policies: vec![model::Policy {
            name: "p q".into(),
            permissions: vec![permission],
            principals: vec![principal],
        }],
    }
}

fn passes(rules: &model::Rules, case: &Case) -> bool {
    case.facts(|facts| Engine::new(rules).judge(facts).allowed)
}

/// Whether what this describes passes where it is allowed, and where it is denied.
fn both(permission: &Permission, case: &Case) -> (bool, bool) {
    let under = |action| passes(&rules(action, permission.clone(), Principal::Any), case);
    (under(Action::Allow), under(Action::Deny))
}

fn exact(text: &str) -> StringMatcher {
    StringMatch::Exact(text.into()).into()
}

fn header(name: &str, value: StringMatcher) -> Permission {
    Permission::Header(HeaderMatch::new(name, HeaderValueMatch::String(value)))
}

fn not(permission: Permission) -> Permission {
    Permission::Not(Box::new(permission))
}

#[test]
fn an_action_says_what_follows() {
    let case = Case::asks("/a");
    for (action, path, allowed, policy) in [
        (Action::Allow, "/a", true, Some("p q")),
        (Action::Allow, "/b", false, None),
        (Action::Deny, "/a", false, Some("p q")),
        (Action::Deny, "/b", true, None),
        (Action::Log, "/a", true, Some("p q")),
        (Action::Log, "/b", true, None),
    ] {
        let rules = rules(action, Permission::Path(exact(path)), Principal::Any);
        let judgement = case.facts(|facts| {
            let engine = Engine::new(&rules);
            let judgement = engine.judge(facts);
            (judgement.allowed, judgement.policy.map(str::to_owned))
        });
        assert_eq!(
            judgement,
            (allowed, policy.map(str::to_owned)),
            "{action:?}"
        );
    }
    let nothing = model::Rules::default();
    assert!(!passes(&nothing, &case), "no policy allows anything");
}

#[test]
fn details_are_one_word() {
    let denied = |policy| Judgement {
        allowed: false,
        policy,
    };
    let details = denied(Some("p q")).details();
    assert_eq!(details, "rbac_access_denied_matched_policy[p_q]");
    let details = denied(None).details();
    assert_eq!(details, "rbac_access_denied_matched_policy[none]");
}

#[test]
fn the_first_policy_by_name_counts() {
    let mut rules = rules(Action::Deny, Permission::Any, Principal::Any);
    let mut later = rules.policies[0].clone();
    later.name = "z".into();
    rules.policies.push(later);
    let engine = Engine::new(&rules);
    let matched = Case::default().facts(|facts| engine.judge(facts).policy);
    assert_eq!(matched, Some("p q"));
}

// Paths reach policies in their canonical form only; what is left of escapes and parameters is text like any other.
#[test]
fn sec_19_a_path_is_judged_as_it_is_sent_on() {
    let admin = Permission::Path(StringMatch::Prefix("/admin".into()).into());
    for (path, denied) in [
        ("/admin", true),
        ("/admin/x", true),
        ("/a%2Fdmin", false),
        ("/x/%2e%2e/admin", false),
    ] {
        let (_, passes) = both(&admin, &Case::asks(path));
        assert_eq!(!passes, denied, "{path}");
    }
}

#[test]
fn sec_20_a_query_is_no_part_of_a_path() {
    let path = Permission::Path(exact("/x"));
    for (asked, is) in [
        ("/x", true),
        ("/x?a", true),
        ("/x?", true),
        ("/x%23a", false),
        ("/x%3Fa", false),
    ] {
        assert_eq!(both(&path, &Case::asks(asked)), (is, !is), "{asked}");
    }
}

#[test]
fn sec_21_a_policy_on_a_host_holds_for_all_its_names() {
    let host = StringMatcher {
        ignore_case: true,
        ..exact("a.com")
    };
    let host = header(":authority", host);
    for name in ["a.com", "A.COM:80", "a.com.", "a.com:443", "A.com.:80"] {
        let (_, passes) = both(&host, &Case::to(name));
        assert!(!passes, "{name} is denied");
        let (passes, _) = both(&not(host.clone()), &Case::to(name));
        assert!(!passes, "{name} is not one of the others");
    }
    for name in ["b.com", "a.com.evil", "xa.com", "a.com:80:80"] {
        assert!(both(&host, &Case::to(name)).1, "{name}");
    }
    let with_port = header(":authority", exact("a.com:80"));
    assert!(both(&with_port, &Case::to("a.com:80")).0);
    assert!(!both(&with_port, &Case::to("a.com")).0);
    let v6 = header(":authority", exact("[::1]"));
    assert!(!both(&v6, &Case::to("[::1]:80")).1);
}

#[test]
fn sec_22_each_value_of_a_header_is_judged_by_itself() {
    let user = header("x-user", exact("admin"));
    for (values, allowed, may_unless_denied) in [
        (vec!["admin"], true, false),
        (vec!["user"], false, true),
        (vec!["user", "admin"], false, false),
        (vec!["admin", "user"], false, false),
        (vec!["admin", "admin"], true, false),
        (vec!["user,admin"], false, true),
        (vec![], false, true),
    ] {
        let headers: Vec<_> = values.iter().map(|v| ("x-user", v.as_bytes())).collect();
        let case = Case::with(&headers);
        assert_eq!(
            both(&user, &case),
            (allowed, may_unless_denied),
            "{values:?}"
        );
        // Turned around, what was caught before is what is let through now, and the doubtful is neither.
        let (allowed_unless, denied_unless) = both(&not(user.clone()), &case);
        let sure = values.iter().all(|v| *v == "admin") && !values.is_empty();
        let doubtful = values.len() == 2 && !sure;
        assert_eq!(allowed_unless, !sure && !doubtful, "{values:?}");
        assert_eq!(denied_unless, sure, "{values:?}");
    }
}

#[test]
fn sec_22_crumbs_of_a_cookie_are_one_cookie() {
    let both_crumbs = Regex::new("a=1; b=2").expect("valid");
    let cookie = header("cookie", StringMatch::Regex(both_crumbs).into());
    let crumbs = Case::with(&[("cookie", b"a=1"), ("cookie", b"b=2")]);
    assert_eq!(both(&cookie, &crumbs), (true, false));
    let evil = header("cookie", exact("b=2"));
    assert_eq!(both(&evil, &crumbs), (false, false));
}

#[test]
fn sec_23_bytes_that_are_no_text_are_judged_too() {
    let evil = [0xff, b'e', b'v', b'i', b'l'];
    let case = Case::with(&[("x-a", &evil)]);
    let regex = |pattern| StringMatch::Regex(Regex::new(pattern).expect("valid")).into();
    let suffix = || StringMatcher::from(StringMatch::Suffix("evil".into()));
    for caught in [suffix(), regex(".*evil"), regex("[^a]evil")] {
        let caught = header("x-a", caught);
        assert_eq!(both(&caught, &case), (true, false), "{caught:?}");
        assert_eq!(
            both(&not(caught.clone()), &case),
            (false, true),
            "{caught:?}"
        );
    }
    // What nothing describes is not allowed, and not excepted from what is denied.
    let word = header("x-a", regex("[a-z]+"));
    assert_eq!(both(&word, &case), (false, true));
    assert!(!both(&not(word), &case).1);
}

#[test]
fn sec_25_nobody_is_anybody_without_a_certificate() {
    let suffix = StringMatch::Suffix("/ns/a/sa/client".into()).into();
    let all = StringMatch::Regex(Regex::new(".*").expect("valid")).into();
    let peer = "spiffe://td/ns/a/sa/client";
    let no_san = Case {
        identity: Some(None),
        ..Case::default()
    };
    for (principal, mutual, san_less, plain) in [
        (
            Principal::Authenticated(Some(exact(peer))),
            true,
            false,
            false,
        ),
        (Principal::Authenticated(Some(suffix)), true, false, false),
        (Principal::Authenticated(Some(all)), true, false, false),
        (Principal::PeerPrincipal(exact(peer)), true, false, false),
        (Principal::Authenticated(None), true, true, false),
        (Principal::Any, true, true, true),
    ] {
        for (case, want) in [
            (&Case::of(peer), mutual),
            (&no_san, san_less),
            (&Case::default(), plain),
        ] {
            let allow = rules(Action::Allow, Permission::Any, principal.clone());
            assert_eq!(passes(&allow, case), want, "{principal:?} {case:?}");
            let unless = Principal::Not(Box::new(principal.clone()));
            let deny = rules(Action::Deny, Permission::Any, unless);
            assert_eq!(passes(&deny, case), want, "not {principal:?} {case:?}");
        }
    }
}

#[test]
fn what_only_requests_have_no_connection_has() {
    let connection = Case {
        is_request: false,
        ..Case::default()
    };
    let path = Permission::Path(StringMatch::Prefix("/".into()).into());
    let template = Permission::Template(PathTemplate::new("/**").expect("a template"));
    let here = Permission::Header(HeaderMatch::present(":method"));
    for permission in [path, template, here] {
        assert_eq!(both(&permission, &connection), (false, true));
    }
}

fn text() -> impl Strategy<Value = StringMatcher> {
    let word = || select(vec!["a", "A", "ab", "/a", "a.com", "b", "80"]).prop_map(String::from);
    let regex = select(vec!["a|ab", ".*", "[^a]+"]);
    let pattern = prop_oneof![
        word().prop_map(StringMatch::Exact),
        word().prop_map(StringMatch::Prefix),
        word().prop_map(StringMatch::Suffix),
        word().prop_map(StringMatch::Contains),
        regex.prop_map(|r| StringMatch::Regex(Regex::new(r).expect("valid"))),
    ];
    (pattern, any::<bool>()).prop_map(|(pattern, ignore_case)| StringMatcher {
        pattern,
        ignore_case,
    })
}

fn header_match() -> impl Strategy<Value = HeaderMatch> {
    let name = select(vec![":authority", ":method", ":path", "x-a", "cookie"]);
    let value = prop_oneof![
        any::<bool>().prop_map(HeaderValueMatch::Present),
        text().prop_map(HeaderValueMatch::String),
        (0..3i64, 0..3i64).prop_map(|(start, end)| HeaderValueMatch::Range(start..end)),
    ];
    (name, value, any::<[bool; 2]>()).prop_map(|(name, value, [invert, missing_is_empty])| {
        HeaderMatch {
            invert,
            missing_is_empty,
            ..HeaderMatch::new(name, value)
        }
    })
}

fn claim() -> impl Strategy<Value = MetadataMatch> {
    let value = prop_oneof![
        text().prop_map(ValueMatch::String),
        text().prop_map(|t| ValueMatch::OneOf(Box::new(ValueMatch::String(t)))),
        any::<bool>().prop_map(ValueMatch::Present),
    ];
    let key = select(vec!["sub", "groups", "none"]);
    (key, value, any::<bool>()).prop_map(|(key, value, invert)| MetadataMatch {
        filter: "jwt".into(),
        path: vec!["payload".into(), key.into()],
        value,
        invert,
    })
}

fn net() -> impl Strategy<Value = ipnet::IpNet> {
    let net = select(vec!["10.0.0.0/8", "10.0.0.9/32", "0.0.0.0/0", "::/0"]);
    net.prop_map(|net| net.parse().expect("a range"))
}

fn permission() -> impl Strategy<Value = Permission> {
    let template = select(vec!["/*", "/a/**", "/{x}/b"]);
    let leaf = prop_oneof![
        Just(Permission::Any),
        header_match().prop_map(Permission::Header),
        text().prop_map(Permission::Path),
        template.prop_map(|t| Permission::Template(PathTemplate::new(t).expect("a template"))),
        net().prop_map(Permission::DestinationIp),
        (79..82u32, 82..84u32).prop_map(|(start, end)| Permission::DestinationPort(start..end)),
        claim().prop_map(Permission::Metadata),
        text().prop_map(Permission::ServerName),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        let some = || collection::vec(inner.clone(), 1..4);
        prop_oneof![
            some().prop_map(Permission::And),
            some().prop_map(Permission::Or),
            inner.clone().prop_map(not),
        ]
    })
}

fn principal() -> impl Strategy<Value = Principal> {
    let leaf = prop_oneof![
        Just(Principal::Any),
        option::of(text()).prop_map(Principal::Authenticated),
        text().prop_map(Principal::PeerPrincipal),
        net().prop_map(Principal::PeerIp),
        net().prop_map(Principal::RemoteIp),
        header_match().prop_map(Principal::Header),
        text().prop_map(Principal::Path),
        claim().prop_map(Principal::Metadata),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        let some = || collection::vec(inner.clone(), 1..4);
        prop_oneof![
            some().prop_map(Principal::And),
            some().prop_map(Principal::Or),
            inner.clone().prop_map(|p| Principal::Not(Box::new(p))),
        ]
    })
}

fn policies() -> impl Strategy<Value = model::Rules> {
    let action = select(vec![Action::Allow, Action::Deny, Action::Log]);
    let some = collection::vec(permission(), 1..3);
    let policy = (some, collection::vec(principal(), 1..3));
    (action, collection::vec(policy, 0..3)).prop_map(|(action, policies)| {
        let named = policies.into_iter().enumerate();
        model::Rules {
            action,
            policies: named
                .map(|(i, (permissions, principals))| model::Policy {
                    name: i.to_string(),
                    permissions,
                    principals,
                })
                .collect(),
        }
    })
}

fn case() -> impl Strategy<Value = Case> {
    let value = select(vec![&b"a"[..], b"ab", b"2", b"", b"\xffa", b"a,b"]);
    let headers = collection::vec((select(vec!["x-a", "cookie"]), value), 0..4);
    let said = (
        select(vec![Method::GET, Method::POST]),
        select(vec!["a.com", "A.com:80", "a.com.", "b", "a:80", "[::1]:80"]),
        select(vec!["/", "/a", "/a?b", "/a/b", "/ab/b"]),
        headers,
    );
    let identity = option::of(option::of(select(vec!["a", "ab", "spiffe://td/a"])));
    let place = (
        identity,
        select(vec![[10, 0, 0, 9], [192, 168, 0, 1]]),
        (select(vec![[10, 0, 0, 1], [1, 1, 1, 1]]), 79..84u16),
        option::of(select(vec!["a", "a.com"])),
        option::of(select(vec!["a", "b"])),
        prop::bool::weighted(0.8),
    );
    (said, place).prop_map(
        |(
            (method, host, path, headers),
            (identity, peer, destination, server_name, claims, is),
        )| {
            Case {
                method,
                host: host.into(),
                path: path.into(),
                headers: headers.into_iter().map(|(n, v)| (n, v.to_vec())).collect(),
                identity,
                peer,
                destination,
                server_name,
                claims,
                is_request: is,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// `PROPTEST_CASES` asks for more.
    #[test]
    fn sec_24_compiled_policies_decide_as_they_are_written(rules in policies(), case in case()) {
        let want = case.facts(|facts| reference::judge(&rules, facts));
        let engine = Engine::new(&rules);
        let got = case.facts(|facts| {
            let judgement = engine.judge(facts);
            (judgement.allowed, judgement.policy.map(str::to_owned))
        });
        prop_assert_eq!(got, want);
    }
}
