//! Metadata that Istio attaches to clusters, endpoints and routes (Envoy `Metadata`), as far as the model reads it.

use crate::{
    decode::{At, Fields},
    pb::envoy::config::core::v3 as core,
};
use std::collections::BTreeMap;

/// Istio's namespace.
pub(crate) const ISTIO: &str = "istio";
/// The namespace by which the transport of an endpoint is chosen.
pub(crate) const TRANSPORT_SOCKET_MATCH: &str = "envoy.transport_socket_match";

/// Metadata under decoding, by namespace.
#[derive(Debug, Default)]
pub(crate) struct Metadata(BTreeMap<String, Fields>);

impl Metadata {
    /// The metadata of `wire`; `at` is the place of the field that holds it.
    pub(crate) fn open(wire: Option<core::Metadata>, at: &At<'_>) -> Self {
        let mut wire = wire.unwrap_or_default();
        let by_namespace = std::mem::take(&mut wire.filter_metadata);
        at.finish(wire);
        Self(
            by_namespace
                .into_iter()
                .map(|(namespace, fields)| (namespace, Fields::new(fields)))
                .collect(),
        )
    }

    /// Decodes the fields of one namespace.
    pub(crate) fn take<T>(
        &mut self,
        namespace: &str,
        at: &At<'_>,
        decode: impl FnOnce(Fields, &At<'_>) -> Option<T>,
    ) -> Option<T> {
        let fields = self.0.remove(namespace).unwrap_or_default();
        decode(fields, &at.field("filter_metadata").key(namespace))
    }

    /// Lists the namespaces that nobody took.
    pub(crate) fn finish(self, at: &At<'_>) {
        for namespace in self.0.keys() {
            at.field("filter_metadata")
                .key(namespace)
                .left_as("envoy.config.core.v3.Metadata", "filter_metadata");
        }
    }
}
