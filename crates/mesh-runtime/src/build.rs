//! Which program this is: what `version` prints, `/server_info` shows and `pilot_info` counts.

use std::fmt;

/// Facts fixed at build time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// Version of the workspace, such as `0.1.0`.
    pub version: &'static str,
    /// Revision that it was built from, or `unknown`.
    pub revision: &'static str,
    /// Minimum version of the compiler.
    pub rust: &'static str,
}

/// The facts of this build. The release build sets the revision by the environment variable `MESH_REVISION`.
pub const BUILD: BuildInfo = BuildInfo {
    version: env!("CARGO_PKG_VERSION"),
    revision: match option_env!("MESH_REVISION") {
        Some(revision) => revision,
        None => "unknown",
    },
    rust: env!("CARGO_PKG_RUST_VERSION"),
};

impl fmt::Display for BuildInfo {
    /// `<version>-<revision>`, the form of a proxy's `ISTIO_VERSION` column.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.version, self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_version_and_revision() {
        let build = BuildInfo {
            version: "1.2.3",
            revision: "abc",
            rust: "1.95",
        };
        assert_eq!(build.to_string(), "1.2.3-abc");
        assert!(BUILD.to_string().starts_with(env!("CARGO_PKG_VERSION")));
    }
}
