//! Arbitrary policies.

pub(crate) mod jwt;
pub(crate) mod rbac;

use super::{matcher, word};
use mesh_model::policy::{MetadataMatch, ValueMatch};
use proptest::{collection, prelude::*};

/// A matcher of what filters wrote.
pub(crate) fn metadata() -> impl Strategy<Value = MetadataMatch> {
    let leaf = prop_oneof![
        Just(ValueMatch::Null),
        matcher::string().prop_map(ValueMatch::String),
        any::<bool>().prop_map(ValueMatch::Bool),
        any::<bool>().prop_map(ValueMatch::Present),
    ];
    let value = leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|v| ValueMatch::OneOf(Box::new(v))),
            collection::vec(inner, 2..4).prop_map(ValueMatch::Or),
        ]
    });
    (word(), collection::vec(word(), 1..3), value, any::<bool>()).prop_map(
        |(filter, path, value, invert)| MetadataMatch {
            filter,
            path,
            value,
            invert,
        },
    )
}
