//! `envoy.config.core.v3.Metadata`: which object of Kubernetes made a resource.

use serde::Deserialize;
use serde_json::Value;

/// The metadata of a route or cluster.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    filter_metadata: Value,
}

impl Metadata {
    /// `<name>.<namespace>` of the object that made it, `<unknown>` for a path that is none of Istio's networking
    /// objects, and nothing if no object did.
    pub(crate) fn object(&self) -> String {
        let Some(path) = self.filter_metadata["istio"]["config"].as_str() else {
            return String::new();
        };
        match path.split('/').collect::<Vec<_>>()[..] {
            [
                "",
                "apis",
                "networking.istio.io",
                _,
                "namespaces",
                namespace,
                _,
                name,
            ] => {
                format!("{name}.{namespace}")
            }
            _ => "<unknown>".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_called_by_name_and_namespace() {
        for (istio, object) in [
            (
                serde_json::json!({ "config": "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/cart" }),
                "cart.shop",
            ),
            (
                serde_json::json!({ "config": "/somewhere/else" }),
                "<unknown>",
            ),
            (serde_json::json!({ "services": [] }), ""),
        ] {
            let metadata = Metadata {
                filter_metadata: serde_json::json!({ "istio": istio }),
            };
            assert_eq!(metadata.object(), object);
        }
        assert_eq!(Metadata::default().object(), "");
    }
}
