//! Access control and tokens, as whole requests meet them.

use super::harness::*;
use crate::policy::jwt::tests::{Signer, provider};
use mesh_model::{
    http::{HttpFilter, Override, OverrideConfig},
    matcher::StringMatch,
    policy::{
        MetadataMatch, ValueMatch,
        jwt::{
            ClaimToHeader, JwtAuthn, JwtOverride, Keys, Needs, Provider, RemoteKeys, Requirement,
            Rule,
        },
        rbac::{Action, Permission, Policy, Principal, Rbac, Rules},
    },
    route::{PathMatch, RouteMatch},
};
use serde_json::json;
use std::time::Duration;

fn rules(action: Action, permission: Permission, principal: Principal) -> Rules {
    Rules {
        action,
        policies: vec![Policy {
            name: "p".into(),
            permissions: vec![permission],
            principals: vec![principal],
        }],
    }
}

fn path(path: &str) -> Permission {
    Permission::Path(StringMatch::Prefix(path.into()).into())
}

fn filters(setup: Setup, filters: impl IntoIterator<Item = HttpFilter>) -> Setup {
    let all = filters.into_iter().chain([HttpFilter::Router]);
    let all: Vec<_> = all.map(Into::into).collect();
    setup.manager(|m| m.filters = all)
}

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn what_is_denied_is_answered_counted_and_told() {
    run(async {
        let server = Server::answering(OK).await;
        let rbac = Rbac {
            rules: Some(rules(Action::Deny, path("/admin"), Principal::Any)),
            shadow_rules: Some(rules(Action::Allow, path("/open"), Principal::Any)),
            shadow_stat_prefix: "dry_".into(),
            ..Rbac::default()
        };
        let setup = filters(Setup::to(&[server.address]), [HttpFilter::Rbac(rbac)]);
        let proxy = setup.start().await;
        let mut client = proxy.connect().await;
        let denied = client
            .exchange("GET /x/../admin/y HTTP/1.1\r\nhost: a\r\n\r\n")
            .await;
        assert_eq!(status(&denied), "403");
        assert!(denied.ends_with("\r\n\r\nRBAC: access denied"), "{denied}");
        let seen = proxy.seen().await;
        assert_eq!(seen.details, "rbac_access_denied_matched_policy[p]");
        let allowed = client
            .exchange("GET /open HTTP/1.1\r\nhost: a\r\n\r\n")
            .await;
        assert_eq!(status(&allowed), "200");
        proxy.seen().await;
        for (name, count) in [
            ("allowed", 1),
            ("denied", 1),
            ("dry_.shadow_allowed", 1),
            ("dry_.shadow_denied", 1),
        ] {
            assert_eq!(
                proxy.counter(&format!("http.test.rbac.{name}")),
                count,
                "{name}"
            );
        }
        assert_eq!(server.requests().len(), 1);
    });
}

#[test]
fn a_route_has_its_own_access_control() {
    run(async {
        let server = Server::answering(OK).await;
        let deny = Rbac {
            rules: Some(rules(Action::Deny, Permission::Any, Principal::Any)),
            ..Rbac::default()
        };
        for (change, want) in [
            (None, "403"),
            (Some(OverrideConfig::Off), "200"),
            (Some(OverrideConfig::Rbac(Rbac::default())), "200"),
            (Some(OverrideConfig::Rbac(deny.clone())), "403"),
        ] {
            let rbac = HttpFilter::Rbac(deny.clone());
            let mut setup = filters(Setup::to(&[server.address]), [rbac]);
            setup.routes[0].overrides = change
                .map(|config| Override {
                    name: "envoy.filters.http.rbac".into(),
                    config,
                })
                .into_iter()
                .collect();
            let proxy = setup.start().await;
            let mut client = proxy.connect().await;
            let response = client.exchange("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert_eq!(status(&response), want);
            proxy.seen().await;
        }
    });
}

#[test]
fn the_address_that_the_nearest_proxy_tells_is_the_clients() {
    run(async {
        let server = Server::answering(OK).await;
        let net = "1.2.3.0/24".parse().expect("a range");
        let rbac = Rbac {
            rules: Some(rules(
                Action::Allow,
                Permission::Any,
                Principal::RemoteIp(net),
            )),
            ..Rbac::default()
        };
        for (told, use_remote_address, want) in [
            ("x-forwarded-for: 1.2.3.4\r\n", false, "200"),
            ("x-forwarded-for: 1.2.3.4, 9.9.9.9\r\n", false, "403"),
            (
                "x-forwarded-for: 9.9.9.9\r\nx-forwarded-for: 1.2.3.4\r\n",
                false,
                "200",
            ),
            ("x-forwarded-for: 1.2.3.4\r\n", true, "403"),
            ("", false, "403"),
        ] {
            let setup = filters(
                Setup::to(&[server.address]),
                [HttpFilter::Rbac(rbac.clone())],
            );
            let setup = setup.manager(|m| m.use_remote_address = use_remote_address);
            let proxy = setup.start().await;
            let mut client = proxy.connect().await;
            let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{told}\r\n");
            let response = client.exchange(&request).await;
            assert_eq!(status(&response), want, "{told}");
            proxy.seen().await;
        }
    });
}

fn jwt(provider: Provider) -> JwtAuthn {
    JwtAuthn {
        rules: vec![Rule {
            matches: RouteMatch::new(PathMatch::Prefix("/".into())),
            needs: Needs::This(Requirement::Provider(provider.name.clone())),
        }],
        providers: vec![provider],
        ..JwtAuthn::default()
    }
}

/// As Istio asks for tokens: there may be none, but none that is bad.
fn optional(provider: Provider) -> JwtAuthn {
    let mut jwt = jwt(provider);
    jwt.rules[0].needs = Needs::This(Requirement::Any(vec![
        Requirement::Provider("p".into()),
        Requirement::AllowMissing,
    ]));
    jwt
}

fn claims(sub: &str) -> serde_json::Value {
    json!({"iss": "https://issuer.test", "aud": "me", "sub": sub, "scope": "read write"})
}

async fn ask(proxy: &Proxy, head: &str) -> String {
    let mut client = proxy.connect().await;
    let response = client.exchange(&format!("GET {head}\r\n\r\n")).await;
    proxy.seen().await;
    response
}

#[test]
fn a_request_without_a_good_token_is_answered_as_by_envoy() {
    run(async {
        let server = Server::answering(OK).await;
        let signer = Signer::p256("k");
        let jwt = jwt(provider(&signer.keys()));
        let setup = filters(
            Setup::to(&[server.address]),
            [HttpFilter::Jwt(Box::new(jwt))],
        );
        let proxy = setup.start().await;
        let other = json!({"iss": "https://issuer.test", "aud": "you"});
        for (token, want, body, error) in [
            (None, "401", "Jwt is missing", ""),
            (
                Some("x".to_owned()),
                "401",
                "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
                ", error=\"invalid_token\"",
            ),
            (
                Some(Signer::p256("k").token(&claims("a"))),
                "401",
                "Jwt verification fails",
                ", error=\"invalid_token\"",
            ),
            (
                Some(signer.token(&other)),
                "403",
                "Audiences in Jwt are not allowed",
                ", error=\"invalid_token\"",
            ),
        ] {
            let line = token.map(|token| format!("\r\nauthorization: Bearer {token}"));
            let line = line.unwrap_or_default();
            let mut client = proxy.connect().await;
            let request = format!("GET /x?y=1 HTTP/1.1\r\nhost: a.test{line}\r\n\r\n");
            let response = client.exchange(&request).await;
            assert_eq!(status(&response), want, "{response}");
            assert!(response.ends_with(&format!("\r\n\r\n{body}")), "{response}");
            let challenge = format!("Bearer realm=\"http://a.test/x?y=1\"{error}");
            assert_eq!(header(&response, "www-authenticate"), Some(&*challenge));
            let details = format!("jwt_authn_access_denied{{{}}}", body.replace(' ', "_"));
            assert_eq!(proxy.seen().await.details, details);
        }
        let good = signer.token(&claims("a"));
        let response = ask(
            &proxy,
            &format!("/ HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {good}"),
        )
        .await;
        assert_eq!(status(&response), "200", "{response}");
        assert_eq!(proxy.counter("http.test.jwt_authn.denied"), 4);
        assert_eq!(proxy.counter("http.test.jwt_authn.allowed"), 1);
        assert_eq!(server.requests().len(), 1);
    });
}

#[test]
fn sec_38_of_two_tokens_both_have_to_be_good() {
    run(async {
        let server = Server::answering(OK).await;
        let signer = Signer::p256("k");
        let (good, bad) = (
            signer.token(&claims("a")),
            Signer::p256("k").token(&claims("root")),
        );
        for jwt in [
            jwt(provider(&signer.keys())),
            optional(provider(&signer.keys())),
        ] {
            let setup = filters(
                Setup::to(&[server.address]),
                [HttpFilter::Jwt(Box::new(jwt))],
            );
            let proxy = setup.start().await;
            for (first, second, want) in [
                (&good, &good, "200"),
                (&good, &bad, "401"),
                (&bad, &good, "401"),
            ] {
                for head in [
                    format!(
                        "/ HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {first}\r\nauthorization: Bearer {second}"
                    ),
                    format!(
                        "/ HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {first}, Bearer {second}"
                    ),
                    format!(
                        "/?access_token={second} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {first}"
                    ),
                    format!("/?access_token={first}&access_token={second} HTTP/1.1\r\nhost: a"),
                ] {
                    // What stands behind `Bearer`, to the header's end, is one token, and none if it holds two.
                    let want = if head.contains(", Bearer") {
                        "401"
                    } else {
                        want
                    };
                    let response = ask(&proxy, &head).await;
                    assert_eq!(status(&response), want, "{head}");
                }
            }
        }
    });
}

#[test]
fn sec_38_who_asks_is_who_the_token_says() {
    run(async {
        let server = Server::answering(OK).await;
        let signer = Signer::p256("k");
        let provider = Provider {
            payload_in_metadata: Some("payload".into()),
            space_delimited_claims: vec!["scope".into()],
            ..provider(&signer.keys())
        };
        let claim = |key: &str, value| {
            Principal::Metadata(MetadataMatch {
                filter: "envoy.filters.http.jwt_authn".into(),
                path: vec!["payload".into(), key.into()],
                value,
                invert: false,
            })
        };
        let text = |text: StringMatch| ValueMatch::String(text.into());
        let exact = |word: &str| text(StringMatch::Exact(word.into()));
        // As Istio writes `requestPrincipals: ["*"]` and a claim of several words.
        let anybody = claim("iss", text(StringMatch::Prefix("h".into())));
        let writer = claim("scope", ValueMatch::OneOf(Box::new(exact("write"))));
        let admin = claim("sub", exact("admin"));
        let (user, root) = (
            signer.token(&claims("user")),
            signer.token(&claims("admin")),
        );
        for (principal, none, user_may, admin_may) in [
            (anybody, "403", "200", "200"),
            (writer, "403", "200", "200"),
            (admin, "403", "403", "200"),
        ] {
            let rbac = Rbac {
                rules: Some(rules(Action::Allow, Permission::Any, principal)),
                ..Rbac::default()
            };
            let jwt = HttpFilter::Jwt(Box::new(optional(provider.clone())));
            let setup = filters(Setup::to(&[server.address]), [jwt, HttpFilter::Rbac(rbac)]);
            let proxy = setup.start().await;
            let plain = ask(&proxy, "/ HTTP/1.1\r\nhost: a").await;
            assert_eq!(status(&plain), none);
            for (token, want) in [(&user, user_may), (&root, admin_may)] {
                let head = format!("/ HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}");
                assert_eq!(status(&ask(&proxy, &head).await), want);
            }
        }
    });
}

#[test]
fn what_the_application_gets_comes_from_the_token() {
    run(async {
        let server = Server::answering(OK).await;
        let signer = Signer::p256("k");
        let provider = Provider {
            forward: false,
            forward_payload_header: Some("x-payload".into()),
            claim_to_headers: ["sub", "n.x", "none"]
                .map(|claim| ClaimToHeader {
                    header: format!("x-{}", claim.replace('.', "-")),
                    claim: claim.into(),
                })
                .into(),
            ..provider(&signer.keys())
        };
        let jwt = HttpFilter::Jwt(Box::new(optional(provider)));
        let proxy = filters(Setup::to(&[server.address]), [jwt]).start().await;
        let mut claims = claims("a");
        claims["n"] = json!({"x": 7});
        let token = signer.token(&claims);
        let forged = "x-sub: root\r\nx-none: root\r\nx-payload: root";
        ask(&proxy, &format!("/ HTTP/1.1\r\nhost: a\r\n{forged}")).await;
        ask(
            &proxy,
            &format!("/ HTTP/1.1\r\nhost: a\r\n{forged}\r\nauthorization: Bearer {token}"),
        )
        .await;
        ask(
            &proxy,
            &format!("/p?a=1&access_token={token}&b=2 HTTP/1.1\r\nhost: a"),
        )
        .await;
        let [plain, by_header, by_query] = &server.requests()[..] else {
            panic!("three requests")
        };
        for request in [plain, by_header, by_query] {
            assert!(
                !request.contains("root") && !request.contains(&token),
                "{request}"
            );
        }
        assert!(
            by_query.starts_with("GET /p?a=1&b=2 HTTP/1.1\r\n"),
            "{by_query}"
        );
        for request in [by_header, by_query] {
            assert_eq!(header(request, "x-sub"), Some("a"));
            assert_eq!(header(request, "x-n-x"), Some("7"));
            assert_eq!(header(request, "x-payload"), token.split('.').nth(1));
        }
        assert_eq!(header(plain, "x-sub"), None);
    });
}

#[test]
fn a_route_has_its_own_need_of_tokens() {
    run(async {
        let server = Server::answering(OK).await;
        let signer = Signer::p256("k");
        let mut own = jwt(provider(&signer.keys()));
        own.requirements = vec![("free".into(), Requirement::AllowMissing)];
        for (change, want) in [
            (None, "401"),
            (Some(JwtOverride::Off), "200"),
            (Some(JwtOverride::Named("free".into())), "200"),
            (Some(JwtOverride::Named("unknown".into())), "403"),
        ] {
            let jwt = HttpFilter::Jwt(Box::new(own.clone()));
            let mut setup = filters(Setup::to(&[server.address]), [jwt]);
            setup.routes[0].overrides = change
                .map(|change| Override {
                    name: "envoy.filters.http.jwt_authn".into(),
                    config: OverrideConfig::Jwt(change),
                })
                .into_iter()
                .collect();
            let proxy = setup.start().await;
            let response = ask(&proxy, "/ HTTP/1.1\r\nhost: a").await;
            assert_eq!(status(&response), want, "{response}");
        }
    });
}

/// A provider whose keys the cluster `c` has.
fn remote(timeout: Duration) -> Provider {
    Provider {
        keys: Keys::Remote(RemoteKeys {
            uri: "http://keys.test/set?x=1".into(),
            cluster: "c".into(),
            timeout,
            cache_duration: Duration::from_secs(300),
        }),
        ..provider("")
    }
}

fn answer(status: &str, headers: &str, body: &str) -> &'static str {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}").leak()
}

#[test]
fn keys_are_fetched_once_for_all_who_need_them() {
    run(async {
        let signer = Signer::p256("k");
        let server = Server::answering(answer("200 OK", "", &signer.keys())).await;
        let jwt = HttpFilter::Jwt(Box::new(jwt(remote(Duration::from_secs(5)))));
        let proxy = filters(Setup::to(&[server.address]), [jwt]).start().await;
        let token = signer.token(&claims("a"));
        let head = format!("/app HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}");
        let mut clients = [proxy.connect().await, proxy.connect().await];
        for client in &mut clients {
            client.send(&format!("GET {head}\r\n\r\n")).await;
        }
        for client in &mut clients {
            assert_eq!(status(&client.message().await), "200");
        }
        proxy.all_seen(2).await;
        let fetches = |server: &Server| {
            let all = server.requests();
            all.iter()
                .filter(|r| r.starts_with("GET /set?x=1 "))
                .cloned()
                .collect::<Vec<_>>()
        };
        let [fetch] = &fetches(&server)[..] else {
            panic!("one fetch")
        };
        assert_eq!(header(fetch, "host"), Some("keys.test"));
        assert_eq!(header(fetch, "authorization"), None);
        assert_eq!(proxy.counter("http.test.jwt_authn.jwks_fetch_success"), 1);
    });
}

#[test]
fn sec_39_without_keys_nobody_is_believed() {
    run(async {
        let signer = Signer::p256("k");
        let token = signer.token(&claims("a"));
        let head = format!("/ HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}");
        let set = signer.keys();
        let large = format!("{{\"pad\":\"{}\",{}", "x".repeat(1 << 20), &set[1..]);
        let elsewhere = Server::answering(answer("200 OK", "", &set)).await;
        let redirect = format!("location: http://{}/\r\n", elsewhere.address);
        for bad in [
            answer("200 OK", "", ""),
            answer("200 OK", "", "{}"),
            answer("200 OK", "", "{\"keys\":[]}"),
            answer(
                "200 OK",
                "content-type: text/html\r\n",
                "<html>login</html>",
            ),
            answer("200 OK", "", &large),
            answer("302 Found", &redirect, &set),
            answer("404 Not Found", "", &set),
            answer("500 Oops", "", &set),
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
            "SSH-2.0-x\r\n\r\n",
        ] {
            let server = Server::scripted((0..4).map(|_| {
                script(async move |mut wire: Wire| {
                    if wire.has_more().await {
                        wire.send_some(bad).await;
                    }
                })
            }))
            .await;
            let jwt = HttpFilter::Jwt(Box::new(jwt(remote(Duration::from_secs(5)))));
            let proxy = filters(Setup::to(&[server.address]), [jwt]).start().await;
            for _ in 0..2 {
                let response = ask(&proxy, &head).await;
                assert_eq!(status(&response), "401", "{bad}");
                let body = "\r\n\r\nJwks remote fetch is failed";
                assert!(response.ends_with(body), "{response}");
            }
            // A failure stands for a moment: nobody is asked for each bad token.
            assert_eq!(proxy.counter("http.test.jwt_authn.jwks_fetch_failed"), 1);
        }
        assert_eq!(elsewhere.connections(), 0, "nothing is followed");

        let down = nobody().await;
        let jwt = HttpFilter::Jwt(Box::new(jwt(remote(Duration::from_secs(5)))));
        let proxy = filters(Setup::to(&[down]), [jwt]).start().await;
        assert_eq!(status(&ask(&proxy, &head).await), "401");
    });
}

#[test]
fn sec_39_the_largest_set_is_taken_and_a_slow_one_is_not_waited_for() {
    run(async {
        let signer = Signer::p256("k");
        let token = signer.token(&claims("a"));
        let head = format!("/ HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}");
        let set = signer.keys();
        let pad = "x".repeat((1 << 20) - set.len() - 9);
        let largest = format!("{{\"pad\":\"{pad}\",{}", &set[1..]);
        assert_eq!(largest.len(), 1 << 20);
        let server = Server::answering(answer("200 OK", "", &largest)).await;
        let own = HttpFilter::Jwt(Box::new(jwt(remote(Duration::from_secs(5)))));
        let proxy = filters(Setup::to(&[server.address]), [own]).start().await;
        let mut client = proxy.connect().await;
        client.send(&format!("GET {head}\r\n\r\n")).await;
        let line = client.until("\r\n").await;
        assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
        proxy.counter("http.test.jwt_authn.jwks_fetch_success");

        let slow = Server::scripted([script(async move |mut wire: Wire| {
            wire.has_more().await;
            tokio::time::sleep(Duration::from_secs(20)).await;
        })])
        .await;
        let own = HttpFilter::Jwt(Box::new(jwt(remote(Duration::from_millis(100)))));
        let proxy = filters(Setup::to(&[slow.address]), [own]).start().await;
        let mut client = proxy.connect().await;
        let response = client.exchange(&format!("GET {head}\r\n\r\n")).await;
        assert_eq!(status(&response), "401");
    });
}
