//! The authority's material in a Secret of the cluster (`istio-ca-secret`), shared by all replicas.
//!
//! | key | what |
//! |---|---|
//! | `ca-cert.pem` | the certificate that signs |
//! | `ca-key.pem` | its private key |
//! | `root-cert.pem` | one or more roots that peers trust; `ca-cert.pem` if it is missing or empty |
//! | `cert-chain.pem` | from `ca-cert.pem` up to the root; may be empty |
//!
//! The first replica makes a self-signed root: whoever creates the object first has made it, all others read that.

use super::{
    authority::{Authority, AuthorityError},
    bundle::{Bundle, BundleError},
    directory::{CA_CERT, CA_KEY, CERT_CHAIN, ROOT_CERT},
    rotation,
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use mesh_api::k8s::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// Name of the Secret.
pub const NAME: &str = "istio-ca-secret";
/// Its type.
const TYPE: &str = "istio.io/ca-root";

/// Name of the ConfigMap with the roots, in every namespace.
pub const ROOTS: &str = "istio-ca-root-cert";

/// The Secret with the authority's material.
#[derive(Clone)]
pub struct CaSecret {
    secrets: Api<Secret>,
    config_maps: Api<ConfigMap>,
    namespace: String,
}

/// Why the Secret gives no authority.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The API server refuses it, or cannot be reached.
    #[error("cannot {verb} it")]
    Access {
        /// What was tried.
        verb: &'static str,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
    /// It was deleted.
    #[error("it is gone")]
    Gone,
    /// A key is missing, or is no text.
    #[error("it has no text under {0}")]
    Key(&'static str),
    /// A key with certificates does not parse.
    #[error("{key} is not usable")]
    Bundle {
        /// Which.
        key: &'static str,
        /// Why.
        source: BundleError,
    },
    /// The parts do not fit together.
    #[error("its parts do not make an authority")]
    Authority(#[from] AuthorityError),
    /// A self-signed root could not be made.
    #[error("cannot make a self-signed root")]
    SelfSigned(#[from] rcgen::Error),
}

impl CaSecret {
    /// The Secret in `namespace`; nothing is read yet.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            config_maps: Api::namespaced(client, namespace),
            namespace: namespace.into(),
        }
    }

    /// Reads it, after making a self-signed root if there is none.
    ///
    /// # Errors
    /// If it cannot be read or written, or its parts do not fit together.
    pub async fn load_or_create(
        &self,
        trust_domain: &str,
        now: SystemTime,
    ) -> Result<Authority, SecretError> {
        if let Some(secret) = self.read().await? {
            return authority(&secret, trust_domain, now);
        }
        let ours = self.self_signed(trust_domain, now)?;
        match self.secrets.create(&PostParams::default(), &ours).await {
            Ok(secret) => {
                tracing::info!(
                    namespace = self.namespace,
                    trust_domain,
                    "made a self-signed root in the Secret {NAME}"
                );
                authority(&secret, trust_domain, now)
            }
            // Another replica was first.
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                self.load(trust_domain, now).await
            }
            Err(source) => Err(access("create", source)),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it cannot be read, or its parts do not fit together.
    pub async fn load(
        &self,
        trust_domain: &str,
        now: SystemTime,
    ) -> Result<Authority, SecretError> {
        let secret = self.read().await?.ok_or(SecretError::Gone)?;
        authority(&secret, trust_domain, now)
    }

    /// Takes the next step in replacing a root that ends, if one is due, and says whether it did. `longest` is the longest
    /// life of a workload's certificate.
    ///
    /// # Errors
    /// If it cannot be read or written; also if somebody else has written it meanwhile.
    pub async fn rotate(
        &self,
        trust_domain: &str,
        longest: Duration,
        now: SystemTime,
    ) -> Result<bool, SecretError> {
        let secret = self.read().await?.ok_or(SecretError::Gone)?;
        let Some(next) = rotation::step(&secret, trust_domain, longest, now)? else {
            return Ok(false);
        };
        // What does not make an authority must not be written.
        authority(&next, trust_domain, now)?;
        self.write(&next).await?;
        Ok(true)
    }

    /// The roots that the mesh is told of in the control plane's own namespace; none if it is not told of any yet.
    pub(super) async fn distributed(&self) -> Result<Bundle, SecretError> {
        let ours = ListParams::default().fields(&format!("metadata.name={ROOTS}"));
        let maps = self.config_maps.list(&ours).await;
        let maps = maps.map_err(|source| access("read the roots beside", source))?;
        let data = maps.items.into_iter().find_map(|map| map.data);
        let text = data.and_then(|mut data| data.remove(ROOT_CERT));
        // What somebody has put there that is none will be mended.
        Ok(Bundle::from_pem_or_empty(&text.unwrap_or_default()).unwrap_or_default())
    }

    /// Writes it; refused if somebody else has written it since it was read.
    pub(super) async fn write(&self, secret: &Secret) -> Result<(), SecretError> {
        let params = PostParams::default();
        let written = self.secrets.replace(NAME, &params, secret).await;
        written.map_err(|source| access("write", source))?;
        Ok(())
    }

    pub(super) async fn read(&self) -> Result<Option<Secret>, SecretError> {
        let read = self.secrets.get_opt(NAME).await;
        read.map_err(|source| access("read", source))
    }

    fn self_signed(&self, trust_domain: &str, now: SystemTime) -> Result<Secret, SecretError> {
        let (certificate, key) = Authority::self_signed(trust_domain, now)?;
        let data = [
            (CA_CERT, certificate.clone()),
            (CA_KEY, key),
            (ROOT_CERT, certificate),
            (CERT_CHAIN, String::new()),
        ];
        let data = data.map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes())));
        Ok(Secret {
            metadata: ObjectMeta {
                name: Some(NAME.into()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            type_: Some(TYPE.into()),
            data: Some(BTreeMap::from(data)),
            ..Secret::default()
        })
    }
}

impl SecretError {
    /// Whether it may be had later without anybody's doing.
    pub fn is_temporary(&self) -> bool {
        let Self::Access { source, .. } = self else {
            return false;
        };
        match &**source {
            // 409: another replica has written it meanwhile.
            kube::Error::Api(status) => matches!(status.code, 409 | 429 | 500..),
            kube::Error::HyperError(_) | kube::Error::Service(_) => true,
            _ => false,
        }
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Access { .. } | Self::Gone => {
                "the control plane's Role must allow it to get and create the Secret istio-ca-secret in its own namespace"
            }
            Self::SelfSigned(_) => "the trust domain must be a plain DNS name",
            Self::Key(_) | Self::Bundle { .. } | Self::Authority(_) => {
                "ca-key.pem must be the key of ca-cert.pem, and root-cert.pem must hold the root that it leads to; without the Secret a new root is made"
            }
        }
    }
}

fn access(verb: &'static str, source: kube::Error) -> SecretError {
    let source = Box::new(source);
    SecretError::Access { verb, source }
}

pub(super) fn authority(
    secret: &Secret,
    trust_domain: &str,
    now: SystemTime,
) -> Result<Authority, SecretError> {
    let certificate_text = text(secret, CA_CERT).ok_or(SecretError::Key(CA_CERT))?;
    let key = text(secret, CA_KEY).ok_or(SecretError::Key(CA_KEY))?;
    let bundle = |name, text: &str| {
        Bundle::from_pem_or_empty(text).map_err(|source| SecretError::Bundle { key: name, source })
    };
    let certificate = bundle(CA_CERT, certificate_text)?;
    let chain = bundle(CERT_CHAIN, text(secret, CERT_CHAIN).unwrap_or_default())?;
    let roots = bundle(
        ROOT_CERT,
        text(secret, ROOT_CERT).unwrap_or(certificate_text),
    )?;
    Ok(Authority::new(
        certificate,
        key,
        chain,
        roots,
        trust_domain,
        now,
    )?)
}

/// A key that is missing or empty is the same to Istio.
pub(super) fn text<'s>(secret: &'s Secret, key: &'static str) -> Option<&'s str> {
    let bytes = secret.data.as_ref()?.get(key)?;
    let text = std::str::from_utf8(&bytes.0).ok()?;
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
