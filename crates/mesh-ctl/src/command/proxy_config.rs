//! `meshctl proxy-config`.

mod all;
mod log;
mod rootca_compare;

use jiff::Timestamp;
use serde_json::Value;

use super::Open;
use crate::args::{EndpointFilter, Output, ProxyConfig, Source};
use crate::dump::endpoint::{ClusterLoadAssignment, ClusterStatus};
use crate::dump::{ConfigDump, Entry, Shape, cluster_statuses};
use crate::failure::Failure;
use crate::fetch;
use crate::view::{bootstrap, cluster, document, ecds, endpoint, listener, route, secret};

const CONFIG_DUMP: &str = "/config_dump";
const CONFIG_DUMP_WITH_ENDPOINTS: &str = "/config_dump?include_eds";
const CLUSTERS: &str = "/clusters?format=json";

/// How many unknown parts of a dump are named.
const NAMED: usize = 3;

pub(super) fn run(command: &ProxyConfig, mesh: Open<'_>) -> Result<String, Failure> {
    let resources = |source| Resources { source, mesh };
    match command {
        ProxyConfig::Listener {
            source,
            filter,
            style,
        } => {
            let entries = listener::select(resources(source).in_use()?, filter);
            Ok(print(&entries, style.output, || {
                listener::table(&entries, filter.verbose, false)
            }))
        }
        ProxyConfig::Route {
            source,
            filter,
            style,
        } => {
            let entries = route::select(resources(source).in_use()?, filter);
            Ok(print(&entries, style.output, || {
                route::table(&entries, filter.verbose, false)
            }))
        }
        ProxyConfig::Cluster {
            source,
            filter,
            style,
        } => {
            let entries = cluster::select(resources(source).in_use()?, filter);
            Ok(print(&entries, style.output, || {
                cluster::table(&entries, false)
            }))
        }
        ProxyConfig::Endpoint {
            source,
            filter,
            style,
        } => resources(source).endpoints(filter, style.output),
        ProxyConfig::Secret { source, style } => {
            let dump = read(&resources(source).text(CONFIG_DUMP)?)?;
            match style.output {
                Output::Short => Ok(secret::table(&dump.secrets()?, Timestamp::now(), false)),
                output => Ok(whole(&required(&dump, "SecretsConfigDump")?, output)),
            }
        }
        ProxyConfig::Ecds { source, style } => {
            let mut entries = resources(source).in_use()?;
            ecds::sort(&mut entries);
            Ok(print(&entries, style.output, || ecds::table(&entries)))
        }
        ProxyConfig::RootcaCompare { one, other, admin } => {
            rootca_compare::run([one, other], *admin, &mesh()?)
        }
        ProxyConfig::Bootstrap { source, output } => {
            let dump = read(&resources(source).text(CONFIG_DUMP)?)?;
            let section = required(&dump, "BootstrapConfigDump")?;
            Ok(match output {
                Output::Short => bootstrap::versions(&section),
                output => whole(&section, *output),
            })
        }
        ProxyConfig::All {
            source,
            filter,
            style,
        } => {
            let dump = read(&resources(source).text(CONFIG_DUMP_WITH_ENDPOINTS)?)?;
            all::print(&dump, filter, style.output)
        }
        ProxyConfig::Log {
            pods,
            levels,
            admin,
        } => log::run(pods, levels, *admin, &mesh()?),
        ProxyConfig::Eds {
            source,
            filter,
            style,
        } => {
            let dump = read(&resources(source).text(CONFIG_DUMP_WITH_ENDPOINTS)?)?;
            sent(&dump, filter, style.output)
        }
    }
}

/// Where the resources are.
struct Resources<'a> {
    source: &'a Source,
    mesh: Open<'a>,
}

impl Resources<'_> {
    /// The file, or what the proxy answers to `path`.
    fn text(&self, path: &str) -> Result<String, Failure> {
        match (&self.source.file, &self.source.pod) {
            (Some(file), _) => Ok(fetch::file(file)?),
            (None, Some(pod)) => {
                let proxy = (self.mesh)()?.proxy_at(pod, self.source.admin.proxy_admin_port)?;
                Ok(proxy.get(path)?)
            }
            (None, None) => Err(Failure::usage("a pod or --file is needed")),
        }
    }

    fn in_use<T: Shape>(&self) -> Result<Vec<Entry<T>>, Failure> {
        Ok(read(&self.text(CONFIG_DUMP)?)?.in_use()?)
    }

    /// From a proxy, or from a file of either answer that has endpoints.
    fn endpoints(&self, filter: &EndpointFilter, output: Output) -> Result<String, Failure> {
        let text = self.text(CLUSTERS)?;
        if is_config_dump(&text) {
            return sent(&read(&text)?, filter, output);
        }
        let entries: Vec<Entry<ClusterStatus>> = endpoint::select(cluster_statuses(&text)?, filter);
        Ok(print(&entries, output, || {
            endpoint::table(&entries, filter, false)
        }))
    }
}

fn is_config_dump(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|json| json.get("configs").is_some())
}

fn read(text: &str) -> Result<ConfigDump, Failure> {
    let dump = ConfigDump::read(text)?;
    let ignored = dump.ignored();
    let more = ignored.len().saturating_sub(NAMED);
    for place in ignored.take(NAMED) {
        eprintln!("warning: left out, because it is not known to this version: {place}");
    }
    if more > 0 {
        eprintln!("warning: and {more} more");
    }
    Ok(dump)
}

fn sent(dump: &ConfigDump, filter: &EndpointFilter, output: Output) -> Result<String, Failure> {
    let entries: Vec<Entry<ClusterLoadAssignment>> = endpoint::select_sent(dump.in_use()?, filter);
    Ok(print(&entries, output, || {
        endpoint::sent_table(&entries, filter, false)
    }))
}

/// A section that every proxy prints.
fn required(dump: &ConfigDump, message: &str) -> Result<Value, Failure> {
    let missing = || {
        Failure::bad_data(anyhow::Error::msg(format!(
            "the config dump has no {message}"
        )))
    };
    dump.section(message)?.ok_or_else(missing)
}

fn whole(value: &Value, output: Output) -> String {
    match output {
        Output::Yaml => document::yaml(value),
        Output::Json | Output::Short => document::json(value),
    }
}

fn print<T>(entries: &[Entry<T>], output: Output, table: impl Fn() -> String) -> String {
    match output {
        Output::Short => table(),
        output => whole(&list(entries), output),
    }
}

/// The whole resources.
fn list<T>(entries: &[Entry<T>]) -> Value {
    entries.iter().map(|entry| entry.json.clone()).collect()
}
