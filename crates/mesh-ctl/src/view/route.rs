//! The table of routes.

use mesh_model::name::PASSTHROUGH_CLUSTER;
use mesh_xds::json::Stage;

use crate::args::RouteFilter;
use crate::dump::Entry;
use crate::dump::route::{RouteConfiguration, VirtualHost};
use crate::view::columns::columns;

const PADDING: usize = 5;
/// How many domains of a virtual host are shown.
const DOMAINS: usize = 2;

/// Those that `filter` asks for: from the control plane before inline ones, names before numbers, names in the order of
/// the dump, numbers by value.
pub(crate) fn select(
    entries: Vec<Entry<RouteConfiguration>>,
    filter: &RouteFilter,
) -> Vec<Entry<RouteConfiguration>> {
    let mut entries = entries;
    let wanted = |name: &String| filter.name.as_ref().is_none_or(|wanted| wanted == name);
    entries.retain(|entry| wanted(&entry.shape.name));
    entries.sort_by_key(|Entry { shape, stage, .. }| {
        (*stage == Stage::Static, shape.name.parse::<u64>().ok())
    });
    entries
}

/// The table; `named` writes `route/` before names.
pub(crate) fn table(entries: &[Entry<RouteConfiguration>], verbose: bool, named: bool) -> String {
    let prefix = if named { "route/" } else { "" };
    let header: &[&str] = match verbose {
        true => &["NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"],
        false => &["NAME", "VIRTUAL HOSTS"],
    };
    let mut rows = vec![header.iter().map(ToString::to_string).collect()];
    for Entry { shape, .. } in entries {
        let name = format!("{prefix}{}", shape.name);
        if verbose {
            rows.extend(
                shape
                    .virtual_hosts
                    .iter()
                    .flat_map(|host| host_rows(&name, host)),
            );
        } else {
            rows.push(vec![name, shape.virtual_hosts.len().to_string()]);
        }
    }
    columns(&rows, PADDING)
}

fn host_rows(name: &str, host: &VirtualHost) -> Vec<Vec<String>> {
    let row = |matches: String, object: String| {
        vec![
            name.to_owned(),
            host.name.clone(),
            domains(&host.domains),
            matches,
            object,
        ]
    };
    if host.routes.is_empty() {
        return vec![row("/*".to_owned(), "404".to_owned())];
    }
    let routes = host
        .routes
        .iter()
        .filter(|route| route.cluster() != Some(PASSTHROUGH_CLUSTER));
    routes
        .map(|route| row(route.matches.describe(), route.metadata.object()))
        .collect()
}

/// The shortest forms of the domains, without those that only add a port.
fn domains(domains: &[String]) -> String {
    if let [domain] = domains {
        return domain.clone();
    }
    let shown: Vec<_> = domains
        .iter()
        .filter(|domain| !has_port(domain) && !has_shorter_form(domain, domains))
        .map(String::as_str)
        .collect();
    match shown.get(DOMAINS..) {
        Some(more) if !more.is_empty() => {
            format!("{} + {} more...", shown[..DOMAINS].join(", "), more.len())
        }
        _ => shown.join(", "),
    }
}

/// A bare IPv6 address ends with its bracket, and its colons are no port.
fn has_port(domain: &str) -> bool {
    domain.contains(':') && !domain.ends_with(']')
}

fn has_shorter_form(domain: &str, domains: &[String]) -> bool {
    // `host.` is `host`, said to a resolver.
    if let Some(same) = domain.strip_suffix('.') {
        return domains.iter().any(|other| other == same);
    }
    let shorter = [".svc.cluster.local", ".svc"]
        .iter()
        .filter_map(|end| domain.strip_suffix(end));
    shorter
        .into_iter()
        .any(|shorter| domains.iter().any(|other| other == shorter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_shortened() {
        for (list, shown) in [
            (&[][..], ""),
            (
                &["a.test.svc.cluster.local:80"],
                "a.test.svc.cluster.local:80",
            ),
            (
                &["a.test.svc.cluster.local", "a.test.svc"],
                "a.test.svc.cluster.local, a.test.svc",
            ),
            (
                &[
                    "a.test.svc.cluster.local",
                    "a.test.svc.cluster.local.",
                    "a.test.svc.cluster.local:80",
                    "a",
                    "a.test.svc",
                    "a.test",
                    "10.0.0.1",
                ],
                "a, a.test + 1 more...",
            ),
            (&["[fd00::1]", "[fd00::1]:80", "x"], "[fd00::1], x"),
        ] {
            let list: Vec<_> = list.iter().map(ToString::to_string).collect();
            assert_eq!(domains(&list), shown, "{list:?}");
        }
    }

    #[test]
    fn names_stay_in_order_and_come_before_numbers() {
        let entry = |name: &str, stage| Entry {
            shape: RouteConfiguration {
                name: name.into(),
                ..Default::default()
            },
            json: serde_json::Value::Null,
            stage,
        };
        let names = [
            ("443", Stage::Active),
            ("b:80", Stage::Active),
            ("80", Stage::Active),
            ("a:80", Stage::Active),
            ("inbound|80||", Stage::Static),
        ];
        let entries = names.map(|(name, stage)| entry(name, stage)).into();
        let sorted: Vec<_> = select(entries, &RouteFilter::default())
            .into_iter()
            .map(|entry| entry.shape.name)
            .collect();
        assert_eq!(sorted, ["b:80", "a:80", "80", "443", "inbound|80||"]);
    }
}
