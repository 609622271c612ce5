//! The whole process against an API server.

use super::*;
use crate::{
    config::{Command, Verb},
    scopes::SCOPES,
    testing::{
        api::Api,
        secure::{self, certify, connect},
        service,
        tokens::{claims, sign},
    },
};
use ::http::{Method, StatusCode, Uri};
use clap::Parser;
use mesh_runtime::log::Levels;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::{Duration, SystemTime},
};
use tokio::task::JoinSet;

const NAMESPACE: &str = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: test}\n";

/// A control plane that reads `api`.
struct Running {
    readiness: Readiness,
    shutdown: Shutdown,
    address: SocketAddr,
    _files: tempfile::TempDir,
    tasks: JoinSet<Result<(), Failure>>,
}

impl Running {
    async fn start(api: &Api) -> Self {
        let files = tempfile::tempdir().expect("a folder");
        let server = format!("http://{}", api.address());
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        });
        let file = files.path().join("kubeconfig");
        std::fs::write(&file, kubeconfig.to_string()).expect("written");
        let mut arguments: Vec<String> = ["mesh-discovery", "discovery", "--kubeconfig"]
            .map(str::to_owned)
            .into();
        arguments.push(file.display().to_string());
        for port in ["--httpAddr", "--grpcAddr", "--monitoringAddr"] {
            arguments.extend([port.to_owned(), String::new()]);
        }
        arguments.extend(["--secureGRPCAddr", "127.0.0.1:0", "--ca-dir"].map(str::to_owned));
        arguments.push(files.path().join("cacerts").display().to_string());
        let Verb::Discovery(typed) = Command::try_parse_from(arguments).expect("parses").verb;
        let settings = Settings::new(*typed).expect("valid");
        let sockets = Sockets::bind(&settings).await.expect("bound");
        let listener = sockets.secure_grpc.as_ref().expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = Shutdown::new();
        let logging = Logging::detached(Levels::new(&SCOPES));
        let app = App::new(settings, shutdown.clone(), Arc::new(logging));
        let readiness = app.readiness.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(app.run(sockets));
        Self {
            readiness,
            shutdown,
            address,
            _files: files,
            tasks,
        }
    }

    async fn stop(mut self) {
        self.shutdown.request("the end of the test");
        let ended = self.tasks.join_next().await.expect("running");
        ended.expect("no panic").expect("no failure");
    }
}

async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..750 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 15 s: {what}");
}

fn accept_all_tokens(api: &Api) {
    api.review("tokenreviews", |_: &Value| {
        let user = json!({"username": "system:serviceaccount:test:web"});
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {},
            "status": {"authenticated": true, "audiences": ["istio-ca"], "user": user}})
    });
}

/// Has a certificate issued, as a workload of namespace `test`.
async fn certify_through(api: &Api, address: SocketAddr) {
    let map = api.get("configmaps", "test", "istio-ca-root-cert");
    let roots = map.expect("the roots")["data"]["root-cert.pem"].clone();
    let roots = secure::roots(roots.as_str().expect("PEM"));
    let stream = connect(address, roots, None).await.expect("trusted");
    let key = rcgen::KeyPair::generate().expect("a key");
    let token = sign(&key, &claims("test", "web"));
    let issued = certify(secure::channel(stream).await, Some(&token)).await;
    issued.map(|_| ()).expect("issued");
}

/// What a row of the table allows.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    own_namespace: bool,
    groups: Vec<String>,
    resources: Vec<String>,
    verb: String,
    names: Vec<String>,
}

/// The table of what this process may do.
fn documented() -> Vec<Right> {
    let page = include_str!("../../../../docs/ports-and-environment.md");
    let section = page
        .split("## What mesh-discovery may do in a cluster")
        .nth(1);
    let section = section.and_then(|rest| rest.split("\n## ").next());
    let rows = section
        .expect("the table")
        .lines()
        .filter(|l| l.starts_with("| "))
        .skip(1);
    let words = |cell: &str| -> Vec<String> {
        let all = cell.split(',').map(str::trim).filter(|w| !w.is_empty());
        all.map(|w| {
            if w == "core" {
                String::new()
            } else {
                w.to_owned()
            }
        })
        .collect()
    };
    rows.flat_map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        words(cells[3])
            .into_iter()
            .map(move |verb| Right {
                own_namespace: cells[0] == "own namespace",
                groups: words(cells[1]),
                resources: words(cells[2]),
                verb,
                names: words(cells[4]),
            })
            .collect::<Vec<_>>()
    })
    .collect()
}

/// What a request asks for: namespace, group, resource, verb, name. Nothing for those that anybody may send, which ask for
/// the kinds that there are.
fn asked(method: &Method, uri: &Uri) -> Option<(String, String, String, &'static str, String)> {
    let mut parts: Vec<_> = uri.path().trim_matches('/').split('/').collect();
    let group = match parts[0] {
        "api" => String::new(),
        _ => (*parts.get(1)?).to_owned(),
    };
    parts.drain(..parts.len().min(if group.is_empty() { 2 } else { 3 }));
    let mut namespace = String::new();
    if parts.len() > 2 && parts[0] == "namespaces" {
        namespace = parts[1].to_owned();
        parts.drain(..2);
    }
    let resource = (*parts.first()?).to_owned();
    let query = uri.query().unwrap_or_default().replace("%3D", "=");
    let selected = query
        .split('&')
        .find_map(|p| p.strip_prefix("fieldSelector=metadata.name="));
    let name = parts.get(1).copied().or(selected).unwrap_or_default();
    let verb = match *method {
        Method::GET if parts.len() > 1 => "get",
        Method::GET if query.contains("watch=true") => "watch",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        _ => "delete",
    };
    Some((namespace, group, resource, verb, name.to_owned()))
}

#[tokio::test]
async fn sec_58_every_call_is_one_that_the_documented_rights_allow_and_every_right_is_needed() {
    let api = Api::start().await;
    let kind = "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: peerauthentications.security.istio.io}\nspec: {group: security.istio.io, names: {plural: peerauthentications, kind: PeerAuthentication}}\n";
    api.apply(&(service("web") + NAMESPACE + kind));
    accept_all_tokens(&api);
    let running = Running::start(&api).await;
    let roots = |name: &str| api.get("configmaps", name, "istio-ca-root-cert").is_some();
    eventually("ready", || {
        running.readiness.check().is_ok() && roots("test")
    })
    .await;
    certify_through(&api, running.address).await;
    // The root is replaced, as when it ends; the lease is renewed in the meantime.
    let secret = CaSecret::new(api.client(), "istio-system");
    let late = SystemTime::now() + Duration::from_secs(3649 * 24 * 3600);
    let step = secret
        .rotate("cluster.local", Duration::from_secs(1), late)
        .await;
    assert!(step.expect("a step"));
    let renewed =
        |(method, uri): &(Method, Uri)| method == Method::PUT && uri.path().contains("/leases/");
    eventually("the lease is renewed", || api.calls().iter().any(renewed)).await;
    running.stop().await;

    let rights = documented();
    let mut used = BTreeSet::new();
    for (method, uri) in api.calls() {
        let Some((namespace, group, resource, verb, name)) = asked(&method, &uri) else {
            continue;
        };
        // What is applied is created if it is not there.
        let verbs = if verb == "patch" {
            vec!["patch", "create"]
        } else {
            vec![verb]
        };
        for verb in verbs {
            let allows = |right: &&Right| {
                (!right.own_namespace || namespace == "istio-system")
                    && right.groups.contains(&group)
                    && (right.resources.contains(&resource) || right.resources == ["all"])
                    && right.verb == verb
                    && (right.names.is_empty() || right.names.contains(&name))
            };
            let right = rights.iter().find(allows);
            used.insert(right.unwrap_or_else(|| panic!("{verb} is no right: {method} {uri}")));
        }
    }
    let unused: Vec<_> = rights
        .iter()
        .filter(|right| !used.contains(right))
        .collect();
    assert!(unused.is_empty(), "{unused:#?}");
}

#[tokio::test]
async fn f14_a_start_without_the_api_server_waits_and_says_for_what() {
    let api = Api::start().await;
    api.apply(&(service("web") + NAMESPACE));
    accept_all_tokens(&api);
    api.set_unavailable("secrets", true);
    let running = Running::start(&api).await;
    let says = |words: &str| {
        let unready = running.readiness.check().err().map(|u| u.to_string());
        unready.is_some_and(|u| u.contains(words))
    };
    eventually("it says for what", || says("istio-ca-secret")).await;
    api.set_unavailable("secrets", false);
    let roots = |name: &str| api.get("configmaps", name, "istio-ca-root-cert").is_some();
    eventually("ready", || {
        running.readiness.check().is_ok() && roots("test")
    })
    .await;
    certify_through(&api, running.address).await;
    // What is known is served on while the server is away, and it stays ready.
    api.set_broken(Some(StatusCode::SERVICE_UNAVAILABLE));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(running.readiness.check(), Ok(()));
    running.stop().await;
}

#[tokio::test]
async fn f14_who_is_refused_asks_again_in_its_own_time() {
    let api = Api::start().await;
    api.set_broken(Some(StatusCode::SERVICE_UNAVAILABLE));
    let (begin, running) = (tokio::time::Instant::now(), Running::start(&api).await);
    eventually("asked", || api.requests() > 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut of_path: BTreeMap<String, usize> = BTreeMap::new();
    for (_, uri) in api.calls() {
        *of_path.entry(uri.path().to_owned()).or_default() += 1;
    }
    // The first pause of a watch is 0.4 s and more.
    let most = 1 + begin.elapsed().as_millis() as usize / 375;
    assert!(of_path.values().all(|n| *n <= most), "{most}: {of_path:?}");
    running.stop().await;
}
