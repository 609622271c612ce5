//! `meshctl proxy-status`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::Open;
use crate::args::{ProxyStatus, StatusOutput};
use crate::dump::cluster::Cluster;
use crate::dump::listener::Listener;
use crate::dump::route::RouteConfiguration;
use crate::dump::{ConfigDump, Shape};
use crate::failure::Failure;
use crate::fetch::{self, Mesh, Proxy};
use crate::view::{diff, document, status};

/// How far each proxy is.
pub(super) const SYNCZ: &str = "/debug/syncz";

pub(super) fn run(args: &ProxyStatus, mesh: Open<'_>) -> Result<String, Failure> {
    match &args.pod {
        Some(pod) => compare(args, &mesh()?.proxy_at(pod, args.admin.proxy_admin_port)?),
        None => list(args, &mesh()?),
    }
}

fn list(args: &ProxyStatus, mesh: &Mesh) -> Result<String, Failure> {
    let answers = mesh.ask_discoveries(|_| true, |plane| plane.get(SYNCZ))?;
    let answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer).collect();
    match args.output {
        StatusOutput::Table => {
            let mut statuses = Vec::new();
            for answer in &answers {
                statuses.extend(read_statuses(answer)?);
            }
            Ok(status::table(statuses, args.verbosity, Timestamp::now()))
        }
        StatusOutput::Json => Ok(document::json(&joined(&answers)?)),
        StatusOutput::Yaml => Ok(document::yaml(&joined(&answers)?)),
    }
}

/// Reads the answer to `/debug/syncz`.
pub(super) fn read_statuses(answer: &str) -> Result<Vec<status::ProxyStatus>, Failure> {
    let statuses = serde_json::from_str::<Option<Vec<_>>>(answer).map_err(not_syncz)?;
    Ok(statuses.unwrap_or_default())
}

fn joined(answers: &[String]) -> Result<Value, Failure> {
    let mut all = Vec::new();
    for answer in answers {
        let list = serde_json::from_str::<Option<Vec<Value>>>(answer).map_err(not_syncz)?;
        all.extend(list.unwrap_or_default());
    }
    Ok(Value::Array(all))
}

fn not_syncz(error: serde_json::Error) -> Failure {
    Failure::bad_data(anyhow::Error::new(error).context(format!(
        "the control plane's answer to {SYNCZ} is not understood"
    )))
}

/// What the control plane has for a proxy beside what the proxy has.
fn compare(args: &ProxyStatus, proxy: &Proxy) -> Result<String, Failure> {
    let sent = proxy.sent(&format!("/debug/config_dump?proxyID={}", proxy.name))?;
    let sent = ConfigDump::read(&sent)?;
    let has = match &args.file {
        Some(file) => fetch::file(file)?,
        None => proxy.get("/config_dump")?,
    };
    let has = ConfigDump::read(&has)?;
    let mut text = verdict::<Cluster>("Clusters", &sent, &has, "")?;
    text += &verdict::<Listener>("Listeners", &sent, &has, "")?;
    text += &verdict::<RouteConfiguration>("Routes", &sent, &has, &last_loaded(&has)?)?;
    Ok(text)
}

/// Every difference of one kind of resource, then whether there was any.
fn verdict<T: Shape>(
    kind: &str,
    sent: &ConfigDump,
    has: &ConfigDump,
    note: &str,
) -> Result<String, Failure> {
    let (sent, has) = (by_name::<T>(sent)?, by_name::<T>(has)?);
    let names: std::collections::BTreeSet<_> = sent.keys().chain(has.keys()).collect();
    let mut text = String::new();
    for name in names {
        let side =
            |resources: &BTreeMap<String, String>| resources.get(name).cloned().unwrap_or_default();
        let (old, new) = (
            format!("Control plane {kind} {name}"),
            format!("Proxy {kind} {name}"),
        );
        text += &diff::unified((&old, &side(&sent)), (&new, &side(&has)));
    }
    let verdict = if text.is_empty() {
        "Match"
    } else {
        "Don't Match"
    };
    Ok(format!("{text}{kind} {verdict}{note}\n"))
}

/// The resources that a control plane sent, by name, as text.
fn by_name<T: Shape>(dump: &ConfigDump) -> Result<BTreeMap<String, String>, Failure> {
    let entries = dump
        .in_use::<T>()?
        .into_iter()
        .filter(|entry| !entry.is_static());
    let named = entries.map(|entry| {
        let name = entry.json["name"].as_str().unwrap_or_default().to_owned();
        (name, document::json(&entry.json))
    });
    Ok(named.collect())
}

/// When the proxy last got a route, if it says so.
fn last_loaded(dump: &ConfigDump) -> Result<String, Failure> {
    let section = dump.section("RoutesConfigDump")?.unwrap_or_default();
    let routes = section["dynamicRouteConfigs"]
        .as_array()
        .into_iter()
        .flatten();
    let times = routes.filter_map(|route| route["lastUpdated"].as_str()?.parse::<Timestamp>().ok());
    Ok(times.max().map_or_else(String::new, |time| {
        format!(
            " (RDS last loaded at {})",
            time.strftime("%a, %d %b %Y %H:%M:%S UTC")
        )
    }))
}
