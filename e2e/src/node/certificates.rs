//! Who is who: one authority for all parts, certificates for those that serve, and for those that ask.
//!
//! All are X.509 v3 with their purpose in them: rustls refuses others.

use super::{API, API_SERVICE, Site};
use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;
use std::{net::SocketAddr, path::PathBuf};

/// Name of the file of the key that signs tokens.
pub(super) const TOKEN_KEY: &str = "tokens.key";

/// The cluster's authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its key, PEM.
pub(crate) struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    /// A new one.
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "kubernetes");
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// A certificate for `user`, in `group`, that servers take and, if there are `names`, that serves under them.
    fn identity(&self, user: &str, group: Option<&str>, names: &[String]) -> Result<Identity> {
        let mut params = CertificateParams::new(names)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !names.is_empty() {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

impl Site {
    /// File of the authority's certificate.
    pub(super) fn authority(&self) -> Result<PathBuf> {
        self.file("ca.pem", &self.authority.certificate)
    }

    /// Files of a certificate and its key, made for `user`.
    pub(super) fn identity(
        &self,
        user: &str,
        group: Option<&str>,
        names: &[String],
    ) -> Result<[PathBuf; 2]> {
        let identity = self.authority.identity(user, group, names)?;
        let name = user.replace(':', "-");
        Ok([
            self.file(&format!("{name}.pem"), &identity.certificate)?,
            self.file(&format!("{name}.key"), &identity.key)?,
        ])
    }

    /// The names and addresses by which the API server is called.
    pub(super) fn api_names(&self) -> Vec<String> {
        let (address, service) = (API.ip().to_string(), API_SERVICE.to_string());
        [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
            "127.0.0.1",
            &address,
            &service,
        ]
        .map(String::from)
        .into()
    }

    /// File by which `user` speaks to the API server, as `kubectl` and all parts read it.
    pub(super) fn kubeconfig(
        &self,
        name: &str,
        user: &str,
        group: Option<&str>,
    ) -> Result<PathBuf> {
        let text = self.kubeconfig_text(API, user, group)?;
        self.file(&format!("{name}.kubeconfig"), &text)
    }

    /// Its text, for an API server that is reached at `server`.
    pub(super) fn kubeconfig_text(
        &self,
        server: SocketAddr,
        user: &str,
        group: Option<&str>,
    ) -> Result<String> {
        let identity = self.authority.identity(user, group, &[])?;
        let encoded = |pem: &str| BASE64_STANDARD.encode(pem);
        Ok(json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "mesh",
            "contexts": [{"name": "mesh", "context": {"cluster": "mesh", "user": user}}],
            "clusters": [{"name": "mesh", "cluster": {
                "server": format!("https://{server}"),
                "certificate-authority-data": encoded(&self.authority.certificate),
            }}],
            "users": [{"name": user, "user": {
                "client-certificate-data": encoded(&identity.certificate),
                "client-key-data": encoded(&identity.key),
            }}],
        })
        .to_string())
    }

    /// Files of the pair of keys, public and private, for the tokens of service accounts. They are made once: tokens
    /// outlive a restart of the API server.
    pub(super) fn token_keys(&self) -> Result<[PathBuf; 2]> {
        let files = ["tokens.pub", TOKEN_KEY].map(|name| self.state.join(name));
        if files.iter().all(|file| file.is_file()) {
            return Ok(files);
        }
        let key = KeyPair::generate().context("token key")?;
        Ok([
            self.file("tokens.pub", &key.public_key_pem())?,
            self.file(TOKEN_KEY, &key.serialize_pem())?,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_v3_and_say_their_purpose() {
        let authority = Authority::new().expect("an authority");
        let names = ["localhost".to_owned(), "10.244.0.1".to_owned()];
        let identity = authority
            .identity("system:node:node", Some("system:nodes"), &names)
            .expect("an identity");
        let (_, pem) =
            x509_parser::pem::parse_x509_pem(identity.certificate.as_bytes()).expect("PEM");
        let certificate = pem.parse_x509().expect("a certificate");
        assert_eq!(certificate.version(), x509_parser::x509::X509Version::V3);
        assert_eq!(
            certificate.subject().to_string(),
            "CN=system:node:node, O=system:nodes"
        );
        let usage = certificate
            .extended_key_usage()
            .expect("sound")
            .expect("present")
            .value;
        assert!(usage.client_auth && usage.server_auth);
        assert!(!certificate.is_ca());
    }
}
