//! A proxy's configuration, read: its resources with their JSON in Istio's style.
//!
//! Every proxy prints its fields in snake case. They are read as the protobuf messages that they are, and printed in
//! lower camel case from those, so that the keys of maps and structs stay what they are.

pub(crate) mod address;
pub(crate) mod cluster;
pub(crate) mod ecds;
pub(crate) mod endpoint;
pub(crate) mod listener;
pub(crate) mod metadata;
pub(crate) mod route;
pub(crate) mod secret;

use serde::de::DeserializeOwned;
use serde_json::Value;

use mesh_xds::json::{Dump, DumpError, Pool, PrintError, ReadError, Stage, Style, resources};

const CLUSTERS: &str = "envoy.admin.v3.Clusters";

/// Why an answer of a proxy could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It is no JSON.
    #[error("not JSON")]
    Syntax(#[from] serde_json::Error),
    /// It is JSON of something else.
    #[error("not a config dump: it has no `configs`")]
    NoConfigs,
    /// It is no config dump.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// It is no answer of `/clusters`.
    #[error("not what a proxy answers to /clusters?format=json")]
    Clusters(#[source] ReadError),
    /// It nests without end.
    #[error("a resource cannot be printed")]
    Print(#[from] PrintError),
    /// A resource has a form that we do not expect; a mistake of ours.
    #[error("a resource named `{name}` has an unexpected form")]
    Shape {
        /// Its name.
        name: String,
        /// What is unexpected.
        #[source]
        source: serde_json::Error,
    },
}

/// One resource.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    /// The part of it that tables show.
    pub(crate) shape: T,
    /// All of it, in Istio's JSON without its type.
    pub(crate) json: Value,
    /// What the proxy does with it.
    pub(crate) stage: Stage,
}

impl<T> Entry<T> {
    /// Whether it stands in the bootstrap or in another resource, instead of having been sent by itself.
    pub(crate) fn is_static(&self) -> bool {
        self.stage == Stage::Static
    }
}

/// A kind of resource that we show.
pub(crate) trait Shape: DeserializeOwned {
    /// Full name of its message.
    const MESSAGE: &'static str;
}

/// What a proxy is configured with.
#[derive(Debug)]
pub(crate) struct ConfigDump {
    pool: Pool,
    json: Value,
    dump: Dump,
}

impl ConfigDump {
    /// Reads the answer to `/config_dump`.
    ///
    /// # Errors
    /// If the text is something else.
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        let pool = Pool::load();
        let json: Value = serde_json::from_str(text)?;
        if json.is_object() && json.get("configs").is_none() {
            return Err(Error::NoConfigs);
        }
        let dump = resources(&pool, &json)?;
        Ok(Self { pool, json, dump })
    }

    /// The places of what this version does not know, with the reason.
    pub(crate) fn ignored(&self) -> impl ExactSizeIterator<Item = String> + '_ {
        self.dump.ignored.iter().map(ToString::to_string)
    }

    /// The resources of one kind that are in use: those from the control plane first, then those of the bootstrap.
    ///
    /// # Errors
    /// If one cannot be printed.
    pub(crate) fn in_use<T: Shape>(&self) -> Result<Vec<Entry<T>>, Error> {
        let mut entries = self.all::<T>()?;
        entries.retain(|entry| matches!(entry.stage, Stage::Active | Stage::Static));
        entries.sort_by_key(Entry::is_static);
        Ok(entries)
    }

    /// A section of the dump by the name of its message in `envoy.admin.v3`, in Istio's JSON without its type and
    /// without secrets; `None` if the dump has no such section.
    ///
    /// # Errors
    /// If it cannot be printed.
    pub(crate) fn section(&self, message: &str) -> Result<Option<Value>, Error> {
        let message = format!("envoy.admin.v3.{message}");
        let is_wanted = |section: &&Value| {
            section["@type"]
                .as_str()
                .and_then(|url| url.rsplit('/').next())
                == Some(&message)
        };
        let mut sections = self.json["configs"].as_array().into_iter().flatten();
        let Some(section) = sections.find(is_wanted) else {
            return Ok(None);
        };
        let (bytes, _) = self
            .pool
            .read_known(&message, section)
            .map_err(DumpError::Json)?;
        let mut json = self.pool.print(&message, &bytes, Style::Istio)?;
        secret::redact(&mut json);
        Ok(Some(json))
    }

    /// The secrets in the order of the dump.
    ///
    /// # Errors
    /// If they cannot be printed.
    pub(crate) fn secrets(&self) -> Result<secret::Secrets, Error> {
        let section = self.section(secret::SECTION)?.unwrap_or_default();
        secret::Secrets::read(&section).map_err(|source| Error::Shape {
            name: secret::SECTION.to_owned(),
            source,
        })
    }

    fn all<T: Shape>(&self) -> Result<Vec<Entry<T>>, Error> {
        let of_kind = |resource: &&mesh_xds::json::Resource| {
            resource.type_url.rsplit('/').next() == Some(T::MESSAGE)
        };
        let resources = self.dump.resources.iter().filter(of_kind);
        resources
            .map(|resource| {
                let json = self.pool.print(T::MESSAGE, &resource.bytes, Style::Istio)?;
                entry(json, &resource.name, resource.stage)
            })
            .collect()
    }
}

/// Reads the answer to `/clusters?format=json`: the state of every cluster.
///
/// # Errors
/// If the text is something else.
pub(crate) fn cluster_statuses(text: &str) -> Result<Vec<Entry<endpoint::ClusterStatus>>, Error> {
    let pool = Pool::load();
    let (bytes, _) = pool
        .read_known(CLUSTERS, &serde_json::from_str(text)?)
        .map_err(Error::Clusters)?;
    let mut json = pool.print(CLUSTERS, &bytes, Style::Istio)?;
    let statuses = match json.get_mut("clusterStatuses").map(Value::take) {
        Some(Value::Array(statuses)) => statuses,
        _ => Vec::new(),
    };
    let name = |status: &Value| status["name"].as_str().unwrap_or_default().to_owned();
    statuses
        .into_iter()
        .map(|status| entry(status.clone(), &name(&status), Stage::Active))
        .collect()
}

fn entry<T: DeserializeOwned>(json: Value, name: &str, stage: Stage) -> Result<Entry<T>, Error> {
    let shape = T::deserialize(&json).map_err(|source| Error::Shape {
        name: name.to_owned(),
        source,
    })?;
    Ok(Entry { shape, json, stage })
}
