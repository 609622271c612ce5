//! The table of clusters.

use crate::args::ClusterFilter;
use crate::dump::Entry;
use crate::dump::cluster::Cluster;
use crate::view::columns::columns;

const PADDING: usize = 5;
const HEADER: [&str; 6] = [
    "SERVICE FQDN",
    "PORT",
    "SUBSET",
    "DIRECTION",
    "TYPE",
    "DESTINATION RULE",
];

/// The parts of a cluster's name, for order and display: any four, because other control planes know more directions
/// than ours.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Parts<'a> {
    host: &'a str,
    subset: &'a str,
    port: u32,
    direction: &'a str,
}

impl<'a> Parts<'a> {
    /// A name of another form is a host.
    pub(crate) fn of(name: &'a str) -> Self {
        Self::split(name).unwrap_or(Self {
            host: name,
            subset: "",
            port: 0,
            direction: "",
        })
    }

    fn split(name: &'a str) -> Option<Self> {
        let mut parts = name.split('|');
        let direction = parts.next()?;
        let port = parts.next()?.parse().ok()?;
        let (subset, host) = (parts.next()?, parts.next()?);
        let parts = parts.next().is_none();
        parts.then_some(Self {
            host,
            subset,
            port,
            direction,
        })
    }
}

/// Those that `filter` asks for, by host, subset, port and direction.
pub(crate) fn select(entries: Vec<Entry<Cluster>>, filter: &ClusterFilter) -> Vec<Entry<Cluster>> {
    let mut entries = entries;
    entries.retain(|entry| takes(filter, &entry.shape.name));
    entries.sort_by(|a, b| Parts::of(&a.shape.name).cmp(&Parts::of(&b.shape.name)));
    entries
}

fn takes(filter: &ClusterFilter, name: &str) -> bool {
    let texts = [&filter.fqdn, &filter.direction, &filter.subset];
    texts
        .into_iter()
        .flatten()
        .all(|text| name.contains(text.as_str()))
        && filter
            .port
            .is_none_or(|port| name.contains(&format!("|{port}|")))
}

/// The table; `named` puts the whole name of each cluster before its row.
pub(crate) fn table(entries: &[Entry<Cluster>], named: bool) -> String {
    let name = named.then(|| "NAME".to_owned());
    let header = name.into_iter().chain(HEADER.map(str::to_owned)).collect();
    let rows = entries.iter().map(|entry| row(&entry.shape, named));
    columns(
        &std::iter::once(header).chain(rows).collect::<Vec<_>>(),
        PADDING,
    )
}

fn row(cluster: &Cluster, named: bool) -> Vec<String> {
    let full = format!("{}{}", if named { "cluster/" } else { "" }, cluster.name);
    let parts = match Parts::split(&cluster.name) {
        Some(parts) => {
            let subset = if parts.subset.is_empty() {
                "-"
            } else {
                parts.subset
            };
            [parts.host, &parts.port.to_string(), subset, parts.direction].map(str::to_owned)
        }
        None => [&full, "-", "-", "-"].map(str::to_owned),
    };
    let rest = [cluster.discovery().to_owned(), cluster.metadata.object()];
    let name = named.then(|| full.clone());
    name.into_iter().chain(parts).chain(rest).collect()
}
