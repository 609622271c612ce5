//! Arbitrary tokens.

use super::super::{duration, matcher, route, word};
use mesh_model::policy::jwt::{
    ClaimToHeader, JwtAuthn, JwtOverride, Keys, Needs, Provider, RemoteKeys, Requirement, Rule,
    TokenHeader,
};
use proptest::{collection, option, prelude::*, sample::select};
use std::time::Duration;

/// The filter.
pub(crate) fn jwt() -> impl Strategy<Value = JwtAuthn> {
    let providers = collection::btree_map(word(), provider(), 1..3);
    let requirements = collection::vec((word(), shape()), 0..2);
    let rules = collection::vec((route::matches(), option::of(shape()), any::<bool>()), 0..3);
    (providers, requirements, rules, any::<[bool; 2]>()).prop_map(
        |(providers, requirements, rules, [bypass, strip])| {
            let providers: Vec<_> = providers
                .into_iter()
                .map(|(name, provider)| Provider { name, ..provider })
                .collect();
            let mut requirements: Vec<_> = requirements
                .into_iter()
                .map(|(name, shape)| (name, of(shape, &providers)))
                .collect();
            requirements.sort_by(|a, b| a.0.cmp(&b.0));
            requirements.dedup_by(|a, b| a.0 == b.0);
            let rules = rules.into_iter().map(|(matches, shape, named)| Rule {
                matches,
                needs: match (shape, requirements.first()) {
                    (None, _) => Needs::Nothing,
                    (Some(_), Some((name, _))) if named => Needs::Named(name.clone()),
                    (Some(shape), _) => Needs::This(of(shape, &providers)),
                },
            });
            JwtAuthn {
                rules: rules.collect(),
                requirements,
                providers,
                bypass_cors_preflight: bypass,
                strip_failure_response: strip,
            }
        },
    )
}

/// What a route changes.
pub(crate) fn change() -> impl Strategy<Value = JwtOverride> {
    prop_oneof![Just(JwtOverride::Off), word().prop_map(JwtOverride::Named),]
}

/// A requirement whose providers have numbers instead of names.
fn shape() -> impl Strategy<Value = Requirement> {
    let leaf = prop_oneof![
        "[0-9]".prop_map(Requirement::Provider),
        ("[0-9]", collection::vec(word(), 0..2)).prop_map(|(n, a)| Requirement::Audiences(n, a)),
        Just(Requirement::AllowMissing),
        Just(Requirement::AllowMissingOrFailed),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        let some = || collection::vec(inner.clone(), 2..4);
        prop_oneof![
            some().prop_map(Requirement::Any),
            some().prop_map(Requirement::All),
        ]
    })
}

fn of(shape: Requirement, providers: &[Provider]) -> Requirement {
    let name = |number: String| {
        let number: usize = number.parse().expect("a digit");
        providers[number % providers.len()].name.clone()
    };
    let each = |all: Vec<Requirement>| all.into_iter().map(|one| of(one, providers)).collect();
    match shape {
        Requirement::Provider(number) => Requirement::Provider(name(number)),
        Requirement::Audiences(number, audiences) => {
            Requirement::Audiences(name(number), audiences)
        }
        Requirement::Any(all) => Requirement::Any(each(all)),
        Requirement::All(all) => Requirement::All(each(all)),
        other => other,
    }
}

fn provider() -> impl Strategy<Value = Provider> {
    let header = || select(vec!["authorization", "x-jwt", "x-a"]).prop_map(String::from);
    let words = || collection::vec(word(), 0..2);
    let limits = (
        option::of(word()),
        words(),
        option::of(matcher::string()),
        option::of(duration()),
        1..4_000_000_000u64,
    );
    let from_headers = collection::vec((header(), prop_oneof![Just(String::new()), word()]), 0..2);
    let places = (from_headers, words(), words());
    let told = (
        option::of(header()),
        option::of(word()),
        option::of(word()),
        words(),
        collection::vec((header(), word()), 0..2),
    );
    (limits, places, told, keys(), any::<[bool; 3]>()).prop_map(
        |(limits, places, told, keys, flags)| Provider {
            name: String::new(),
            issuer: limits.0,
            audiences: limits.1,
            subjects: limits.2,
            require_expiration: flags[0],
            max_lifetime: limits.3,
            keys,
            forward: flags[1],
            from_headers: (places.0.into_iter())
                .map(|(name, value_prefix)| TokenHeader { name, value_prefix })
                .collect(),
            from_params: places.1,
            from_cookies: places.2,
            forward_payload_header: told.0,
            pad_forward_payload_header: flags[2],
            payload_in_metadata: told.1,
            header_in_metadata: told.2,
            space_delimited_claims: told.3,
            clock_skew: Duration::from_secs(limits.4),
            claim_to_headers: (told.4.into_iter())
                .map(|(header, claim)| ClaimToHeader { header, claim })
                .collect(),
        },
    )
}

/// For how long keys may be kept, and waited for.
fn cached() -> impl Strategy<Value = Duration> {
    (1..1_000_000_000u64).prop_map(Duration::from_millis)
}

fn keys() -> impl Strategy<Value = Keys> {
    prop_oneof![
        word().prop_map(Keys::Inline),
        (word(), cached(), cached()).prop_map(|(cluster, timeout, cache_duration)| {
            Keys::Remote(RemoteKeys {
                uri: "https://issuer.test/keys".into(),
                cluster: cluster.into(),
                timeout,
                cache_duration,
            })
        }),
    ]
}
