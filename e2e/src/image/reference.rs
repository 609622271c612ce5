//! What an image is pulled as.

use anyhow::{Result, ensure};
use std::{fmt, str::FromStr};

/// A complete name: `docker.io/library/nginx:latest`, for which `nginx` is short.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    /// Host name that clients ask for, with its port if it has one.
    pub(crate) registry: String,
    /// Path within the registry.
    pub(crate) repository: String,
    /// Tag.
    pub(crate) tag: String,
}

impl FromStr for Reference {
    type Err = anyhow::Error;

    /// Completes a short name as container engines do: a first part without dot and port is no registry.
    fn from_str(text: &str) -> Result<Self> {
        ensure!(
            !text.contains('@'),
            "`{text}`: a digest is no name to pack under"
        );
        let first = text
            .split_once('/')
            .filter(|(first, _)| first.contains(['.', ':']) || *first == "localhost");
        let (registry, rest) = first.unwrap_or(("docker.io", text));
        let (repository, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
        ensure!(
            !repository.is_empty() && !tag.is_empty(),
            "`{text}` is no image"
        );
        let short = registry == "docker.io" && !repository.contains('/');
        let repository = if short {
            format!("library/{repository}")
        } else {
            repository.to_owned()
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: tag.to_owned(),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_completed() {
        for (short, complete) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("a/b", "docker.io/a/b:latest"),
            ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
            ("localhost:5000/x", "localhost:5000/x:latest"),
            ("localhost/x:1", "localhost/x:1"),
        ] {
            let name: Reference = short.parse().expect(short);
            assert_eq!(name.to_string(), complete);
        }
        assert!("nginx@sha256:00".parse::<Reference>().is_err());
        assert!("nginx:".parse::<Reference>().is_err());
    }
}
