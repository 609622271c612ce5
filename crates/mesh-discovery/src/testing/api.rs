//! An API server in this process, for faults that a real one cannot be made to show at will: forgotten versions, watches
//! that end, kinds that are missing, answers that are refused.
//!
//! Knows objects by group, version, plural, namespace and name; nothing of their meaning.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, Uri};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// The server. Ends when it is dropped.
pub(crate) struct Api {
    state: Arc<Mutex<World>>,
    /// Where it listens; `None` if it is reached without a socket.
    address: Option<std::net::SocketAddr>,
    _tasks: JoinSet<()>,
}

/// Group and version as in a path (`api/v1`, `apis/apps/v1`), and plural.
type Collection = (String, String);
/// Namespace and name.
type Name = (String, String);

/// The body of a watch.
type Lines = mpsc::UnboundedSender<Result<Bytes, std::io::Error>>;
/// Answers what is posted.
type Review = Box<dyn Fn(&Value) -> Value + Send>;

#[derive(Default)]
struct World {
    version: u64,
    objects: BTreeMap<Collection, BTreeMap<Name, Value>>,
    /// What watches were told, by version, so that one that begins later is told as well.
    told: Vec<(u64, Collection, Name, Bytes)>,
    watches: Vec<(Collection, String, Lines)>,
    /// Kinds that are defined and not served.
    unserved: BTreeSet<String>,
    /// What is answered 404.
    missing: BTreeSet<String>,
    /// What is answered so, whatever it is.
    broken: Option<StatusCode>,
    /// What is answered 503.
    unavailable: BTreeSet<String>,
    /// How often each was listed.
    lists: BTreeMap<String, usize>,
    requests: usize,
    /// Method and path of every request, in order.
    calls: Vec<(Method, Uri)>,
    /// How long each answer takes, if there is no socket.
    delay: std::time::Duration,
    /// So many requests are answered as [`World::broken`] says, and no more.
    broken_for: Option<usize>,
    /// Answers to objects that are posted and not kept, by plural.
    reviews: BTreeMap<String, Review>,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let state: Arc<Mutex<World>> = Arc::default();
        let router = Router::new().fallback(answer).with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self {
            state,
            address: Some(address),
            _tasks: tasks,
        }
    }

    /// One that is reached without a socket, so that time may be paused.
    pub(crate) fn in_process() -> Self {
        Self {
            state: Arc::default(),
            address: None,
            _tasks: JoinSet::new(),
        }
    }

    pub(crate) fn client(&self) -> kube::Client {
        let Some(address) = self.address else {
            return kube::Client::new(self.service(), "default");
        };
        let uri = format!("http://{address}").parse().expect("address");
        let mut config = kube::Config::new(uri);
        config.default_retry = false;
        kube::Client::try_from(config).expect("client")
    }

    fn service(
        &self,
    ) -> impl tower::Service<
        http::Request<kube::client::Body>,
        Response = Response,
        Error = std::convert::Infallible,
        Future: Send,
    > + Send
    + 'static {
        let state = self.state.clone();
        tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let state = state.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.expect("a body");
                let delay = state.lock().delay;
                tokio::time::sleep(delay).await;
                Ok(answer(State(state), head.method, head.uri, body).await)
            }
        })
    }

    /// Writes objects of a manifest, and tells watches.
    pub(crate) fn apply(&self, manifests: &str) {
        self.write(manifests, true);
    }

    /// Writes objects of a manifest while no watch looks.
    pub(crate) fn apply_unseen(&self, manifests: &str) {
        self.write(manifests, false);
    }

    fn write(&self, manifests: &str, seen: bool) {
        for chunk in mesh_api::manifest::split(manifests) {
            for document in chunk.documents().expect("valid manifests") {
                self.state.lock().put(document.value, seen);
            }
        }
    }

    pub(crate) fn delete(&self, plural: &str, namespace: &str, name: &str) {
        self.state.lock().remove(plural, namespace, name, true);
    }

    pub(crate) fn delete_unseen(&self, plural: &str, namespace: &str, name: &str) {
        self.state.lock().remove(plural, namespace, name, false);
    }

    /// An object as it stands.
    pub(crate) fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let state = self.state.lock();
        let of_kind = state.objects.iter().find(|((_, p), _)| p == plural)?.1;
        of_kind.get(&(namespace.into(), name.into())).cloned()
    }

    /// Ends all watches, as a server does whose time is up.
    pub(crate) fn disconnect(&self) {
        self.state.lock().watches.clear();
    }

    /// Tells all watches that their version is forgotten.
    pub(crate) fn forget_versions(&self) {
        let gone = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "too old resource version", "reason": "Expired", "code": 410}});
        for (_, _, watch) in std::mem::take(&mut self.state.lock().watches) {
            let _ = watch.send(Ok(line(&gone)));
        }
    }

    /// Whether a kind is there.
    pub(crate) fn set_missing(&self, plural: &str, missing: bool) {
        let missings = &mut self.state.lock().missing;
        if missing {
            missings.insert(plural.into());
        } else {
            missings.remove(plural);
        }
    }

    /// Whether a kind is answered 503.
    pub(crate) fn set_unavailable(&self, plural: &str, unavailable: bool) {
        let all = &mut self.state.lock().unavailable;
        if unavailable {
            all.insert(plural.into());
        } else {
            all.remove(plural);
        }
    }

    /// Whether a kind that is defined is served.
    pub(crate) fn set_unserved(&self, plural: &str, unserved: bool) {
        let all = &mut self.state.lock().unserved;
        if unserved {
            all.insert(plural.into());
        } else {
            all.remove(plural);
        }
    }

    /// Every request is answered so; watches end.
    pub(crate) fn set_broken(&self, status: Option<StatusCode>) {
        let mut state = self.state.lock();
        (state.broken, state.broken_for) = (status, None);
        state.watches.clear();
    }

    /// The next `number` requests are answered so.
    pub(crate) fn refuse(&self, status: StatusCode, number: usize) {
        let mut state = self.state.lock();
        (state.broken, state.broken_for) = (Some(status), Some(number));
    }

    /// Every answer takes so long. Only without a socket.
    pub(crate) fn set_delay(&self, delay: std::time::Duration) {
        self.state.lock().delay = delay;
    }

    /// Method and path of every request so far.
    pub(crate) fn calls(&self) -> Vec<(Method, Uri)> {
        self.state.lock().calls.clone()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.address.expect("a socket")
    }

    /// What is posted to `plural` is answered by `review`.
    pub(crate) fn review(&self, plural: &str, review: impl Fn(&Value) -> Value + Send + 'static) {
        self.state
            .lock()
            .reviews
            .insert(plural.into(), Box::new(review));
    }

    pub(crate) fn lists(&self, plural: &str) -> usize {
        self.state
            .lock()
            .lists
            .get(plural)
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.lock().requests
    }
}

impl World {
    fn put(&mut self, mut object: Value, seen: bool) -> Value {
        let kind = object["kind"].as_str().expect("kind").to_lowercase();
        let plural = match kind.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None if kind.ends_with('s') => kind,
            None => format!("{kind}s"),
        };
        let group_version = object["apiVersion"].as_str().expect("apiVersion");
        let prefix = if group_version.contains('/') {
            "apis"
        } else {
            "api"
        };
        let collection = (format!("{prefix}/{group_version}"), plural);
        let text = |field: &str| {
            object["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let name = (text("namespace"), text("name"));
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let there = self.objects.get(&collection).and_then(|all| all.get(&name));
        let generation = there.map_or(1, |there| {
            let before = there["metadata"]["generation"].as_u64().unwrap_or(1);
            before + u64::from(there["spec"] != object["spec"])
        });
        object["metadata"]["generation"] = generation.into();
        let before = self
            .objects
            .entry(collection.clone())
            .or_default()
            .insert(name.clone(), object.clone());
        let event = if before.is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        if seen {
            self.tell(&collection, &name, event, &object);
        }
        object
    }

    fn remove(&mut self, plural: &str, namespace: &str, name: &str, seen: bool) -> Option<Value> {
        self.version += 1;
        let name: Name = (namespace.into(), name.into());
        let of_kind = self.objects.iter_mut().find(|((_, p), _)| p == plural)?;
        let mut object = of_kind.1.remove(&name)?;
        let collection = of_kind.0.clone();
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        if seen {
            self.tell(&collection, &name, "DELETED", &object);
        }
        Some(object)
    }

    fn tell(&mut self, collection: &Collection, name: &Name, event: &str, object: &Value) {
        let event = line(&json!({"type": event, "object": object}));
        for (of, selector, watch) in &self.watches {
            if of == collection && selects(selector, name) {
                let _ = watch.send(Ok(event.clone()));
            }
        }
        let told = (self.version, collection.clone(), name.clone(), event);
        self.told.push(told);
    }
}

fn selects(selector: &str, (_, name): &Name) -> bool {
    selector.is_empty() || selector == format!("metadata.name={name}")
}

fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}

fn status(code: StatusCode, reason: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code.as_u16()});
    (code, axum::Json(body)).into_response()
}

/// `/api/v1/namespaces/NS/pods/NAME`, and all shorter forms.
fn path(uri: &Uri) -> (String, String, String, String) {
    let mut parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let group: Vec<_> = parts
        .drain(..if parts[0] == "api" { 2 } else { 3 }.min(parts.len()))
        .collect();
    let namespace = match parts.as_slice() {
        ["namespaces", namespace, _, ..] => {
            let namespace = (*namespace).to_owned();
            parts.drain(..2);
            namespace
        }
        _ => String::new(),
    };
    let part = |at: usize| parts.get(at).copied().unwrap_or_default().to_owned();
    (group.join("/"), namespace, part(0), part(1))
}

fn query(uri: &Uri, key: &str) -> String {
    let pairs = uri.query().unwrap_or_default().split('&');
    let found = pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(k, _)| *k == key);
    found
        .map(|(_, v)| {
            v.replace("%3D", "=")
                .replace("%21", "!")
                .replace("%2C", ",")
        })
        .unwrap_or_default()
}

async fn answer(
    State(state): State<Arc<Mutex<World>>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let (group, namespace, plural, name) = path(&uri);
    let mut state = state.lock();
    state.requests += 1;
    state.calls.push((method.clone(), uri.clone()));
    if let Some(code) = state.broken {
        if let Some(left) = &mut state.broken_for {
            *left -= 1;
            if *left == 0 {
                (state.broken, state.broken_for) = (None, None);
            }
        }
        return status(code, "broken");
    }
    if plural.is_empty() && method == Method::GET {
        return axum::Json(discovery(&state, &group)).into_response();
    }
    if state.unavailable.contains(&plural) {
        return status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
    }
    if state.missing.contains(&plural)
        || state.unserved.contains(&plural)
        || is_other_version(&state, &group, &plural)
    {
        return status(StatusCode::NOT_FOUND, "NotFound");
    }
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let collection = (group, plural.clone());
    let key = (namespace.clone(), name.clone());
    let there = state
        .objects
        .get(&collection)
        .and_then(|all| all.get(&key))
        .cloned();
    match method {
        Method::GET if name.is_empty() && query(&uri, "watch") == "true" => {
            watch(&mut state, collection, &uri)
        }
        Method::GET if name.is_empty() => list(&mut state, &collection, &namespace, &uri),
        Method::GET => match there {
            Some(object) => axum::Json(object).into_response(),
            None => status(StatusCode::NOT_FOUND, "NotFound"),
        },
        Method::POST => {
            if let Some(review) = state.reviews.get(&plural) {
                return axum::Json(review(&sent)).into_response();
            }
            let name = sent["metadata"]["name"].as_str().unwrap_or_default();
            let taken = state.objects.get(&collection);
            if taken.is_some_and(|all| all.contains_key(&(namespace.clone(), name.into()))) {
                return status(StatusCode::CONFLICT, "AlreadyExists");
            }
            axum::Json(store(&mut state, sent, &namespace)).into_response()
        }
        Method::PUT => {
            let Some(there) = there else {
                return status(StatusCode::NOT_FOUND, "NotFound");
            };
            let wanted = &sent["metadata"]["resourceVersion"];
            if !wanted.is_null() && *wanted != there["metadata"]["resourceVersion"] {
                return status(StatusCode::CONFLICT, "Conflict");
            }
            axum::Json(store(&mut state, sent, &namespace)).into_response()
        }
        // Server-side apply, as far as whole objects go.
        Method::PATCH => {
            let mut object = there.unwrap_or_default();
            merge(&mut object, &sent);
            axum::Json(store(&mut state, object, &namespace)).into_response()
        }
        Method::DELETE => match state.remove(&plural, &namespace, &name, true) {
            Some(object) => axum::Json(object).into_response(),
            None => status(StatusCode::NOT_FOUND, "NotFound"),
        },
        _ => status(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

/// Groups, or the kinds of one, by their definitions.
fn discovery(state: &World, group: &str) -> Value {
    let definitions = state
        .objects
        .iter()
        .filter(|((_, plural), _)| plural == "customresourcedefinitions");
    let specs: Vec<&Value> = definitions
        .flat_map(|(_, all)| all.values())
        .map(|definition| &definition["spec"])
        .filter(|spec| {
            !state
                .unserved
                .contains(spec["names"]["plural"].as_str().unwrap_or_default())
        })
        .collect();
    if group == "apis" {
        let groups: BTreeSet<&str> = specs.iter().filter_map(|s| s["group"].as_str()).collect();
        let of = |group: &str| {
            let specs = specs.iter().filter(|s| s["group"] == group);
            let versions: BTreeSet<&str> = specs.flat_map(|s| versions(s)).collect();
            let version = |v: &&str| json!({"groupVersion": format!("{group}/{v}"), "version": v});
            let versions: Vec<_> = versions.iter().map(version).collect();
            json!({"name": group, "versions": versions, "preferredVersion": versions[0]})
        };
        let groups: Vec<_> = groups.into_iter().map(of).collect();
        return json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups});
    }
    let ours = specs.iter().filter(|s| {
        let path = group.strip_prefix("apis/").and_then(|g| g.split_once('/'));
        path.is_some_and(|(g, version)| s["group"] == g && versions(s).contains(&version))
    });
    let resources: Vec<_> = ours
        .map(|s| {
            json!({"name": s["names"]["plural"], "singularName": "", "kind": s["names"]["kind"], "namespaced": true, "verbs": ["get", "list", "watch"]})
        })
        .collect();
    let group_version = group.trim_start_matches("apis/");
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources})
}

/// The versions that a definition serves; `v1` if it names none.
fn versions(spec: &Value) -> Vec<&str> {
    let named = spec["versions"].as_array().map(Vec::as_slice);
    match named {
        Some(all) => all.iter().filter_map(|v| v["name"].as_str()).collect(),
        None => vec!["v1"],
    }
}

/// Whether a kind is defined, and not in this version.
fn is_other_version(state: &World, group_version: &str, plural: &str) -> bool {
    let definitions = state
        .objects
        .iter()
        .filter(|((_, plural), _)| plural == "customresourcedefinitions");
    let mut specs = definitions
        .flat_map(|(_, all)| all.values())
        .map(|d| &d["spec"]);
    let path = group_version
        .strip_prefix("apis/")
        .and_then(|g| g.split_once('/'));
    path.is_some_and(|(group, version)| {
        specs.any(|s| {
            s["group"] == group && s["names"]["plural"] == plural && !versions(s).contains(&version)
        })
    })
}

/// The selectors of a phase are met by all objects here.
fn selector(uri: &Uri) -> String {
    let selector = query(uri, "fieldSelector");
    if selector.starts_with("metadata.name=") {
        selector
    } else {
        String::new()
    }
}

fn watch(state: &mut World, collection: Collection, uri: &Uri) -> Response {
    let selector = selector(uri);
    let since: u64 = query(uri, "resourceVersion").parse().unwrap_or_default();
    let (send, lines) = mpsc::unbounded_channel();
    for (version, of, name, event) in &state.told {
        if *version > since && *of == collection && selects(&selector, name) {
            let _ = send.send(Ok(event.clone()));
        }
    }
    state.watches.push((collection, selector, send));
    Body::from_stream(UnboundedReceiverStream::new(lines)).into_response()
}

fn list(state: &mut World, collection: &Collection, namespace: &str, uri: &Uri) -> Response {
    *state.lists.entry(collection.1.clone()).or_default() += 1;
    let selector = selector(uri);
    let all = state.objects.get(collection);
    let items: Vec<_> = all
        .into_iter()
        .flatten()
        .filter(|((of, name), _)| {
            (namespace.is_empty() || of == namespace)
                && selects(&selector, &(of.clone(), name.clone()))
        })
        .map(|(_, object)| object)
        .collect();
    let metadata = json!({"resourceVersion": state.version.to_string()});
    axum::Json(json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}))
        .into_response()
}

fn store(state: &mut World, mut object: Value, namespace: &str) -> Value {
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    state.put(object, true)
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
