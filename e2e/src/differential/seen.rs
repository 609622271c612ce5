//! What was seen of a case, as names and values: two of them are compared name by name.

use super::{client::Answered, server::Servers};
use anyhow::{Context, Result};
use http::{HeaderMap, response::Parts};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Headers whose values say when, or how long.
const OF_THE_MOMENT: [&str; 4] = [
    "date",
    "x-envoy-upstream-service-time",
    "x-request-id",
    "x-envoy-expected-rq-timeout-ms",
];

/// All that was seen.
#[derive(Debug)]
pub(super) struct Seen {
    facts: BTreeMap<String, String>,
    /// What stands for the addresses of this run.
    addresses: Vec<(String, String)>,
}

/// A name whose values differ.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) field: String,
    theirs: Option<String>,
    ours: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &Option<String>| match value {
            Some(value) => format!("`{value}`"),
            None => "nothing".to_owned(),
        };
        write!(
            f,
            "{}: Envoy {}, ours {}",
            self.field,
            value(&self.theirs),
            value(&self.ours)
        )
    }
}

impl Seen {
    pub(super) fn new(servers: &Servers) -> Self {
        let addresses = servers
            .named()
            .map(|(name, server)| (server.address.to_string(), name));
        Self {
            facts: BTreeMap::new(),
            addresses: addresses.collect(),
        }
    }

    /// Notes a fact.
    pub(super) fn note(&mut self, name: &str, value: impl Into<String>) {
        let mut value = value.into();
        for (address, name) in &self.addresses {
            value = value.replace(address, name);
        }
        self.facts.insert(name.to_owned(), value);
    }

    /// From now on, and in what was noted.
    pub(super) fn hide(&mut self, text: &str, name: &str) {
        for value in self.facts.values_mut() {
            *value = value.replace(text, name);
        }
    }

    /// An answer.
    pub(super) fn answer(&mut self, name: &str, head: &Parts, body: &Answered) {
        self.note(&format!("{name}.status"), head.status.as_str());
        self.headers(&format!("{name}.header"), &head.headers);
        self.note(&format!("{name}.body"), String::from_utf8_lossy(&body.body));
        if let Some(trailers) = &body.trailers {
            self.headers(&format!("{name}.trailer"), trailers);
        }
        if body.broken {
            self.note(&format!("{name}.broken"), "the body breaks off");
        }
    }

    fn headers(&mut self, name: &str, headers: &HeaderMap) {
        for key in headers.keys() {
            let values = headers.get_all(key).iter();
            let values: Vec<_> = values
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            self.header(name, key.as_str(), &values.join(" | "));
        }
    }

    fn header(&mut self, name: &str, key: &str, value: &str) {
        let value = match OF_THE_MOMENT.contains(&key.to_ascii_lowercase().as_str()) {
            true => "*",
            false => value,
        };
        self.note(&format!("{name}.{key}"), value);
    }

    /// An answer as bytes: its first line, its headers, and the rest.
    pub(super) fn raw(&mut self, name: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, rest) = text.split_once("\r\n\r\n").unwrap_or(("", &text));
        let mut lines = head.split("\r\n");
        self.note(&format!("{name}.line"), lines.next().unwrap_or_default());
        for line in lines {
            let (key, value) = line.split_once(": ").unwrap_or((line, ""));
            self.header(&format!("{name}.header"), key, value);
        }
        self.note(&format!("{name}.rest"), rest);
    }

    /// What servers were asked.
    pub(super) fn servers(&mut self, servers: &Servers) {
        let mut facts = Vec::new();
        for (name, server) in servers.named() {
            let heard = server.heard();
            facts.push((format!("server.{name}.requests"), heard.len().to_string()));
            for (number, heard) in heard.into_iter().enumerate() {
                let of = format!("server.{name}.{number}");
                facts.push((format!("{of}.line"), heard.line));
                let body = String::from_utf8_lossy(&heard.body).into_owned();
                facts.push((format!("{of}.body"), body));
                let mut headers = BTreeMap::<_, Vec<_>>::new();
                for (key, value) in heard.headers {
                    headers.entry(key).or_default().push(value);
                }
                for (key, values) in headers {
                    let moment = OF_THE_MOMENT.contains(&key.to_ascii_lowercase().as_str());
                    let value = match moment {
                        true => "*".to_owned(),
                        false => values.join(" | "),
                    };
                    facts.push((format!("{of}.header.{key}"), value));
                }
            }
        }
        for (name, value) in facts {
            self.note(&name, value);
        }
    }

    /// Lines of the access log.
    pub(super) fn log(&mut self, lines: &[String]) -> Result<()> {
        self.note("log.lines", lines.len().to_string());
        for (number, line) in lines.iter().enumerate() {
            let line: BTreeMap<String, Value> =
                serde_json::from_str(line).with_context(|| format!("log line {line}"))?;
            for (key, value) in line {
                let value = match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                self.note(&format!("log.{number}.{key}"), value);
            }
        }
        Ok(())
    }

    /// Where `ours` is not as we.
    pub(super) fn differences(&self, ours: &Self) -> Vec<Difference> {
        let names: BTreeSet<_> = self.facts.keys().chain(ours.facts.keys()).collect();
        let pairs = names
            .into_iter()
            .map(|name| (name, self.facts.get(name), ours.facts.get(name)));
        pairs
            .filter(|(_, theirs, ours)| theirs != ours)
            .map(|(name, theirs, ours)| Difference {
                field: name.clone(),
                theirs: theirs.cloned(),
                ours: ours.cloned(),
            })
            .collect()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.facts {
            writeln!(f, "    {name}: {value}")?;
        }
        Ok(())
    }
}
