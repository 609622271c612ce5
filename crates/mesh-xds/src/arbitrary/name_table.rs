//! Arbitrary name tables.

use super::{ip, word};
use mesh_model::name_table::{NameInfo, NameTable, ServiceName};
use proptest::{collection, option, prelude::*};

/// All names of a proxy.
pub(crate) fn table() -> impl Strategy<Value = NameTable> {
    let names = collection::btree_map(word().prop_map(Into::into), info(), 0..4);
    names.prop_map(|names| NameTable { names })
}

fn info() -> impl Strategy<Value = NameInfo> {
    let service = (word(), word()).prop_map(|(name, namespace)| ServiceName {
        name: name.into(),
        namespace: namespace.into(),
    });
    let all = (collection::vec(ip(), 0..3), option::of(service));
    all.prop_map(|(addresses, service)| NameInfo { addresses, service })
}
