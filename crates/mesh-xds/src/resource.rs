//! What xDS delivers: the kinds of resources, and the contract that each of them keeps.
//!
//! A resource is a value of `mesh-model`; this crate only gives it its form on the wire. The files beside this one
//! implement [`Resource`], one for each kind. What decodes is executable: a message with anything in it that the model
//! cannot say is refused, or the part is listed as ignored, never dropped in silence.

use bytes::Bytes;
use std::{fmt, str::FromStr};

pub use crate::decode::{FieldError, Ignored, Invalid};

/// A value that xDS delivers under a name.
pub trait Resource: Sized {
    /// Its kind.
    const KIND: ResourceKind;
    /// Type URL of its message.
    const TYPE_URL: &'static str = Self::KIND.type_url();

    /// The name under which it is asked for.
    fn name(&self) -> &str;

    /// The protobuf bytes of its message (without the `Any` around it). Equal values give equal bytes.
    fn encode(&self) -> Bytes;

    /// The value of a message.
    ///
    /// # Errors
    /// If the bytes are no such message, or it says anything that we neither execute nor may leave out; all places at
    /// once, where they can be told apart.
    fn decode(bytes: &[u8]) -> Result<Decoded<Self>, Invalid>;
}

/// A decoded resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<T> {
    /// The resource.
    pub value: T,
    /// What its message says beyond that and which is safe to leave out.
    pub ignored: Vec<Ignored>,
}

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// CDS.
    Cluster,
    /// EDS.
    Endpoint,
    /// LDS.
    Listener,
    /// RDS.
    Route,
    /// SDS.
    Secret,
    /// NDS: Istio's DNS table.
    NameTable,
    /// ECDS.
    ExtensionConfig,
}

impl ResourceKind {
    /// All kinds, in the order in which additions are sent: what is referred to comes first.
    pub const ALL: [Self; 7] = [
        Self::Cluster,
        Self::Endpoint,
        Self::Secret,
        Self::ExtensionConfig,
        Self::Listener,
        Self::Route,
        Self::NameTable,
    ];

    /// The type URL that stands in requests and responses.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoint => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            Self::NameTable => "type.googleapis.com/istio.networking.nds.v1.NameTable",
            Self::ExtensionConfig => {
                "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
            }
        }
    }

    /// The kind of a type URL.
    pub fn from_type_url(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == text)
    }

    /// The name of its discovery service, as tools print it: `CDS`, `EDS`, `LDS`, `RDS`, `SDS`, `NDS`, `ECDS`.
    pub const fn short_name(self) -> &'static str {
        match self {
            Self::Cluster => "CDS",
            Self::Endpoint => "EDS",
            Self::Listener => "LDS",
            Self::Route => "RDS",
            Self::Secret => "SDS",
            Self::NameTable => "NDS",
            Self::ExtensionConfig => "ECDS",
        }
    }
}

/// Its type URL.
impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_url())
    }
}

/// A type URL of no kind that we know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no kind of resource has the type URL `{0}`")]
pub struct UnknownTypeUrl(pub String);

impl FromStr for ResourceKind {
    type Err = UnknownTypeUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_type_url(text).ok_or_else(|| UnknownTypeUrl(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_round_trip_through_their_type_urls() {
        for kind in ResourceKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!(
            "type.googleapis.com/envoy.api.v2.Cluster".parse::<ResourceKind>(),
            Err(UnknownTypeUrl(
                "type.googleapis.com/envoy.api.v2.Cluster".into()
            ))
        );
    }

    #[test]
    fn what_is_referred_to_is_sent_first() {
        let place = |kind| ResourceKind::ALL.iter().position(|k| *k == kind);
        assert!(place(ResourceKind::Cluster) < place(ResourceKind::Endpoint));
        assert!(place(ResourceKind::Endpoint) < place(ResourceKind::Listener));
        assert!(place(ResourceKind::Listener) < place(ResourceKind::Route));
    }
}
