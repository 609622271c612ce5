//! The tables of how far each proxy is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::view::age;
use crate::view::columns::columns;

const PADDING: usize = 5;
/// The types that come first, and their keys in Istio's own list.
const TYPES: [(&str, &str); 4] = [
    ("CDS", "cluster"),
    ("LDS", "listener"),
    ("EDS", "endpoint"),
    ("RDS", "route"),
];

/// One entry of `/debug/syncz`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProxyStatus {
    /// `<pod>.<namespace>`.
    pub(crate) proxy: String,
    /// Version of the proxy.
    pub(crate) istio_version: String,
    cluster_id: String,
    istiod: String,
    types: BTreeMap<String, TypeStatus>,
    #[serde(flatten)]
    nonces: BTreeMap<String, Value>,
}

/// How far a proxy is with one type.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TypeStatus {
    state: String,
    sent_at: Option<Timestamp>,
    acked_at: Option<Timestamp>,
    error_at: Option<Timestamp>,
}

impl ProxyStatus {
    /// The types that it is subscribed to: as the control plane says, or else by the nonces of Istio's own list.
    fn subscribed(&self) -> BTreeMap<String, TypeStatus> {
        if !self.types.is_empty() {
            return self.types.clone();
        }
        let types = TYPES.iter().filter_map(|(name, key)| {
            let nonce = |end: &str| self.nonces.get(&format!("{key}_{end}"))?.as_str();
            let state = match (nonce("sent")?, nonce("acked").unwrap_or_default()) {
                ("", _) => return None,
                (sent, acked) if sent == acked => "SYNCED",
                _ => "STALE",
            };
            let status = TypeStatus {
                state: state.to_owned(),
                ..Default::default()
            };
            Some(((*name).to_owned(), status))
        });
        types.collect()
    }
}

impl TypeStatus {
    /// State and age.
    fn describe(&self, now: Timestamp) -> String {
        let since = match self.state.as_str() {
            "SYNCED" => self.acked_at.or(self.sent_at),
            "ERROR" => self.error_at,
            _ => self.sent_at,
        };
        match since {
            Some(since) => {
                let seconds = now.as_second().saturating_sub(since.as_second());
                format!(
                    "{} ({})",
                    self.state,
                    age::human(seconds.try_into().unwrap_or(0))
                )
            }
            None => self.state.clone(),
        }
    }
}

/// The table, by name of the proxies.
pub(crate) fn table(statuses: Vec<ProxyStatus>, verbosity: u8, now: Timestamp) -> String {
    let mut statuses: Vec<_> = statuses.into_iter().map(|s| (s.subscribed(), s)).collect();
    statuses.sort_by(|(_, a), (_, b)| a.proxy.cmp(&b.proxy));
    let rows = match verbosity {
        0 => brief(&statuses),
        _ => full(&statuses, now),
    };
    columns(&rows, PADDING)
}

/// A proxy with the types that it is subscribed to.
type Row = (BTreeMap<String, TypeStatus>, ProxyStatus);

fn brief(statuses: &[Row]) -> Vec<Vec<String>> {
    let header = ["NAME", "CLUSTER", "ISTIOD", "VERSION", "SUBSCRIBED TYPES"];
    let mut rows = vec![header.map(str::to_owned).into()];
    rows.extend(statuses.iter().map(|(types, status)| {
        let names = in_order(types.keys());
        let types = format!("{} ({})", names.len(), names.join(","));
        [
            &status.proxy,
            &status.cluster_id,
            &status.istiod,
            &status.istio_version,
        ]
        .into_iter()
        .cloned()
        .chain([types])
        .collect()
    }));
    rows
}

fn full(statuses: &[Row], now: Timestamp) -> Vec<Vec<String>> {
    let names = in_order(statuses.iter().flat_map(|(types, _)| types.keys()));
    let columns = ["NAME", "CLUSTER"].into_iter().chain(names.iter().copied());
    let header = columns
        .chain(["ISTIOD", "VERSION"])
        .map(str::to_owned)
        .collect();
    let mut rows = vec![header];
    rows.extend(statuses.iter().map(|(types, status)| {
        let cell = |name: &&str| {
            types
                .get(*name)
                .map_or_else(|| "IGNORED".to_owned(), |status| status.describe(now))
        };
        let mut row = vec![status.proxy.clone(), status.cluster_id.clone()];
        row.extend(names.iter().map(cell));
        row.extend([status.istiod.clone(), status.istio_version.clone()]);
        row
    }));
    rows
}

/// Each type once: the four of every proxy first, then the others by name.
fn in_order<'a>(types: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let place = |name: &str| {
        TYPES
            .iter()
            .position(|(first, _)| *first == name)
            .unwrap_or(TYPES.len())
    };
    let mut names: Vec<_> = types.map(String::as_str).collect();
    names.sort_by_key(|name| (place(name), *name));
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
