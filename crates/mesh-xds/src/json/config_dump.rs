//! The resources inside a `/config_dump`, whoever printed it: an Envoy, mesh-proxy, or a control plane's debug page.

use prost::{DecodeError, Message, Name};
use serde_json::Value as Json;

use super::{Pool, ReadError, type_name};
use crate::pb::envoy::admin::v3 as admin;
use crate::pb::google::protobuf::Any;

/// What a config dump holds.
#[derive(Debug)]
pub struct Dump {
    /// Its resources in the order of the document.
    pub resources: Vec<Resource>,
    /// What of it this build does not know and has left out.
    pub ignored: Vec<ReadError>,
}

/// One resource, as a control plane would send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its type, e.g. `type.googleapis.com/envoy.config.cluster.v3.Cluster`.
    pub type_url: String,
    /// Its name.
    pub name: String,
    /// The version that it came with; empty for what no control plane sent.
    pub version: String,
    /// What the proxy does with it.
    pub stage: Stage,
    /// The encoded message.
    pub bytes: Vec<u8>,
}

/// What a proxy does with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It stands in the bootstrap.
    Static,
    /// It is in use.
    Active,
    /// It waits for what it depends on.
    Warming,
    /// It is replaced and serves out its connections.
    Draining,
}

/// Why a config dump could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// It is no `envoy.admin.v3.ConfigDump`.
    #[error("not a config dump")]
    Json(#[from] ReadError),
    /// A part of it has contents that its type cannot have.
    #[error("a part of the config dump is malformed")]
    Malformed(#[from] DecodeError),
}

/// The resources of a config dump in JSON, in either style. Sections that hold none (bootstrap) give none.
///
/// # Errors
/// If the document is not a config dump. What it holds beyond what is known is listed in [`Dump::ignored`].
pub fn resources(pool: &Pool, json: &Json) -> Result<Dump, DumpError> {
    let (bytes, ignored) = pool.read_known(&admin::ConfigDump::full_name(), json)?;
    let mut found = Found(Vec::new());
    for section in admin::ConfigDump::decode(bytes.as_slice())?.configs {
        found.section(&section)?;
    }
    Ok(Dump {
        resources: found.0,
        ignored,
    })
}

struct Found(Vec<Resource>);

impl Found {
    fn section(&mut self, section: &Any) -> Result<(), DecodeError> {
        let bytes = section.value.as_slice();
        match type_name(&section.type_url) {
            "envoy.admin.v3.ListenersConfigDump" => self.listeners(Message::decode(bytes)?),
            "envoy.admin.v3.ClustersConfigDump" => self.clusters(Message::decode(bytes)?),
            "envoy.admin.v3.RoutesConfigDump" => self.routes(Message::decode(bytes)?),
            "envoy.admin.v3.ScopedRoutesConfigDump" => self.scoped_routes(Message::decode(bytes)?),
            "envoy.admin.v3.EndpointsConfigDump" => self.endpoints(Message::decode(bytes)?),
            "envoy.admin.v3.SecretsConfigDump" => self.secrets(Message::decode(bytes)?),
            "envoy.admin.v3.EcdsConfigDump" => self.extensions(Message::decode(bytes)?),
            _ => Ok(()),
        }
    }

    fn listeners(&mut self, dump: admin::ListenersConfigDump) -> Result<(), DecodeError> {
        for l in dump.static_listeners {
            self.add(Stage::Static, "", l.listener)?;
        }
        for l in dump.dynamic_listeners {
            for (stage, state) in [
                (Stage::Active, l.active_state),
                (Stage::Warming, l.warming_state),
                (Stage::Draining, l.draining_state),
            ] {
                if let Some(state) = state {
                    self.add(stage, &state.version_info, state.listener)?;
                }
            }
        }
        Ok(())
    }

    fn clusters(&mut self, dump: admin::ClustersConfigDump) -> Result<(), DecodeError> {
        for c in dump.static_clusters {
            self.add(Stage::Static, "", c.cluster)?;
        }
        for c in dump.dynamic_active_clusters {
            self.add(Stage::Active, &c.version_info, c.cluster)?;
        }
        for c in dump.dynamic_warming_clusters {
            self.add(Stage::Warming, &c.version_info, c.cluster)?;
        }
        Ok(())
    }

    fn routes(&mut self, dump: admin::RoutesConfigDump) -> Result<(), DecodeError> {
        for r in dump.static_route_configs {
            self.add(Stage::Static, "", r.route_config)?;
        }
        for r in dump.dynamic_route_configs {
            self.add(Stage::Active, &r.version_info, r.route_config)?;
        }
        Ok(())
    }

    fn scoped_routes(&mut self, dump: admin::ScopedRoutesConfigDump) -> Result<(), DecodeError> {
        for scope in dump
            .inline_scoped_route_configs
            .into_iter()
            .flat_map(|s| s.scoped_route_configs)
        {
            self.add(Stage::Static, "", Some(scope))?;
        }
        for scopes in dump.dynamic_scoped_route_configs {
            for scope in scopes.scoped_route_configs {
                self.add(Stage::Active, &scopes.version_info, Some(scope))?;
            }
        }
        Ok(())
    }

    fn endpoints(&mut self, dump: admin::EndpointsConfigDump) -> Result<(), DecodeError> {
        for e in dump.static_endpoint_configs {
            self.add(Stage::Static, "", e.endpoint_config)?;
        }
        for e in dump.dynamic_endpoint_configs {
            self.add(Stage::Active, &e.version_info, e.endpoint_config)?;
        }
        Ok(())
    }

    fn secrets(&mut self, dump: admin::SecretsConfigDump) -> Result<(), DecodeError> {
        for s in dump.static_secrets {
            self.add(Stage::Static, "", s.secret)?;
        }
        for s in dump.dynamic_active_secrets {
            self.add(Stage::Active, &s.version_info, s.secret)?;
        }
        for s in dump.dynamic_warming_secrets {
            self.add(Stage::Warming, &s.version_info, s.secret)?;
        }
        Ok(())
    }

    fn extensions(&mut self, dump: admin::EcdsConfigDump) -> Result<(), DecodeError> {
        for e in dump.ecds_filters {
            self.add(Stage::Active, &e.version_info, e.ecds_filter)?;
        }
        Ok(())
    }

    fn add(&mut self, stage: Stage, version: &str, any: Option<Any>) -> Result<(), DecodeError> {
        let Some(Any {
            type_url,
            value: bytes,
        }) = any
        else {
            return Ok(());
        };
        let Named { name } = Named::decode(bytes.as_slice())?;
        self.0.push(Resource {
            type_url,
            name,
            version: version.to_owned(),
            stage,
            bytes,
        });
        Ok(())
    }
}

/// The name of a resource of any type: all of them carry it in field 1.
#[derive(Clone, PartialEq, prost::Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

#[cfg(test)]
mod tests;
