//! A small API server: objects by path, lists by labels, server-side apply as far as one owner needs it. It checks nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// Objects by the path that gets them.
type Objects = BTreeMap<String, Value>;

/// A cluster that ends with the test's process.
pub(crate) struct Api {
    folder: tempfile::TempDir,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    objects: Objects,
    forbidden: BTreeSet<String>,
    impersonated: BTreeSet<Vec<String>>,
    version: u64,
}

impl Api {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = format!("http://{}", listener.local_addr().expect("bound"));
        let folder = tempfile::tempdir().expect("a folder");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [
                {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
                {"name": "there", "context": {"cluster": "c", "user": "u"}},
            ],
        });
        std::fs::write(folder.path().join("kubeconfig"), config.to_string()).expect("written");
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || answer(stream, &state));
            }
        });
        Self { folder, state }
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// A file of the test.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    }

    pub(crate) fn put(&self, path: &str, object: Value) {
        let mut state = self.state.lock().expect("nobody panics");
        state.objects.insert(path.to_owned(), object);
    }

    /// Changes an object that is there.
    pub(crate) fn merge(&self, path: &str, change: Value) {
        let mut state = self.state.lock().expect("nobody panics");
        merge(state.objects.get_mut(path).expect("it is there"), change);
    }

    /// Removes all that is below `path`.
    pub(crate) fn forget(&self, path: &str) {
        let mut state = self.state.lock().expect("nobody panics");
        state.objects.retain(|at, _| !at.starts_with(path));
    }

    /// Paths of all objects.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.state
            .lock()
            .expect("nobody panics")
            .objects
            .keys()
            .cloned()
            .collect()
    }

    /// Nobody may see what is below `path`.
    pub(crate) fn forbid(&self, path: &str) {
        self.state
            .lock()
            .expect("nobody panics")
            .forbidden
            .insert(path.to_owned());
    }

    /// For whom requests have come: a user and its groups; empty for the caller itself.
    pub(crate) fn impersonated(&self) -> BTreeSet<Vec<String>> {
        let state = self.state.lock().expect("nobody panics");
        state.impersonated.clone()
    }

    /// Exit code, standard output, standard error of meshctl with this cluster.
    pub(crate) fn meshctl(&self, args: &[&str]) -> (i32, String, String) {
        meshctl(&self.kubeconfig(), args)
    }
}

/// Runs the program with a kubeconfig and nothing else of this machine's.
pub(crate) fn meshctl(kubeconfig: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_meshctl"))
        .args(args)
        .env_clear()
        .env("KUBECONFIG", kubeconfig)
        .output()
        .expect("meshctl runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut line = String::new();
    let mut length = 0;
    let mut impersonated = Vec::new();
    let _ = reader.read_line(&mut line);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) < 3 {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or_default();
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "impersonate-user" | "impersonate-group" => impersonated.push(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut state = state.lock().expect("nobody panics");
    state.impersonated.insert(impersonated);
    let (code, answer) = respond(method, path, query, body, &mut state);
    drop(state);
    let text = answer.to_string();
    let head = format!(
        "HTTP/1.1 {code} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(text.as_bytes()));
}

fn respond(method: &str, path: &str, query: &str, body: Value, state: &mut State) -> (u16, Value) {
    if state
        .forbidden
        .iter()
        .any(|forbidden| path.starts_with(forbidden.as_str()))
    {
        return status(
            403,
            "Forbidden",
            &format!("{path} is forbidden: not for you"),
        );
    }
    let dry_run = query.contains("dryRun=All") || body["dryRun"] == json!(["All"]);
    match (method, is_list(path)) {
        ("GET", true) => (200, list(path, query, &state.objects)),
        ("GET", false) => match state.objects.get(path) {
            Some(object) => (200, object.clone()),
            None => missing(path),
        },
        ("PATCH", _) => {
            let before = state.objects.get(path);
            let code = if before.is_some() { 200 } else { 201 };
            let mut after = before.cloned().unwrap_or(Value::Null);
            merge(&mut after, body);
            if before != Some(&after) {
                state.version += 1;
                after["metadata"]["resourceVersion"] = state.version.to_string().into();
            }
            if !dry_run {
                state.objects.insert(path.to_owned(), after.clone());
            }
            (code, after)
        }
        ("DELETE", _) if dry_run => match state.objects.get(path) {
            Some(_) => status(200, "", ""),
            None => missing(path),
        },
        ("DELETE", _) => match state.objects.remove(path) {
            Some(_) => status(200, "", ""),
            None => missing(path),
        },
        _ => status(405, "MethodNotAllowed", method),
    }
}

/// `/api/v1` or `/apis/<group>/<version>`, then pairs of plural and name.
fn is_list(path: &str) -> bool {
    let skipped = if path.starts_with("/api/") { 2 } else { 3 };
    (path.split('/').skip(1).count() - skipped) % 2 == 1
}

fn list(path: &str, query: &str, objects: &Objects) -> Value {
    let (parent, plural) = path.rsplit_once('/').expect("a path");
    let query = query
        .replace("%3D", "=")
        .replace("%2C", ",")
        .replace("%2F", "/");
    let selector = |name: &str| {
        let found = query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().to_owned()
    };
    let (labels, fields) = (selector("labelSelector"), selector("fieldSelector"));
    let is_wanted = |(at, object): &(&String, &Value)| {
        let of = at.rsplitn(3, '/').collect::<Vec<_>>();
        let is_labelled = labels.split(',').filter(|one| !one.is_empty()).all(|one| {
            let (key, value) = one.split_once('=').unwrap_or((one, ""));
            object["metadata"]["labels"][key] == value
        });
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let is_named = match fields.strip_prefix("metadata.name=") {
            Some(wanted) => wanted == name,
            None => true,
        };
        of[1] == plural && at.starts_with(parent) && is_labelled && is_named
    };
    let items: Vec<_> = objects
        .iter()
        .filter(is_wanted)
        .map(|(_, object)| object.clone())
        .collect();
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items})
}

fn missing(path: &str) -> (u16, Value) {
    let mut words = path.rsplitn(3, '/');
    let (name, plural) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    status(404, "NotFound", &format!("{plural} \"{name}\" not found"))
}

fn status(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let word = if code < 300 { "Success" } else { "Failure" };
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": word,
        "reason": reason, "message": message, "code": code});
    (code, body)
}

/// Field by field; what is not an object replaces.
fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}
