//! CustomResourceDefinitions of the kinds that the mesh executes, generated from their types.

use crate::{
    k8s::{
        NamespaceResourceScope, Resource,
        apiextensions_apiserver::pkg::apis::apiextensions::v1::{
            CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
            CustomResourceDefinitionVersion, CustomResourceValidation, JSONSchemaProps,
        },
        apimachinery::pkg::apis::meta::v1::ObjectMeta,
    },
    security::{PeerAuthentication, PeerAuthenticationSpec},
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

/// The groups whose kinds the control plane watches, and no others: its role allows it these.
pub const GROUPS: [&str; 5] = [
    "security.istio.io",
    "networking.istio.io",
    "telemetry.istio.io",
    "extensions.istio.io",
    "gateway.networking.k8s.io",
];

/// Versions under which every kind is served; the first is stored. They do not differ.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// All of them, by name.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![definition::<PeerAuthentication, PeerAuthenticationSpec>(&[
        "pa",
    ])]
}

fn definition<K, Spec>(short_names: &[&str]) -> CustomResourceDefinition
where
    K: Resource<Scope = NamespaceResourceScope>,
    Spec: JsonSchema,
{
    let (plural, kind) = (K::URL_PATH_SEGMENT, K::KIND);
    let schema = schema::<Spec>();
    let version = |(index, name): (usize, &&str)| CustomResourceDefinitionVersion {
        name: (*name).into(),
        served: true,
        storage: index == 0,
        schema: Some(CustomResourceValidation {
            open_api_v3_schema: Some(schema.clone()),
        }),
        ..CustomResourceDefinitionVersion::default()
    };
    CustomResourceDefinition {
        metadata: ObjectMeta {
            name: Some(format!("{plural}.{}", K::GROUP)),
            ..ObjectMeta::default()
        },
        spec: CustomResourceDefinitionSpec {
            group: K::GROUP.into(),
            names: CustomResourceDefinitionNames {
                kind: kind.into(),
                list_kind: Some(format!("{kind}List")),
                plural: plural.into(),
                singular: Some(kind.to_lowercase()),
                short_names: Some(short_names.iter().map(|s| (*s).into()).collect()),
                categories: Some(vec!["istio-io".into()]),
            },
            scope: "Namespaced".into(),
            versions: VERSIONS.iter().enumerate().map(version).collect(),
            ..CustomResourceDefinitionSpec::default()
        },
        status: None,
    }
}

/// The schema of a whole object. A status is kept as it is written.
fn schema<Spec: JsonSchema>() -> JSONSchemaProps {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut spec = Value::from(settings.into_generator().into_root_schema_for::<Spec>());
    strip(&mut spec);
    let whole = json!({
        "type": "object",
        "properties": {
            "spec": spec,
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    });
    // Both sides are schemas of OpenAPI 3; a test reads the result.
    serde_json::from_value(whole).unwrap_or_default()
}

/// What the API server would act upon (defaults) or does not know is left out.
fn strip(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|key, value| {
                let of_schema = matches!(key.as_str(), "default" | "title" | "$schema");
                // A property may have such a name; it is then a schema itself.
                !of_schema || value.is_object() && value.get("type").is_some()
            });
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_structural_and_set_no_defaults() {
        for definition in all() {
            let written = serde_json::to_string(&definition).expect("JSON");
            for foreign in ["\"default\"", "\"$ref\"", "nullable", "oneOf", "anyOf"] {
                assert!(!written.contains(foreign), "{foreign}: {written}");
            }
            let spec = &definition.spec;
            assert!(
                GROUPS.contains(&&*spec.group),
                "{} is not watched",
                spec.group
            );
            assert_eq!(
                definition.metadata.name,
                Some(format!("{}.{}", spec.names.plural, spec.group))
            );
        }
    }

    #[test]
    fn peer_authentication_is_described_field_by_field() {
        let all = serde_json::to_value(all()).expect("JSON");
        let spec = &all[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
            ["properties"];
        assert_eq!(spec["mtls"]["properties"]["mode"]["enum"][3], "STRICT");
        let port = &spec["portLevelMtls"]["additionalProperties"];
        assert_eq!(port["properties"]["mode"]["type"], "string");
        let label = &spec["selector"]["properties"]["matchLabels"]["additionalProperties"];
        assert_eq!(label["type"], "string");
    }
}
