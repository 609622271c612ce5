//! Cases, as they are written.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

/// What is configured, served and asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// Its name, in one of a kind.
    pub(super) name: String,
    /// Routes of a virtual host for every domain.
    #[serde(default)]
    pub(super) routes: Vec<Value>,
    /// Instead: all virtual hosts.
    #[serde(default)]
    pub(super) virtual_hosts: Vec<Value>,
    /// Further fields of the route configuration.
    #[serde(default)]
    pub(super) route_config: Map<String, Value>,
    /// Further fields of the connection manager.
    #[serde(default)]
    pub(super) manager: Map<String, Value>,
    /// HTTP filters before the router.
    #[serde(default)]
    pub(super) filters: Vec<Value>,
    /// Further fields of each cluster, by name.
    #[serde(default)]
    pub(super) clusters: BTreeMap<String, Map<String, Value>>,
    /// Servers of each cluster. Without: one cluster `one`, of one server that answers `ok`.
    #[serde(default = "one_server")]
    pub(super) servers: BTreeMap<String, Vec<Script>>,
    /// What is asked, one after the other.
    pub(super) requests: Vec<Request>,
}

fn one_server() -> BTreeMap<String, Vec<Script>> {
    [("one".to_owned(), vec![Script::default()])].into()
}

/// What a server does with each request; the last answer is given again and again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    /// Nobody listens at its address.
    #[serde(default)]
    pub(super) refuses: bool,
    #[serde(default = "ok")]
    pub(super) answers: Vec<Answer>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            refuses: false,
            answers: ok(),
        }
    }
}

fn ok() -> Vec<Answer> {
    vec![Answer::default()]
}

/// One answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
    /// Before the answer.
    pub(super) delay_ms: u64,
    /// Bytes instead of all that.
    pub(super) raw: Option<String>,
    /// What happens to the connection afterwards.
    pub(super) then: Then,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            headers: BTreeMap::new(),
            body: "ok".to_owned(),
            delay_ms: 0,
            raw: None,
            then: Then::Keep,
        }
    }
}

impl Answer {
    /// Its bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.as_bytes().to_vec();
        }
        let mut head = format!("HTTP/1.1 {} Status\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let bodiless = matches!(self.status, 204 | 304);
        if !bodiless {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        head += "\r\n";
        if !bodiless {
            head += &self.body;
        }
        head.into_bytes()
    }

    pub(super) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }
}

/// What a server does to a connection after an answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Then {
    /// Nothing.
    #[default]
    Keep,
    /// Closes it.
    Close,
    /// Resets it.
    Reset,
}

/// One request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// `host` among them; without: `test`.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    /// On the connection of the request before.
    pub(super) same_connection: bool,
    /// In HTTP/2.
    pub(super) http2: bool,
    /// Bytes instead of all that; the answer is taken down as it comes.
    pub(super) raw: Option<String>,
    /// Before it.
    pub(super) pause_ms: u64,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: String::new(),
            same_connection: false,
            http2: false,
            raw: None,
            pause_ms: 0,
        }
    }
}

/// All cases of a folder, by file and place.
///
/// # Errors
/// Names the file that can't be read, and a name that is there twice.
pub(super) fn read(folder: &Path) -> Result<Vec<Case>> {
    let folder_name = || folder.display().to_string();
    let mut files: Vec<_> = fs::read_dir(folder)
        .with_context(folder_name)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    let mut cases: Vec<Case> = Vec::new();
    for file in files {
        let name = || file.display().to_string();
        let text = fs::read_to_string(&file).with_context(name)?;
        let more: Vec<Case> = serde_saphyr::from_str(&text).with_context(name)?;
        cases.extend(more);
    }
    let mut names = BTreeSet::new();
    for case in &cases {
        ensure!(
            names.insert(&case.name),
            "two cases are called {}",
            case.name
        );
    }
    Ok(cases)
}
