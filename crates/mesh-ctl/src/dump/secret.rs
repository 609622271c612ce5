//! `envoy.admin.v3.SecretsConfigDump`: certificates and roots, never keys.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

/// Name of the section in a config dump.
pub(super) const SECTION: &str = "SecretsConfigDump";

/// Fields that hold what must not be shown.
const HIDDEN: [&str; 6] = [
    "privateKey",
    "privateKeyProvider",
    "pkcs12",
    "password",
    "sessionTicketKeys",
    "genericSecret",
];

/// Replaces everything secret inside `json` by a note. Proxies do this themselves; a foreign one may have forgotten.
pub(super) fn redact(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                if HIDDEN.contains(&name.as_str()) {
                    *value = json!({ "inlineBytes": BASE64_STANDARD.encode("[redacted]") });
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

/// The secrets of a proxy.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Secrets {
    static_secrets: Vec<Dynamic>,
    dynamic_active_secrets: Vec<Dynamic>,
    dynamic_warming_secrets: Vec<Dynamic>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Dynamic {
    name: String,
    secret: Secret,
}

/// One secret.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Secret {
    tls_certificate: Option<TlsCertificate>,
    validation_context: Option<ValidationContext>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TlsCertificate {
    certificate_chain: DataSource,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ValidationContext {
    trusted_ca: DataSource,
    custom_validator_config: Option<Validator>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Validator {
    typed_config: SpiffeValidator,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpiffeValidator {
    trust_domains: Vec<TrustDomain>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TrustDomain {
    name: String,
    trust_bundle: DataSource,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DataSource {
    inline_bytes: Option<String>,
    inline_string: Option<String>,
}

impl DataSource {
    /// What it holds inline; nothing if that is no base64.
    fn bytes(&self) -> Vec<u8> {
        match (&self.inline_bytes, &self.inline_string) {
            (Some(base64), _) => BASE64_STANDARD.decode(base64).unwrap_or_default(),
            (None, Some(text)) => text.clone().into_bytes(),
            (None, None) => Vec::new(),
        }
    }
}

/// What a secret shows.
#[derive(Debug)]
pub(crate) enum Content {
    /// A certificate and what vouches for it, in PEM.
    Chain(Vec<u8>),
    /// Roots in PEM: each bundle with the trust domain that it is for, if that is said.
    Roots(Vec<(Option<String>, Vec<u8>)>),
    /// Neither, or not here yet.
    Nothing,
}

impl Secrets {
    pub(super) fn read(section: &Value) -> serde_json::Result<Self> {
        match section {
            Value::Null => Ok(Self::default()),
            section => Self::deserialize(section),
        }
    }

    /// Name, state and content of each: those in use first.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &'static str, Content)> {
        let states = [
            ("ACTIVE", &self.dynamic_active_secrets),
            ("ACTIVE", &self.static_secrets),
            ("WARMING", &self.dynamic_warming_secrets),
        ];
        states.into_iter().flat_map(|(state, secrets)| {
            secrets
                .iter()
                .map(move |s| (s.name.as_str(), state, s.secret.content()))
        })
    }
}

impl Secret {
    fn content(&self) -> Content {
        if let Some(tls) = &self.tls_certificate {
            return Content::Chain(tls.certificate_chain.bytes());
        }
        let Some(validation) = &self.validation_context else {
            return Content::Nothing;
        };
        let domains = validation.custom_validator_config.iter();
        let domains = domains.flat_map(|validator| &validator.typed_config.trust_domains);
        let mut roots: Vec<_> = domains
            .map(|domain| (Some(domain.name.clone()), domain.trust_bundle.bytes()))
            .collect();
        if roots.is_empty() {
            roots.push((None, validation.trusted_ca.bytes()));
        }
        Content::Roots(roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hidden_wherever_they_stand() {
        let mut json = json!({ "a": [{ "privateKey": { "inlineString": "SESAME" }, "name": "n" }], "password": "SESAME" });
        redact(&mut json);
        assert!(!json.to_string().contains("SESAME"), "{json}");
        assert_eq!(json["a"][0]["name"], "n");
    }
}
