//! Why the control plane cannot run, in words for its operator.

use crate::ca::{directory::CaError, issuer_keys::KeyError};
use mesh_api::access::AccessError;
use mesh_runtime::listen::BindError;

/// Why the control plane cannot run, and what the operator can do about it.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: anyhow::Error,
    /// What to do, where that is known.
    pub hint: Option<String>,
}

impl Failure {
    pub(super) fn hinted(error: impl Into<anyhow::Error>, hint: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            hint: Some(hint.into()),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { error, hint: None }
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        let hint = error.hint();
        Self::hinted(error, hint)
    }
}

impl From<CaError> for Failure {
    fn from(error: CaError) -> Self {
        let hint = error.hint();
        Self::hinted(
            anyhow::Error::new(error).context("no certificate authority"),
            hint,
        )
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        let mut hint = error.hint().to_owned();
        if let AccessError::Kubeconfig(_) = error {
            hint += "; --config-dir DIR reads a folder of YAML instead";
        }
        Self::hinted(
            anyhow::Error::new(error).context("no way to the cluster"),
            hint,
        )
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        let error = anyhow::Error::new(error).context("--token-key");
        Self::hinted(
            error,
            "the public key of the issuer of service account tokens, in PEM or as a JWK set",
        )
    }
}
