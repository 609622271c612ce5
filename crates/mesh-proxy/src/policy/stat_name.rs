//! Names of statistics that the configuration makes, kept for the life of the process.
//!
//! Counters outlive what counts in them, so their names do too; a name that comes again is the same one.

use parking_lot::Mutex;
use std::{collections::HashSet, sync::LazyLock};

/// Most names. Beyond, what is counted goes under the name without its own part.
const MOST: usize = 4096;

/// `prefix` and `name` in one; `name` alone once there are too many.
pub(crate) fn interned(prefix: &str, name: &'static str) -> &'static str {
    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    if prefix.is_empty() {
        return name;
    }
    let whole = format!("{prefix}{name}");
    let mut names = NAMES.lock();
    match names.get(&*whole) {
        Some(known) => known,
        None if names.len() >= MOST => name,
        None => {
            let kept: &'static str = Box::leak(whole.into_boxed_str());
            names.insert(kept);
            kept
        }
    }
}

#[cfg(test)]
mod tests {
    use super::interned;

    #[test]
    fn a_name_is_kept_once() {
        let first = interned("a.", "b");
        assert_eq!(first, "a.b");
        assert!(std::ptr::eq(first, interned("a.", "b")));
        assert_eq!(interned("", "b"), "b");
    }
}
