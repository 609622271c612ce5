//! Istio's `PeerAuthentication`: whether workloads take mutual TLS, plaintext, or both.

use crate::k8s::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap};

/// A policy for the workloads of a namespace, for some of them, or (in the root namespace) for the whole mesh.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PeerAuthentication {
    /// `security.istio.io/v1`, or an older version of the same form.
    pub api_version: String,
    /// `PeerAuthentication`.
    pub kind: String,
    /// Name and namespace.
    pub metadata: ObjectMeta,
    /// What it says.
    pub spec: PeerAuthenticationSpec,
    /// What controllers note; not read.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub status: Value,
}

impl crate::k8s::Resource for PeerAuthentication {
    const API_VERSION: &'static str = "security.istio.io/v1";
    const GROUP: &'static str = super::GROUP;
    const KIND: &'static str = "PeerAuthentication";
    const VERSION: &'static str = "v1";
    const URL_PATH_SEGMENT: &'static str = "peerauthentications";
    type Scope = crate::k8s::NamespaceResourceScope;
}

/// Whether workloads take mutual TLS, plaintext, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PeerAuthenticationSpec {
    /// The workloads that it is for; all of the namespace if there are no labels.
    pub selector: WorkloadSelector,
    /// For all ports that are not named.
    pub mtls: MutualTls,
    /// By port of the workload (not of a Service). Needs a selector.
    #[schemars(with = "BTreeMap<String, MutualTls>")]
    pub port_level_mtls: BTreeMap<u16, MutualTls>,
}

/// Chooses workloads of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSelector {
    /// Labels that a pod must have.
    pub match_labels: BTreeMap<String, String>,
}

/// What peers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MutualTls {
    /// The mode.
    pub mode: MtlsMode,
}

/// What peers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MtlsMode {
    /// What the next wider policy says; `PERMISSIVE` if there is none.
    #[default]
    Unset,
    /// Plaintext.
    Disable,
    /// Mutual TLS or plaintext, as the client likes.
    Permissive,
    /// Mutual TLS only.
    Strict,
}

/// A plain list of values: what describes each of them could not stand in a CustomResourceDefinition.
impl JsonSchema for MtlsMode {
    fn schema_name() -> Cow<'static, str> {
        "MtlsMode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "What peers are asked for: UNSET inherits, DISABLE is plaintext, PERMISSIVE is mutual TLS or plaintext, STRICT is mutual TLS only.",
            "enum": ["UNSET", "DISABLE", "PERMISSIVE", "STRICT"],
        })
    }
}
