//! `envoy.config.core.v3.TypedExtensionConfig`, as far as tables show it.

use serde::Deserialize;

use super::Shape;

/// A part of a listener that is sent by itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Extension {
    pub(crate) name: String,
    typed_config: TypedConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TypedConfig {
    #[serde(rename = "@type")]
    url: String,
}

impl Shape for Extension {
    const MESSAGE: &'static str = "envoy.config.core.v3.TypedExtensionConfig";
}

impl Extension {
    /// The type of what it holds.
    pub(crate) fn kind(&self) -> &str {
        &self.typed_config.url
    }
}
