//! What the path of the webhook's URL adds to the settings: `/inject/cluster/<name>/net/<network>/<KEY>/<value>`.
//!
//! One installation can so serve several clusters, each with its own webhook configuration (Istio `injectionPath`).

use crate::Settings;

/// A slash within a value.
const SLASH: &str = "--slash--";

/// A path that does not consist of pairs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` has no value (hint: the path is /inject/<key>/<value>/…)")]
pub struct Unpaired(String);

/// Applies what follows `/inject/` to `settings`.
///
/// # Errors
/// If a key has no value.
pub fn apply(rest: &str, settings: &mut Settings) -> Result<(), Unpaired> {
    let mut words = rest.split('/').filter(|word| !word.is_empty());
    while let Some(key) = words.next() {
        let value = words.next().ok_or_else(|| Unpaired(key.to_owned()))?;
        let value = value.replace(SLASH, "/");
        match key {
            "cluster" => settings.cluster_id = value,
            "net" => settings.network = value,
            key => drop(settings.environment.insert(key.to_uppercase(), value)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_change_the_settings() {
        let mut settings = Settings::default();
        let path = "cluster/c1/net/n--slash--1/istio_meta_x/y/";
        apply(path, &mut settings).expect("pairs");
        assert_eq!((&*settings.cluster_id, &*settings.network), ("c1", "n/1"));
        assert_eq!(settings.environment["ISTIO_META_X"], "y");
        assert!(apply("", &mut settings).is_ok());
        assert_eq!(
            apply("cluster", &mut settings),
            Err(Unpaired("cluster".into()))
        );
    }
}
