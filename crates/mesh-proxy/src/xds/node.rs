//! Who we say we are: the `node` of the first request of each stream, and of the bootstrap that tools read.

use crate::config::Settings;
use mesh_model::{annotation, node::extension};
use mesh_xds::pb::{
    envoy::{
        config::core::v3::{BuildVersion, Extension, Locality, Node, node::UserAgentVersionType},
        r#type::v3::SemanticVersion,
    },
    google::protobuf::{ListValue, Struct, Value, value::Kind},
};
use serde_json::{Map, Value as Json};

/// What this data plane executes beyond what every Envoy does. A control plane serves an extension only to who has it.
const EXTENSIONS: &[(&str, &str)] = &[
    (extension::METADATA_EXCHANGE, extension::CATEGORY_NETWORK),
    (
        extension::METADATA_EXCHANGE,
        extension::CATEGORY_UPSTREAM_NETWORK,
    ),
    (extension::METADATA_EXCHANGE, extension::CATEGORY_HTTP),
    (extension::ALPN, extension::CATEGORY_HTTP),
    (extension::STATS, extension::CATEGORY_HTTP),
    (extension::STATS, extension::CATEGORY_NETWORK),
];

/// The message.
pub fn node(settings: &Settings) -> Node {
    let node = &settings.node;
    Node {
        id: node.id.to_string(),
        cluster: node.cluster.clone(),
        metadata: Some(struct_of(&node.metadata)),
        locality: locality(node.label(annotation::LOCALITY)),
        user_agent_name: "mesh-proxy".into(),
        user_agent_version_type: Some(UserAgentVersionType::UserAgentBuildVersion(build_version())),
        extensions: EXTENSIONS
            .iter()
            .map(|(name, category)| Extension {
                name: (*name).into(),
                category: (*category).into(),
                ..Extension::default()
            })
            .collect(),
        ..Node::default()
    }
}

fn build_version() -> BuildVersion {
    let number = |text: &str| text.parse().unwrap_or_default();
    let metadata = [
        ("build.type", "RELEASE"),
        ("build.label", "mesh-proxy"),
        ("revision.sha", mesh_runtime::build::BUILD.revision),
        ("ssl.version", "AWS-LC"),
    ];
    let fields = metadata.map(|(key, text)| (key.to_owned(), value(&Json::from(text))));
    BuildVersion {
        version: Some(SemanticVersion {
            major_number: number(env!("CARGO_PKG_VERSION_MAJOR")),
            minor_number: number(env!("CARGO_PKG_VERSION_MINOR")),
            patch: number(env!("CARGO_PKG_VERSION_PATCH")),
        }),
        metadata: Some(Struct {
            fields: fields.into(),
        }),
    }
}

/// Istio's label `istio-locality`: `region.zone.subzone`, or with slashes.
fn locality(label: &str) -> Option<Locality> {
    let separator = if label.contains('/') { '/' } else { '.' };
    let mut parts = label.split(separator).map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    let locality = Locality {
        region: next(),
        zone: next(),
        sub_zone: next(),
    };
    (!label.is_empty()).then_some(locality)
}

fn struct_of(map: &Map<String, Json>) -> Struct {
    let fields = map.iter().map(|(key, json)| (key.clone(), value(json)));
    Struct {
        fields: fields.collect(),
    }
}

fn value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(b) => Kind::BoolValue(*b),
        Json::Number(n) => Kind::NumberValue(n.as_f64().unwrap_or_default()),
        Json::String(s) => Kind::StringValue(s.clone()),
        Json::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(value).collect(),
        }),
        Json::Object(map) => Kind::StructValue(struct_of(map)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localities_are_read_from_istios_label() {
        let parts = |label| locality(label).map(|l| (l.region, l.zone, l.sub_zone));
        let own = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(parts("r.z.s"), own("r", "z", "s"));
        assert_eq!(parts("r/z.1"), own("r", "z.1", ""));
        assert_eq!(parts(""), None);
    }
}
