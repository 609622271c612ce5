//! Bytes that nobody honest sends: every one of them is answered, none of them brings the process down.

use anyhow::{Context, Result};
use mesh_model::{
    cluster::Cluster, endpoint::ClusterLoadAssignment, listener::Listener,
    route::RouteConfiguration, secret::Secret,
};
use mesh_xds::{
    json::{self, Pool},
    pb::{
        envoy::config::listener::v3::{
            self as wire, ListenerFilterChainMatchPredicate as Predicate,
            listener_filter_chain_match_predicate::Rule,
        },
        google::protobuf::Any,
    },
    resource::Resource,
};
use proptest::prelude::*;
use prost::Message;
use std::{fmt::Debug, sync::LazyLock};

const NGINX: &str = include_str!("../testdata/captures/article/nginx.config_dump.json");

/// What a real istiod served, as bytes.
static SERVED: LazyLock<Vec<json::Resource>> = LazyLock::new(|| {
    let dump = serde_json::from_str(NGINX).expect("JSON");
    json::resources(&Pool::load(), &dump)
        .expect("a config dump")
        .resources
});

/// Decodes as each kind. What is accepted must be a value that we can encode, and read back as the same.
fn decode_as_all(bytes: &[u8]) -> Result<(), TestCaseError> {
    decode_as::<Cluster>(bytes)?;
    decode_as::<ClusterLoadAssignment>(bytes)?;
    decode_as::<Listener>(bytes)?;
    decode_as::<RouteConfiguration>(bytes)?;
    decode_as::<Secret>(bytes)
}

fn decode_as<R: Resource + Debug + PartialEq>(bytes: &[u8]) -> Result<(), TestCaseError> {
    match R::decode(bytes) {
        Ok(first) => {
            let again = R::decode(&first.value.encode());
            prop_assert_eq!(again.map(|decoded| decoded.value), Ok(first.value));
        }
        Err(invalid) => prop_assert!(!invalid.errors.is_empty()),
    }
    Ok(())
}

proptest! {
    #[test]
    fn garbage_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        decode_as_all(&bytes)?;
    }

    #[test]
    fn damage_is_answered(
        which in any::<prop::sample::Index>(),
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = SERVED[which.index(SERVED.len())].bytes.clone();
        for (place, byte) in hits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        decode_as_all(&bytes)?;
        bytes.truncate(cut.index(bytes.len()));
        decode_as_all(&bytes)?;
    }
}

fn listener_with(predicate: Predicate) -> Vec<u8> {
    let filter = wire::ListenerFilter {
        filter_disabled: Some(predicate),
        ..Default::default()
    };
    let listener = wire::Listener {
        listener_filters: vec![filter],
        ..Default::default()
    };
    listener.encode_to_vec()
}

#[test]
fn nesting_without_end_is_refused() -> Result<()> {
    let mut predicate = Predicate {
        rule: Some(Rule::AnyMatch(true)),
    };
    for _ in 0..5000 {
        predicate = Predicate {
            rule: Some(Rule::NotMatch(Box::new(predicate))),
        };
    }
    let refused = Listener::decode(&listener_with(predicate))
        .err()
        .context("refused")?;
    let text = refused.to_string();
    assert!(text.contains("recursion limit reached"), "{text}");
    Ok(())
}

#[test]
fn a_configuration_in_a_configuration_is_opened_once() -> Result<()> {
    // `TypedStruct.type_url`: that of another one.
    let mut value = vec![0x0a, 24];
    value.extend(b"udpa.type.v1.TypedStruct");
    let config = Any {
        type_url: "type.googleapis.com/udpa.type.v1.TypedStruct".into(),
        value,
    };
    let filter = wire::Filter {
        name: "x".into(),
        config_type: Some(wire::filter::ConfigType::TypedConfig(config)),
    };
    let listener = wire::Listener {
        filter_chains: vec![wire::FilterChain {
            filters: vec![filter],
            ..Default::default()
        }],
        ..Default::default()
    };
    let refused = Listener::decode(&listener.encode_to_vec())
        .err()
        .context("refused")?;
    let text = refused.to_string();
    let want = "filter_chains[0].filters[0].typed_config: this proxy does not execute udpa.type.v1.TypedStruct";
    assert!(text.contains(want), "{text}");
    Ok(())
}

#[test]
fn a_refusal_fits_into_a_status() -> Result<()> {
    let listener = wire::Listener {
        filter_chains: vec![wire::FilterChain::default(); 10_000],
        ..Default::default()
    };
    let refused = Listener::decode(&listener.encode_to_vec())
        .err()
        .context("refused")?;
    assert!(
        refused.to_string().len() < 8192,
        "{}",
        refused.to_string().len()
    );
    assert!(refused.more > 9_000, "{}", refused.more);
    Ok(())
}

#[test]
fn kinds_are_not_mixed_up() {
    for resource in SERVED.iter() {
        let refused = Secret::decode(&resource.bytes).is_err();
        assert!(refused, "{} is no secret", resource.name);
    }
}
