//! `meshctl proxy-config all`: every table, or every resource.

use jiff::Timestamp;
use serde_json::json;

use crate::args::{AllFilter, Output};
use crate::dump::{ConfigDump, Entry};
use crate::failure::Failure;
use crate::view::{bootstrap, cluster, endpoint, listener, route, secret};

use super::{list, whole};

/// All of a dump that `filter` asks for. Resources are one object with a list for each kind.
pub(super) fn print(
    dump: &ConfigDump,
    filter: &AllFilter,
    output: Output,
) -> Result<String, Failure> {
    let clusters = cluster::select(dump.in_use()?, &filter.cluster());
    let listeners = listener::select(dump.in_use()?, &filter.listener());
    let routes = route::select(dump.in_use()?, &filter.route());
    let wanted = filter.endpoint();
    let endpoints: Vec<Entry<_>> = endpoint::select_sent(dump.in_use()?, &wanted);
    let boot = dump.section("BootstrapConfigDump")?.unwrap_or_default();
    if output != Output::Short {
        let secrets = dump.section("SecretsConfigDump")?.unwrap_or_default();
        let all = json!({
            "bootstrap": boot["bootstrap"],
            "clusters": list(&clusters),
            "listeners": list(&listeners),
            "routes": list(&routes),
            "secrets": secrets,
            "endpoints": list(&endpoints),
        });
        return Ok(whole(&all, output));
    }
    let tables = [
        ("BOOTSTRAP", bootstrap::versions(&boot)),
        ("CLUSTER", cluster::table(&clusters, true)),
        (
            "LISTENER",
            listener::table(&listeners, filter.listener().verbose, true),
        ),
        ("ROUTE", route::table(&routes, filter.route().verbose, true)),
        (
            "SECRET",
            secret::table(&dump.secrets()?, Timestamp::now(), true),
        ),
        ("ENDPOINTS", endpoint::sent_table(&endpoints, &wanted, true)),
    ];
    let titled = tables.map(|(title, table)| match filter.with_headers {
        true => format!("------ {title} INFO ------\n\n{table}"),
        false => table,
    });
    Ok(titled.join("\n"))
}
