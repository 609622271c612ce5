//! Names the fields of a message that differ from its default.
//!
//! Only for messages that are about to be refused or have something to ignore; it compares what `Debug` prints, field
//! by field. Values are looked at but never handed out: they may be secrets.

use std::fmt::Debug;

/// Names of the fields in which `rest` differs from the default; never empty.
pub(super) fn fields<M: Debug + Default>(rest: &M) -> Vec<String> {
    let (rest, empty) = (format!("{rest:#?}"), format!("{:#?}", M::default()));
    let empty = parts(&empty);
    let mut names: Vec<String> = parts(&rest)
        .into_iter()
        .filter(|part| !empty.contains(part))
        .map(|(name, _)| name.to_owned())
        .collect();
    if names.is_empty() {
        // It differs without showing it. Nothing is known to do so, but it must not pass.
        names.push("(unnamed)".into());
    }
    names
}

/// The fields of the outermost struct in `{:#?}`, each with its text. Strings are printed escaped, so that a line break
/// with four spaces and a letter is always the start of a field.
fn parts(debug: &str) -> Vec<(&str, &str)> {
    let starts_field = |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let starts: Vec<usize> = debug
        .match_indices("\n    ")
        .map(|(at, indent)| at + indent.len())
        .filter(|start| starts_field(&debug[*start..]))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([debug.len()]);
    starts
        .iter()
        .zip(ends)
        .filter_map(|(start, end)| debug[*start..end].split_once(": "))
        .map(|(name, text)| (name.strip_prefix("r#").unwrap_or(name), text))
        .collect()
}
