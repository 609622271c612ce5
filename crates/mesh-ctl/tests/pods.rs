//! The program against pods of this machine: sockets in a sandbox's folder, with a small server behind each.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CONFIG_DUMP: &str = "test.config_dump.json";

/// A sandbox; its servers end with the test's process.
struct Sandbox {
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Sandbox {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            asked: Arc::default(),
        }
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.sock"))
    }

    /// Serves `pages`: request line up to the version, and text. Anything else is answered with 404.
    fn serve(&self, name: &str, pages: &[(&str, String)]) {
        let listener = UnixListener::bind(self.socket(name)).expect("a socket");
        let pages: HashMap<_, _> = pages
            .iter()
            .map(|(path, text)| (path.to_string(), text.clone()))
            .collect();
        let asked = Arc::clone(&self.asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &pages, &asked);
            }
        });
    }

    /// Exit code, standard output, standard error.
    fn meshctl(&self, args: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_meshctl"))
            .args(args)
            .env_clear()
            .env("MESH_SANDBOX", self.folder.path())
            .output()
            .expect("meshctl runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap_or(-1),
            text(&output.stdout),
            text(&output.stderr),
        )
    }
}

fn answer(mut stream: UnixStream, pages: &HashMap<String, String>, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let request = request
        .strip_suffix(" HTTP/1.1")
        .unwrap_or_default()
        .to_owned();
    let mut length = 0;
    for header in lines.take_while(|header| !header.is_empty()) {
        let (name, value) = header.split_once(": ").unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    let (status, text) = match pages.get(&request) {
        Some(text) => ("200 OK", text.as_str()),
        None => ("404 Not Found", "no such page\n"),
    };
    let body = String::from_utf8_lossy(&body);
    let seen = format!("{request} {body}").trim_end().to_owned();
    asked.lock().expect("nobody panics").push(seen);
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(text.as_bytes()));
}

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn with_a_pod() -> Sandbox {
    let sandbox = Sandbox::new();
    let dump = file(&format!("testdata/{CONFIG_DUMP}"));
    sandbox.serve(
        "test-f5b5d48b5-qdzft.test",
        &[
            ("GET /config_dump", dump.clone()),
            ("GET /config_dump?include_eds", dump.clone()),
            (
                "GET /clusters?format=json",
                file("testdata/test.clusters.json"),
            ),
            (
                "POST /logging?level=debug",
                "active loggers:\n  http: debug\n\n".to_owned(),
            ),
            (
                "POST /logging",
                "active loggers:\n  http: debug\n\n".to_owned(),
            ),
        ],
    );
    let other = dump.replace(
        "\"lb_policy\": \"LEAST_REQUEST\"",
        "\"lb_policy\": \"RANDOM\"",
    );
    assert_ne!(other, dump);
    sandbox.serve("other-1.test", &[("GET /config_dump", other)]);
    let syncz = serde_json::json!([
        { "proxy": "test-f5b5d48b5-qdzft.test", "cluster_id": "Kubernetes", "istiod": "discovery-0",
          "istio_version": "0.1.0", "types": { "CDS": { "state": "SYNCED" }, "LDS": { "state": "SYNCED" } } },
        { "proxy": "other-1.test", "cluster_id": "Kubernetes", "istiod": "discovery-0", "istio_version": "0.1.0" },
    ]);
    sandbox.serve(
        "discovery",
        &[
            ("GET /debug/syncz", syncz.to_string()),
            ("GET /version", "0.2.0\n".to_owned()),
            (
                "GET /debug/config_dump?proxyID=test-f5b5d48b5-qdzft.test",
                dump.clone(),
            ),
            ("GET /debug/config_dump?proxyID=other-1.test", dump),
        ],
    );
    sandbox
}

#[test]
fn a_pod_is_asked_by_its_name_or_its_deployments() {
    let sandbox = with_a_pod();
    for args in [
        &[
            "-n",
            "test",
            "proxy-config",
            "listener",
            "test-f5b5d48b5-qdzft",
            "--port",
            "15001",
        ][..],
        &[
            "pc",
            "listener",
            "test-f5b5d48b5-qdzft.test",
            "--port",
            "15001",
        ],
        &[
            "pc",
            "listener",
            "deployment/test",
            "-n",
            "test",
            "--port",
            "15001",
        ],
    ] {
        let (code, out, err) = sandbox.meshctl(args);
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
        assert_eq!(out, file("golden/listener-15001.txt"), "{args:?}");
    }
    let endpoint = [
        "-n",
        "test",
        "pc",
        "endpoint",
        "deployment/test",
        "-oyaml",
        "--cluster",
    ];
    let (_, out, _) = sandbox.meshctl(
        &[
            &endpoint[..],
            &["outbound|80||nginx.test.svc.cluster.local"],
        ]
        .concat(),
    );
    assert_eq!(out, file("golden/endpoint.yaml"));
}

#[test]
fn what_is_missing_is_said_with_a_hint() {
    let sandbox = with_a_pod();
    let (code, out, err) = sandbox.meshctl(&["pc", "listener", "nginx", "-n", "test"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("error: there is no pod `nginx`"), "{err}");
    assert!(
        err.contains("hint: ") && err.contains("test-f5b5d48b5-qdzft.test"),
        "{err}"
    );

    drop(UnixListener::bind(sandbox.socket("gone.test")).expect("a socket"));
    let (code, _, err) = sandbox.meshctl(&["pc", "listener", "gone.test"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("Connection refused") && err.contains("hint: "),
        "{err}"
    );

    let (code, _, err) = sandbox.meshctl(&["pc", "endpoint", "other-1.test"]);
    assert_eq!(code, 1);
    assert!(err.contains("404") && err.contains("no such page"), "{err}");
}

#[test]
fn proxies_are_listed_and_compared() {
    let sandbox = with_a_pod();
    let (code, out, err) = sandbox.meshctl(&["proxy-status"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let expected = "\
NAME                          CLUSTER        ISTIOD          VERSION     SUBSCRIBED TYPES
other-1.test                  Kubernetes     discovery-0     0.1.0       0 ()
test-f5b5d48b5-qdzft.test     Kubernetes     discovery-0     0.1.0       2 (CDS,LDS)
";
    assert_eq!(out, expected);

    let (_, out, err) = sandbox.meshctl(&["ps", "deploy/test", "-n", "test"]);
    assert_eq!(err, "");
    let expected = "Clusters Match\nListeners Match\nRoutes Match (RDS last loaded at Sun, 12 May 2024 05:53:29 UTC)\n";
    assert_eq!(out, expected);

    let (code, out, _) = sandbox.meshctl(&["ps", "other-1.test"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("-    \"lbPolicy\": \"LEAST_REQUEST\",\n+    \"lbPolicy\": \"RANDOM\",\n"),
        "{out}"
    );
    assert!(
        out.contains("\nClusters Don't Match\nListeners Match\n"),
        "{out}"
    );
}

#[test]
fn versions_come_from_all_parts() {
    let sandbox = with_a_pod();
    let client = env!("CARGO_PKG_VERSION");
    let (_, out, _) = sandbox.meshctl(&["version"]);
    let expected = format!(
        "client version: {client}\ncontrol plane version: 0.2.0\ndata plane version: 0.1.0 (2 proxies)\n"
    );
    assert_eq!(out, expected);
    let (_, out, _) = sandbox.meshctl(&["version", "-o", "yaml"]);
    assert!(
        out.contains("- ID: other-1.test\n  IstioVersion: 0.1.0\n"),
        "{out}"
    );
    let (_, out, _) = sandbox.meshctl(&["version", "--short=false"]);
    assert!(
        out.contains("control plane mesh-discovery (revision default) version: 0.2.0\n"),
        "{out}"
    );
    assert!(out.contains("proxy other-1.test version: 0.1.0\n"), "{out}");
    let (_, out, _) = sandbox.meshctl(&["version", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let plane = serde_json::json!({"Component": "pilot", "Revision": "default", "Info": {"version": "0.2.0"}});
    assert_eq!(json["meshVersion"], serde_json::json!([plane]));
    let (_, out, err) = sandbox.meshctl(&["version", "-r", "canary"]);
    assert_eq!(
        out,
        format!("client version: {client}\ndata plane version: none\n")
    );
    assert!(
        err.contains("no control plane is of revision canary"),
        "{err}"
    );
    let (code, out, err) = Sandbox::new().meshctl(&["version"]);
    assert_eq!((code, out), (0, format!("client version: {client}\n")));
    assert!(err.contains("warning: "), "{err}");
}

#[test]
fn log_levels_are_set_and_shown() {
    let sandbox = with_a_pod();
    let (code, out, err) = sandbox.meshctl(&["pc", "log", "deploy/test.test", "--level", "debug"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "test-f5b5d48b5-qdzft.test:\nactive loggers:\n  http: debug\n"
    );
    assert_eq!(
        *sandbox.asked.lock().unwrap(),
        ["POST /logging?level=debug", "POST /logging"]
    );
    let (code, _, err) = sandbox.meshctl(&["pc", "log", "deploy/test.test", "--level", "loud"]);
    assert_eq!(code, 64);
    assert!(err.contains("hint: levels are: trace"), "{err}");
}

/// A demo has one way to each proxy, and knows no labels.
#[test]
fn proxies_may_answer_elsewhere_and_labels_need_a_cluster() {
    let sandbox = with_a_pod();
    let pod = "deploy/test.test";
    for args in [
        &["pc", "listener", pod, "--proxy-admin-port", "15001"][..],
        &["pc", "log", pod, "--proxy-admin-port", "15001"],
        &["ps", pod, "--proxy-admin-port", "15001"],
    ] {
        let (code, _, err) = sandbox.meshctl(args);
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
    }
    let (code, _, err) = sandbox.meshctl(&["pc", "log", "-l", "app=test"]);
    assert_eq!(code, 1, "{err}");
    for args in [
        &["pc", "listener", pod, "--proxy-admin-port", "0"][..],
        &["pc", "log"],
        &["pc", "log", pod, "-l", "app=test"],
    ] {
        assert_eq!(sandbox.meshctl(args).0, 64, "{args:?}");
    }
}

#[test]
fn roots_of_two_proxies_are_compared() {
    let sandbox = with_a_pod();
    let without = file(&format!("testdata/{CONFIG_DUMP}")).replace("\"ROOTCA\"", "\"OTHER\"");
    sandbox.serve("bare-1.test", &[("GET /config_dump", without)]);
    let compare = |one: &str, other: &str| sandbox.meshctl(&["pc", "rootca-compare", one, other]);
    let (code, out, err) = compare("deploy/test.test", "other-1.test");
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "Both [test-f5b5d48b5-qdzft.test] and [other-1.test] have the identical ROOTCA, theoretically the connectivity between them is available\n"
    );
    let (code, _, err) = compare("other-1.test", "bare-1.test");
    assert_eq!(code, 65);
    assert!(
        err.contains("the proxy of bare-1.test has no roots"),
        "{err}"
    );
    assert_eq!(sandbox.meshctl(&["pc", "rc", "other-1.test"]).0, 64);
}

#[test]
fn extensions_that_are_sent_by_themselves_are_listed() {
    let filter = |name: &str| {
        serde_json::json!({"version_info": "1", "ecds_filter": {
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", "name": name,
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}})
    };
    let dump = serde_json::json!({"configs": [{
        "@type": "type.googleapis.com/envoy.admin.v3.EcdsConfigDump", "ecds_filters": [filter("b"), filter("longer-a")]}]});
    let sandbox = Sandbox::new();
    sandbox.serve("a.test", &[("GET /config_dump", dump.to_string())]);
    let (code, out, err) = sandbox.meshctl(&["pc", "ecds", "a.test"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let kind = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
    assert_eq!(
        out,
        format!("ECDS NAME     TYPE\nb             {kind}\nlonger-a      {kind}\n")
    );
    let (_, out, _) = sandbox.meshctl(&["pc", "ec", "a.test", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json[0]["name"], "b");
    assert_eq!(json[1]["typedConfig"]["@type"], kind);
}

#[test]
fn pages_of_the_control_plane_are_printed_as_they_are() {
    let sandbox = Sandbox::new();
    sandbox.serve("a-1.test", &[]);
    sandbox.serve(
        "discovery",
        &[
            ("GET /debug/configz", "{}".to_owned()),
            ("GET /debug/edsz?proxyID=a-1.test", "[]\n".to_owned()),
        ],
    );
    let debug = |args: &[&str]| sandbox.meshctl(&[&["x", "internal-debug"], args].concat());
    assert_eq!(debug(&["configz"]), (0, "{}\n".into(), String::new()));
    let (code, out, _) = debug(&["/debug/edsz", "deploy/a", "-n", "test"]);
    assert_eq!((code, out.as_str()), (0, "[]\n"));
    let (_, out, _) = debug(&["configz", "--all"]);
    assert_eq!(out, "mesh-discovery:\n{}\n");
    let (code, _, err) = debug(&["nothing"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("404") && err.contains("internal-debug list"),
        "{err}"
    );
    assert_eq!(debug(&["no page"]).0, 64);
    let (code, _, err) = debug(&["configz", "--revision", "canary"]);
    assert_eq!(code, 1);
    assert!(err.contains("no control plane of revision canary"), "{err}");
}

#[test]
fn what_control_planes_log_is_shown_and_set() {
    let sandbox = Sandbox::new();
    let scopes = serde_json::json!([
        {"name": "ads", "description": "streams", "output_level": "info", "stack_trace_level": "none", "log_callers": false},
        {"name": "kube", "description": "the API", "output_level": "warn", "stack_trace_level": "none", "log_callers": false},
    ]);
    sandbox.serve(
        "discovery",
        &[
            ("GET /scopej/", scopes.to_string()),
            ("PUT /scopej/ads", String::new()),
            ("PUT /scopej/kube", String::new()),
        ],
    );
    let (code, out, err) = sandbox.meshctl(&["admin", "log"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let table = "\
ACTIVE SCOPE     DESCRIPTION     LOG LEVEL     STACK TRACE LEVEL
ads              streams         info          none
kube             the API         warn          none
";
    assert_eq!(out, table);
    let (code, out, _) = sandbox.meshctl(&["istiod", "log", "--level", "ads:debug,warn"]);
    assert_eq!((code, out.as_str()), (0, table));
    let put = |scope: &str, level: &str| {
        let body = serde_json::json!({"name": scope, "output_level": level});
        format!("PUT /scopej/{scope} {body}")
    };
    let get = "GET /scopej/".to_owned();
    let set = [put("ads", "warn"), put("kube", "warn"), put("ads", "debug")];
    let asked = std::mem::take(&mut *sandbox.asked.lock().unwrap());
    assert_eq!(
        asked,
        [&[get.clone(), get.clone()], &set[..], &[get]].concat()
    );

    // Nothing is set where one is not known.
    let (code, _, err) = sandbox.meshctl(&["admin", "log", "--level", "ads:debug,x:debug"]);
    assert_eq!(code, 64);
    assert!(
        err.contains("no scope `x`") && err.contains("hint: scopes are: ads, kube"),
        "{err}"
    );
    assert_eq!(*sandbox.asked.lock().unwrap(), ["GET /scopej/"]);
    let (_, out, _) = sandbox.meshctl(&["admin", "log", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json[1]["output_level"], "warn");
}

#[test]
fn wrong_use_and_wrong_data_have_codes_of_their_own() {
    let sandbox = Sandbox::new();
    let data = sandbox.folder.path().join("data.json");
    std::fs::write(&data, "{ \"configs\": 7 }").unwrap();
    let data = data.to_str().unwrap();
    let other = sandbox.folder.path().join("other.json");
    std::fs::write(&other, "{ \"cluster_statuses\": [] }").unwrap();
    let other = other.to_str().unwrap();
    for (args, expected) in [
        (&["pc", "listener"][..], 64),
        (&["pc", "listener", "pod", "--file", data], 64),
        (&["pc", "listener", "--port", "x", "--file", data], 64),
        (&["pc", "listener", "pod", "--type", "UDP"], 64),
        (&["pc", "cluster", "pod", "--direction", "sideways"], 64),
        (&["pc", "endpoint", "pod", "--status", "fine"], 64),
        (&["pc", "all", "pod", "--status", "fine"], 64),
        (&["nonsense"], 64),
        (&["pc", "listener", "--file", other], 65),
        (&["pc", "all", "--file", other], 65),
        (
            &["pc", "endpoint", "--status", "Healthy", "--file", other],
            0,
        ),
        (&["pc", "listener", "--file", data], 65),
        (&["pc", "listener", "--file", "/nowhere/dump.json"], 65),
        (&["kube-inject", "-f", data], 0),
        (&["--version"], 0),
    ] {
        let (code, _, err) = sandbox.meshctl(args);
        assert_eq!(code, expected, "{args:?}: {err}");
    }
}

#[test]
fn manifests_are_injected() {
    let sandbox = Sandbox::new();
    let path = |name: &str| {
        sandbox
            .folder
            .path()
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    };
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: a\n    image: a\n";
    std::fs::write(path("pod.yaml"), manifest).unwrap();
    let (code, out, err) = sandbox.meshctl(&["kube-inject", "-f", &path("pod.yaml")]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.contains("istio-proxy") && out.contains("istio-init"),
        "{out}"
    );
    let (code, out, _) = sandbox.meshctl(&[
        "kube-inject",
        "-f",
        &path("pod.yaml"),
        "-o",
        &path("out.yaml"),
    ]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(
        std::fs::read_to_string(path("out.yaml"))
            .unwrap()
            .contains("istio-proxy")
    );

    std::fs::write(
        path("host.yaml"),
        manifest.replace("spec:\n", "spec:\n  hostNetwork: true\n"),
    )
    .unwrap();
    let (code, out, err) = sandbox.meshctl(&["kube-inject", "-f", &path("host.yaml")]);
    assert_eq!(code, 0);
    assert!(
        err.contains("===> Skipping injection because \"a\" has host networking enabled"),
        "{err}"
    );
    assert!(!out.contains("istio-proxy"));

    std::fs::write(path("broken.yaml"), "kind: Pod\n  x: [").unwrap();
    let (code, out, err) = sandbox.meshctl(&["kube-inject", "-f", &path("broken.yaml")]);
    assert_eq!((code, out.as_str()), (65, ""));
    assert!(err.contains("error: ") && err.contains("hint: "), "{err}");

    std::fs::write(path("mesh.yaml"), "trustDomain: [1]").unwrap();
    let (code, _, err) = sandbox.meshctl(&[
        "kube-inject",
        "-f",
        &path("pod.yaml"),
        "--meshConfigFile",
        &path("mesh.yaml"),
    ]);
    assert_eq!(code, 65, "{err}");
}

#[test]
fn shells_get_their_scripts() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = sandbox.meshctl(&["completion", shell]);
        assert_eq!(code, 0);
        assert!(
            out.contains("proxy-config") && out.contains("meshctl"),
            "{shell}"
        );
    }
}

/// A running `meshctl dashboard`; killed at the latest when it is dropped.
struct Dashboard {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Dashboard {
    fn open(sandbox: &Sandbox, path: &str, args: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_meshctl"))
            .args(args)
            .env_clear()
            .env("PATH", path)
            .env("MESH_SANDBOX", sandbox.folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("meshctl runs");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { process, lines }
    }

    fn line(&mut self) -> String {
        let line = self.lines.next().expect("it prints more");
        line.expect("text")
    }

    fn interrupt(mut self) -> Option<i32> {
        let pid = self.process.id().to_string();
        let killed = Command::new("kill").args(["-INT", &pid]).status();
        assert!(killed.expect("kill runs").success());
        self.process.wait().expect("it ends").code()
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is served at a URL.
fn fetch(url: &str) -> String {
    let rest = url
        .strip_prefix("http://localhost:")
        .expect("a URL of this machine");
    let (port, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn a_dashboard_is_a_port_until_it_is_interrupted() {
    let sandbox = with_a_pod();
    let args = [
        "-n",
        "test",
        "dashboard",
        "proxy",
        "deploy/test",
        "--browser=false",
    ];
    let mut dashboard = Dashboard::open(&sandbox, "", &args);
    let url = dashboard.line();
    assert_eq!(dashboard.line(), "skipping opening a browser");
    for _ in 0..2 {
        let dump = fetch(&format!("{url}/config_dump"));
        assert!(
            dump.ends_with(&file(&format!("testdata/{CONFIG_DUMP}"))),
            "{url}"
        );
    }
    // A port that is taken is left for another, unless it was asked for.
    let port = url.rsplit(':').next().expect("a port");
    let (code, _, err) =
        sandbox.meshctl(&["dash", "envoy", "test-f5b5d48b5-qdzft.test", "-p", port]);
    assert_eq!(code, 1);
    assert!(
        err.contains(&format!("error: cannot listen on localhost:{port}")),
        "{err}"
    );
    assert!(
        err.contains("hint: another program has this port; choose one with --port"),
        "{err}"
    );
    assert_eq!(dashboard.interrupt(), Some(0));
}

#[test]
fn the_control_planes_dashboard_opens_in_a_browser() {
    let sandbox = with_a_pod();
    let (tools, opened) = (
        sandbox.folder.path().join("tools"),
        sandbox.folder.path().join("opened"),
    );
    std::fs::create_dir(&tools).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$1\" > {}.part\n/bin/mv {0}.part {0}\n",
        opened.display()
    );
    let opener = tools.join("xdg-open");
    std::fs::write(&opener, script).unwrap();
    std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();

    let mut dashboard = Dashboard::open(&sandbox, tools.to_str().unwrap(), &["d", "istiod-debug"]);
    let url = dashboard.line();
    assert!(
        url.starts_with("http://localhost:") && url.ends_with("/debug"),
        "{url}"
    );
    let deadline = Instant::now() + Duration::from_secs(10);
    while !opened.exists() {
        assert!(Instant::now() < deadline, "the browser is not opened");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(
        std::fs::read_to_string(&opened).unwrap(),
        format!("{url}\n")
    );
    assert_eq!(dashboard.interrupt(), Some(0));

    let mut dashboard = Dashboard::open(&sandbox, "/nowhere", &["d", "controlz"]);
    let url = dashboard.line();
    assert_eq!(
        dashboard.line(),
        format!("Failed to open browser; open {url} in your browser.")
    );
    assert_eq!(dashboard.interrupt(), Some(0));
}

#[test]
fn what_needs_an_api_server_says_so_in_a_demo() {
    let sandbox = with_a_pod();
    let (code, _, err) = sandbox.meshctl(&["dashboard", "proxy", "-l", "app=test"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("has no API server to ask") && err.contains("hint: --kubeconfig"),
        "{err}"
    );
    let (code, _, err) = sandbox.meshctl(&["dashboard", "istiod-debug", "istiod-1"]);
    assert_eq!(code, 1);
    assert!(err.contains("has no API server to ask"), "{err}");
    let (code, _, err) = sandbox.meshctl(&["check-inject", "-l", "app=test"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("no cluster is configured") && err.contains("hint: --kubeconfig"),
        "{err}"
    );
}
