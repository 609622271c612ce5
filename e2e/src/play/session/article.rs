//! What the article prints, with its addresses replaced by those of here.

use anyhow::{Result, ensure};
use serde_json::Value;

/// Which pod's proxy is asked.
pub(super) enum Pod {
    Client,
    Server,
}

/// One command, and what it prints.
pub(super) struct Step {
    pub(super) pod: Pod,
    /// What follows `proxy-config`; `POD` is the pod's name.
    pub(super) arguments: &'static str,
    pub(super) prints: &'static str,
}

macro_rules! printed {
    ($name:literal) => {
        include_str!(concat!("../../../tests/article/", $name))
    };
}

/// The steps, in their order.
pub(super) const STEPS: &[Step] = &[
    Step {
        pod: Pod::Client,
        arguments: "listener POD --port 15001",
        prints: printed!("listener-15001.txt"),
    },
    Step {
        pod: Pod::Client,
        arguments: "listener POD --port 80 --address 10.102.168.134",
        prints: printed!("listener-vip-80.txt"),
    },
    Step {
        pod: Pod::Client,
        arguments: "route POD --name nginx.test.svc.cluster.local:80 -oyaml",
        prints: printed!("route-vip.yaml"),
    },
    Step {
        pod: Pod::Client,
        arguments: "cluster POD --fqdn \"outbound|80||nginx.test.svc.cluster.local\" -oyaml",
        prints: printed!("cluster.yaml"),
    },
    Step {
        pod: Pod::Client,
        arguments: "endpoint POD --cluster  \"outbound|80||nginx.test.svc.cluster.local\" -oyaml",
        prints: printed!("endpoint.yaml"),
    },
    Step {
        pod: Pod::Server,
        arguments: "listener POD --port 15006",
        prints: printed!("listener-15006.txt"),
    },
    Step {
        pod: Pod::Server,
        arguments: "listener POD --port 80 --address 0.0.0.0",
        prints: printed!("listener-wildcard-80.txt"),
    },
    Step {
        pod: Pod::Server,
        arguments: "route POD  --name \"inbound|80||\" -oyaml",
        prints: printed!("route-inbound.yaml"),
    },
];

/// The rules in a pod, without counters.
pub(super) const RULES: &str = printed!("iptables.txt");

/// How the proxy's arguments begin.
pub(super) const PROXY_ARGUMENTS: &[&str] = &[
    "proxy",
    "sidecar",
    "--domain",
    "$(POD_NAMESPACE).svc.cluster.local",
    "--proxyLogLevel=warning",
    "--proxyComponentLogLevel=misc:error",
    "--log_output_level=default:info",
];

/// The arguments of `istio-init`, after its command.
pub(super) const INIT_ARGUMENTS: &[&str] =
    &include!("../../../../crates/mesh-init/tests/article/arguments.in");

/// Whether a container's arguments begin with these.
pub(super) fn has_arguments(container: &Value, want: &[&str]) -> Result<()> {
    let seen = container["args"].as_array().map_or(&[][..], Vec::as_slice);
    ensure!(
        seen.len() >= want.len() && seen.iter().zip(want).all(|(seen, want)| seen == want),
        "the arguments of {} are {seen:?}",
        container["name"]
    );
    Ok(())
}

/// Whether the two lines of the article are among these, cell by cell: widths follow from what else the table holds.
pub(super) fn has_routes(table: &str) -> Result<()> {
    const NAME: &str = "nginx.test.svc.cluster.local:80";
    let rows: Vec<Vec<_>> = table
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|c| !c.is_empty())
                .collect()
        })
        .collect();
    for want in [
        [NAME, NAME, "*", "/*"],
        ["80", NAME, "nginx, nginx.test + 1 more...", "/*"],
    ] {
        ensure!(
            rows.iter().any(|row| *row == want),
            "no {want:?} in\n{table}"
        );
    }
    Ok(())
}

/// The two addresses of the session.
pub(super) struct Addresses {
    pub(super) service: String,
    pub(super) endpoint: String,
}

impl Addresses {
    /// A command with these addresses.
    pub(super) fn typed(&self, text: &str) -> String {
        text.replace("10.102.168.134", &self.service)
            .replace("10.244.0.73", &self.endpoint)
    }

    /// What is printed with these addresses: the first column of a table is as wide as what is in it.
    pub(super) fn printed(&self, text: &str) -> String {
        let Some(width) = text
            .starts_with("ADDRESSES ")
            .then(|| text.find("PORT"))
            .flatten()
        else {
            return self.typed(text);
        };
        let cells = text.lines().map(|line| line.split_at(width));
        let rows: Vec<_> = cells
            .map(|(first, rest)| (self.typed(first.trim_end()), rest))
            .collect();
        let width = rows.iter().map(|(first, _)| first.len()).max().unwrap_or(0) + 1;
        rows.iter()
            .map(|(first, rest)| format!("{first:width$}{rest}\n"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tables_first_column_follows_the_address() {
        let addresses = Addresses {
            service: "10.96.0.7".into(),
            endpoint: "10.244.0.9".into(),
        };
        let table = "ADDRESSES      PORT MATCH\n10.102.168.134 80   ALL\n";
        assert_eq!(
            addresses.printed(table),
            "ADDRESSES PORT MATCH\n10.96.0.7 80   ALL\n"
        );
        assert_eq!(
            addresses.printed("- address: 10.244.0.73\n"),
            "- address: 10.244.0.9\n"
        );
    }
}
