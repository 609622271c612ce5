//! The table of extensions.

use super::columns::columns;
use crate::dump::Entry;
use crate::dump::ecds::Extension;

const PADDING: usize = 5;

/// By name.
pub(crate) fn sort(entries: &mut [Entry<Extension>]) {
    entries.sort_by(|a, b| a.shape.name.cmp(&b.shape.name));
}

/// A row for each.
pub(crate) fn table(entries: &[Entry<Extension>]) -> String {
    let header = ["ECDS NAME", "TYPE"].map(str::to_owned).to_vec();
    let rows = entries
        .iter()
        .map(|entry| vec![entry.shape.name.clone(), entry.shape.kind().to_owned()]);
    columns(
        &std::iter::once(header).chain(rows).collect::<Vec<_>>(),
        PADDING,
    )
}
