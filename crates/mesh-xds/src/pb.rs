//! The protobuf messages and services that cross our wires: Envoy's, and the few of Istio's that Envoy lacks.
//!
//! Inside this crate they are what `encode` and `decode` work on. Other crates use the discovery and certificate
//! services from here, and otherwise the model: a message that a program would look into belongs behind `decode`.
//! Nothing here is written by hand; our own part is generated from `proto/` by `cargo run -p mesh-codegen`.

pub use envoy_types::pb::{envoy, google, xds};
pub use envoy_types::util::pack_any;

/// Istio's services and the configurations of its filters.
pub mod istio {
    /// The certificate service, `istio.v1.auth`.
    pub mod auth {
        include!("generated/istio.v1.auth.rs");
    }
    /// The DNS name table, `istio.networking.nds.v1`.
    pub mod nds {
        include!("generated/istio.networking.nds.v1.rs");
    }
    /// The `istio.alpn` filter, `istio.envoy.config.filter.http.alpn.v2alpha1`.
    pub mod alpn {
        include!("generated/istio.envoy.config.filter.http.alpn.v2alpha1.rs");
    }
    /// The `istio.metadata_exchange` filter, `envoy.tcp.metadataexchange.config`.
    pub mod metadata_exchange {
        include!("generated/envoy.tcp.metadataexchange.config.rs");
    }
    /// The `istio.peer_metadata` filter, `io.istio.http.peer_metadata`.
    pub mod peer_metadata {
        include!("generated/io.istio.http.peer_metadata.rs");
    }
    /// The `istio.stats` filter, `stats`.
    pub mod stats {
        include!("generated/stats.rs");
    }
}

/// What envoy-types leaves out of `xds.type.v3`.
pub mod xds_type {
    include!("generated/xds.r#type.v3.rs");
}

/// The messages of udpa that are still sent.
pub mod udpa {
    /// `udpa.type.v1`.
    pub mod r#type {
        /// `udpa.type.v1`.
        pub mod v1 {
            include!("generated/udpa.r#type.v1.rs");
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::{Message, Name};

    use super::istio::{alpn, auth, metadata_exchange, nds, peer_metadata, stats};
    use super::udpa::r#type::v1::TypedStruct;
    use super::xds_type;

    #[test]
    fn types_have_the_names_that_peers_send() {
        for (ours, peers) in [
            (
                auth::IstioCertificateRequest::full_name(),
                "istio.v1.auth.IstioCertificateRequest",
            ),
            (
                nds::NameTable::type_url(),
                "type.googleapis.com/istio.networking.nds.v1.NameTable",
            ),
            (
                alpn::FilterConfig::type_url(),
                "type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
            ),
            (
                metadata_exchange::MetadataExchange::type_url(),
                "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange",
            ),
            (
                peer_metadata::Config::type_url(),
                "type.googleapis.com/io.istio.http.peer_metadata.Config",
            ),
            (
                stats::PluginConfig::type_url(),
                "type.googleapis.com/stats.PluginConfig",
            ),
            (
                TypedStruct::type_url(),
                "type.googleapis.com/udpa.type.v1.TypedStruct",
            ),
            (
                xds_type::TypedStruct::type_url(),
                "type.googleapis.com/xds.type.v3.TypedStruct",
            ),
        ] {
            assert_eq!(ours, peers);
        }
    }

    #[test]
    fn a_certificate_request_has_istios_field_numbers() {
        let request = auth::IstioCertificateRequest {
            csr: "c".into(),
            validity_duration: 60,
            metadata: Some(prost_types::Struct::default()),
        };
        assert_eq!(request.encode_to_vec(), [0x0a, 1, b'c', 0x18, 60, 0x22, 0]);
        let response = auth::IstioCertificateResponse {
            cert_chain: vec!["l".into(), "r".into()],
        };
        assert_eq!(response.encode_to_vec(), [0x0a, 1, b'l', 0x0a, 1, b'r']);
    }

    #[test]
    fn the_certificate_service_has_istios_name() {
        assert_eq!(
            auth::istio_certificate_service_server::SERVICE_NAME,
            "istio.v1.auth.IstioCertificateService"
        );
    }
}
