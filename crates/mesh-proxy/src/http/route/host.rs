//! Finds the virtual host for a host name: exact, then the longest `*.suffix`, then the longest `prefix.*`, then `*`.

use std::{borrow::Cow, collections::HashMap};

/// The domains of a table, indexed.
#[derive(Debug, Default)]
pub(super) struct HostIndex {
    exact: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
    // Without the asterisk, longest first.
    suffixes: Vec<(Box<str>, u32)>,
    prefixes: Vec<(Box<str>, u32)>,
    any: Option<u32>,
    ignore_port: bool,
}

impl HostIndex {
    /// Indexes `domains`, each with the number of its virtual host. Of equal domains the first counts.
    pub(super) fn new<'a>(
        domains: impl Iterator<Item = (&'a str, u32)>,
        ignore_port: bool,
    ) -> Self {
        let mut index = Self {
            ignore_port,
            ..Self::default()
        };
        for (domain, host) in domains {
            index.add(domain, host);
        }
        let longest_first = |list: &mut Vec<(Box<str>, u32)>| {
            list.sort_by_key(|(part, _)| std::cmp::Reverse(part.len()));
        };
        longest_first(&mut index.suffixes);
        longest_first(&mut index.prefixes);
        index
    }

    fn add(&mut self, domain: &str, host: u32) {
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        let domain = domain.to_ascii_lowercase();
        if domain == "*" {
            self.any.get_or_insert(host);
        } else if let Some(suffix) = domain.strip_prefix('*') {
            self.suffixes.push((suffix.into(), host));
        } else if let Some(prefix) = domain.strip_suffix('*') {
            self.prefixes.push((prefix.into(), host));
        } else {
            self.exact.entry(domain.into()).or_insert(host);
        }
    }

    /// The virtual host for `host`, which is as the client sent it.
    pub(super) fn find(&self, host: &str) -> Option<u32> {
        if self.exact.is_empty() && self.suffixes.is_empty() && self.prefixes.is_empty() {
            return self.any;
        }
        let host = lower(if self.ignore_port {
            without_port(host)
        } else {
            host
        });
        // A name with its root dot is the same name.
        self.find_name(host.strip_suffix('.').unwrap_or(&host))
            .or(self.any)
    }

    fn find_name(&self, host: &str) -> Option<u32> {
        // An asterisk stands for at least one letter.
        let longer = |part: &str| host.len() > part.len();
        let suffix = |(part, _): &&(Box<str>, u32)| longer(part) && host.ends_with(&**part);
        let prefix = |(part, _): &&(Box<str>, u32)| longer(part) && host.starts_with(&**part);
        self.exact
            .get(host)
            .copied()
            .or_else(|| self.suffixes.iter().find(suffix).map(|(_, host)| *host))
            .or_else(|| self.prefixes.iter().find(prefix).map(|(_, host)| *host))
    }
}

fn lower(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// `host` without its port. Colons inside the brackets of an IPv6 address are not ports.
pub(crate) fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => {
            let bare_v6 = !host.starts_with('[') && host[..colon].contains(':');
            if bare_v6 { host } else { &host[..colon] }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAINS: [&str; 9] = [
        "nginx.test",
        "10.0.0.1",
        "*.test",
        "*.nginx.test",
        "nginx.*",
        "nginx.deep.*",
        "*",
        "UPPER.test",
        "[::1]",
    ];

    fn find(ignore_port: bool, host: &str) -> Option<&'static str> {
        let domains = DOMAINS.iter().copied().zip(0..);
        let index = HostIndex::new(domains, ignore_port);
        index.find(host).map(|i| DOMAINS[i as usize])
    }

    #[test]
    fn the_most_specific_domain_wins() {
        for (host, want) in [
            ("nginx.test", "nginx.test"),
            ("NGINX.Test", "nginx.test"),
            ("upper.test", "UPPER.test"),
            ("nginx.test:80", "nginx.test"),
            ("nginx.test.", "nginx.test"),
            ("nginx.test.:80", "nginx.test"),
            ("10.0.0.1:8080", "10.0.0.1"),
            ("a.nginx.test", "*.nginx.test"),
            ("a.test", "*.test"),
            (".test", "*"),
            ("nginx.example", "nginx.*"),
            ("nginx.deep.example", "nginx.deep.*"),
            ("nginx.", "*"),
            ("elsewhere", "*"),
            ("", "*"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(find(true, host), Some(want), "{host}");
        }
    }

    #[test]
    fn a_port_counts_unless_it_is_ignored() {
        assert_eq!(find(false, "nginx.test:80"), Some("nginx.*"));
        assert_eq!(find(false, "nginx.test"), Some("nginx.test"));
    }

    #[test]
    fn ports_are_told_from_addresses() {
        for (host, want) in [
            ("a:80", "a"),
            ("a", "a"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("::1", "::1"),
            ("a:", "a"),
        ] {
            assert_eq!(without_port(host), want, "{host}");
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert_eq!(HostIndex::new([].into_iter(), true).find("a"), None);
        let one = HostIndex::new([("a", 0)].into_iter(), true);
        assert_eq!(one.find("b"), None);
    }
}
