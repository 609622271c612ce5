//! What of the source is not understood, by where it stands.
//!
//! Unlike all else that is counted its labels come from outside: only so many places are named, the rest are one.

use crate::watch::Problem;
use mesh_runtime::metrics::Text;
use std::collections::BTreeMap;

/// No more than so many places are named.
const NAMED: usize = 100;

/// How many problems there are at each place.
pub(super) fn write(text: &mut Text, all: &[Problem]) {
    const NAME: &str = "pilot_config_problems";
    let help = "What of files and objects is not understood or not executed, by where it stands.";
    let mut by_place: BTreeMap<_, usize> = BTreeMap::new();
    for problem in all {
        let effect = problem.effect.label();
        *by_place
            .entry((problem.place.as_str(), effect))
            .or_default() += 1;
    }
    text.header(NAME, help, "gauge");
    for ((place, effect), number) in by_place.iter().take(NAMED) {
        text.sample(NAME, &[("place", place), ("effect", effect)], number);
    }
    let others: usize = by_place.values().skip(NAMED).sum();
    if others > 0 {
        text.sample(NAME, &[("place", "others"), ("effect", "any")], others);
    }
}
