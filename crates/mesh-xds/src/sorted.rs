//! Messages with maps inside, in a form that encodes equal values to equal bytes.
//!
//! The generated types keep maps in hash maps, whose order changes from one value to the next; what is sent is compared
//! and shared by its bytes, so `encode` uses these shadows where a map may have several entries. They are never decoded.
//! Field numbers are Envoy's; the round trip through the generated types proves them.

use crate::pb::envoy::config::core::v3::{DataSource, Locality, TransportSocket};
use crate::pb::envoy::config::route::v3 as route;
use crate::pb::google::protobuf::{Any, UInt32Value};
use prost::{
    DecodeError, Message,
    bytes::{Buf, BufMut},
    encoding::{DecodeContext, WireType},
};
use prost_types::{ListValue, Struct, Value, value::Kind};
use std::collections::BTreeMap;

/// `envoy.config.core.v3.Metadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Metadata {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) filter_metadata: BTreeMap<String, Struct>,
}

impl Metadata {
    /// Metadata with the namespaces that have fields; `None` if there is none.
    pub(crate) fn new(
        namespaces: impl IntoIterator<Item = (&'static str, Struct)>,
    ) -> Option<Self> {
        let filter_metadata: BTreeMap<_, _> = namespaces
            .into_iter()
            .filter(|(_, fields)| !fields.fields.is_empty())
            .map(|(namespace, fields)| (namespace.to_owned(), fields))
            .collect();
        (!filter_metadata.is_empty()).then_some(Self { filter_metadata })
    }
}

/// A message in two parts: a generated one without its maps, and a shadow that has only those (and what holds others).
/// Fields of one message may stand in any order, so their bytes may follow each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct With<A, B>(pub(crate) A, pub(crate) B);

impl<A: Message, B: Message> Message for With<A, B> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.0.encode_raw(buf);
        self.1.encode_raw(buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        // Never decoded; were it, the generated part would know every field.
        self.0.merge_field(tag, wire_type, buf, context)
    }

    fn encoded_len(&self) -> usize {
        self.0.encoded_len() + self.1.encoded_len()
    }

    fn clear(&mut self) {
        self.0.clear();
        self.1.clear();
    }
}

/// The fields of `envoy.config.route.v3.RouteConfiguration` with maps inside.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RouteConfigurationTail {
    #[prost(message, repeated, tag = "2")]
    pub(crate) virtual_hosts: Vec<With<route::VirtualHost, VirtualHostTail>>,
    #[prost(btree_map = "string, message", tag = "16")]
    pub(crate) typed_per_filter_config: BTreeMap<String, Any>,
}

/// The fields of `envoy.config.route.v3.VirtualHost` with maps inside.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VirtualHostTail {
    #[prost(message, repeated, tag = "3")]
    pub(crate) routes: Vec<With<route::Route, RouteTail>>,
    #[prost(btree_map = "string, message", tag = "15")]
    pub(crate) typed_per_filter_config: BTreeMap<String, Any>,
}

/// The fields of `envoy.config.route.v3.Route` with maps inside.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RouteTail {
    #[prost(message, optional, tag = "4")]
    pub(crate) metadata: Option<Metadata>,
    #[prost(btree_map = "string, message", tag = "13")]
    pub(crate) typed_per_filter_config: BTreeMap<String, Any>,
}

/// A route configuration.
pub(crate) type RouteConfiguration = With<route::RouteConfiguration, RouteConfigurationTail>;

/// The field of `HttpConnectionManager` with maps inside.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HttpConnectionManagerTail {
    #[prost(message, optional, tag = "4")]
    pub(crate) route_config: Option<RouteConfiguration>,
}

/// `envoy.config.endpoint.v3.ClusterLoadAssignment`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ClusterLoadAssignment {
    #[prost(string, tag = "1")]
    pub(crate) cluster_name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) endpoints: Vec<LocalityLbEndpoints>,
}

/// `envoy.config.endpoint.v3.LocalityLbEndpoints`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LocalityLbEndpoints {
    #[prost(message, optional, tag = "1")]
    pub(crate) locality: Option<Locality>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) lb_endpoints: Vec<LbEndpoint>,
    #[prost(message, optional, tag = "3")]
    pub(crate) load_balancing_weight: Option<UInt32Value>,
    #[prost(uint32, tag = "5")]
    pub(crate) priority: u32,
}

/// `envoy.config.endpoint.v3.LbEndpoint`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LbEndpoint {
    #[prost(message, optional, tag = "1")]
    pub(crate) endpoint: Option<crate::pb::envoy::config::endpoint::v3::Endpoint>,
    #[prost(
        enumeration = "crate::pb::envoy::config::core::v3::HealthStatus",
        tag = "2"
    )]
    pub(crate) health_status: i32,
    #[prost(message, optional, tag = "3")]
    pub(crate) metadata: Option<Metadata>,
    #[prost(message, optional, tag = "4")]
    pub(crate) load_balancing_weight: Option<UInt32Value>,
}

/// The fields of `envoy.config.cluster.v3.Cluster` with maps inside, to be appended to the bytes of the others.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ClusterTail {
    #[prost(message, optional, tag = "25")]
    pub(crate) metadata: Option<Metadata>,
    #[prost(message, optional, tag = "33")]
    pub(crate) load_assignment: Option<ClusterLoadAssignment>,
    #[prost(message, repeated, tag = "43")]
    pub(crate) transport_socket_matches: Vec<TransportSocketMatch>,
}

/// `envoy.config.cluster.v3.Cluster.TransportSocketMatch`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TransportSocketMatch {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) r#match: Option<Struct>,
    #[prost(message, optional, tag = "3")]
    pub(crate) transport_socket: Option<TransportSocket>,
}

/// `envoy.extensions.access_loggers.file.v3.FileAccessLog`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FileAccessLog {
    #[prost(string, tag = "1")]
    pub(crate) path: String,
    #[prost(message, optional, tag = "5")]
    pub(crate) log_format: Option<FormatString>,
}

/// `envoy.config.core.v3.SubstitutionFormatString`; one of the two is set.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FormatString {
    #[prost(message, optional, tag = "2")]
    pub(crate) json_format: Option<Struct>,
    #[prost(message, optional, tag = "5")]
    pub(crate) text_format_source: Option<DataSource>,
}

/// A struct with these fields.
pub(crate) fn object<K: Into<String>>(fields: impl IntoIterator<Item = (K, Value)>) -> Struct {
    Struct {
        fields: fields.into_iter().map(|(k, v)| (k.into(), v)).collect(),
    }
}

/// A struct as a value.
pub(crate) fn nested(fields: Struct) -> Value {
    Value {
        kind: Some(Kind::StructValue(fields)),
    }
}

/// A text.
pub(crate) fn text(text: impl Into<String>) -> Value {
    Value {
        kind: Some(Kind::StringValue(text.into())),
    }
}

/// A boolean.
pub(crate) fn flag(flag: bool) -> Value {
    Value {
        kind: Some(Kind::BoolValue(flag)),
    }
}

/// A list.
pub(crate) fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value {
        kind: Some(Kind::ListValue(ListValue {
            values: values.into_iter().collect(),
        })),
    }
}
