//! The program against saved answers of proxies: what it prints is `golden/NAME`, byte by byte.
//!
//! The blocks of the origin article are among them. `UPDATE_GOLDEN=1 cargo test -p mesh-ctl --test golden` writes the
//! files anew; read the difference before committing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A client and a server pod of the article, its cluster's `/clusters`, secrets of every kind.
const CLIENT: &str = "test.config_dump.json";
const SERVER: &str = "nginx.config_dump.json";
const CLUSTERS: &str = "test.clusters.json";
const SECRETS: &str = "secrets.config_dump.json";
/// Roots by trust domain.
const SPIFFE: &str = "spiffe.config_dump.json";
/// What a real istiod sends to a pod of a larger mesh.
const SHOP: &str = "web.config_dump.json";

/// Name of the golden file, saved answer, arguments.
const CASES: &[(&str, &str, &[&str])] = &[
    // the article's blocks
    (
        "listener-15001.txt",
        CLIENT,
        &["proxy-config", "listener", "--port", "15001"],
    ),
    (
        "listener-vip-80.txt",
        CLIENT,
        &[
            "-n",
            "test",
            "proxy-config",
            "listener",
            "--port",
            "80",
            "--address",
            "10.102.168.134",
        ],
    ),
    (
        "listener-15006.txt",
        SERVER,
        &["proxy-config", "listener", "--port", "15006"],
    ),
    (
        "listener-wildcard-80.txt",
        SERVER,
        &[
            "proxy-config",
            "listener",
            "--port",
            "80",
            "--address",
            "0.0.0.0",
        ],
    ),
    (
        "route-vip.yaml",
        CLIENT,
        &[
            "proxy-config",
            "route",
            "--name",
            "nginx.test.svc.cluster.local:80",
            "-oyaml",
        ],
    ),
    (
        "route-inbound.yaml",
        SERVER,
        &["proxy-config", "route", "--name", "inbound|80||", "-oyaml"],
    ),
    (
        "cluster.yaml",
        CLIENT,
        &[
            "proxy-config",
            "cluster",
            "--fqdn",
            "outbound|80||nginx.test.svc.cluster.local",
            "-oyaml",
        ],
    ),
    (
        "endpoint.yaml",
        CLUSTERS,
        &[
            "proxy-config",
            "endpoint",
            "--cluster",
            "outbound|80||nginx.test.svc.cluster.local",
            "-oyaml",
        ],
    ),
    // whole tables
    ("listeners.txt", CLIENT, &["pc", "l"]),
    (
        "listeners-brief.txt",
        SERVER,
        &["pc", "listeners", "--verbose=false"],
    ),
    (
        "listeners-tcp.txt",
        CLIENT,
        &["pc", "listener", "--type", "tcp"],
    ),
    (
        "listener.json",
        CLIENT,
        &["pc", "listener", "--port", "443", "-o", "json"],
    ),
    ("routes.txt", CLIENT, &["pc", "r"]),
    ("routes-server.txt", SERVER, &["pc", "r"]),
    (
        "routes-brief.txt",
        CLIENT,
        &["pc", "routes", "--verbose=false"],
    ),
    ("clusters.txt", SERVER, &["pc", "c"]),
    (
        "clusters-outbound-443.txt",
        CLIENT,
        &["pc", "c", "--direction", "outbound", "--port", "443"],
    ),
    ("endpoints.txt", CLUSTERS, &["pc", "ep", "-o", "short"]),
    (
        "endpoints-unhealthy.txt",
        CLUSTERS,
        &["pc", "ep", "--status", "unhealthy"],
    ),
    (
        "endpoints-port.txt",
        CLUSTERS,
        &["pc", "ep", "--port", "15020", "--address", "127.0.0.1"],
    ),
    ("endpoints-of-a-dump.txt", CLIENT, &["pc", "ep"]),
    (
        "eds.json",
        CLIENT,
        &["pc", "eds", "--port", "80", "-o", "json"],
    ),
    ("secrets.txt", CLIENT, &["pc", "s"]),
    ("secrets-of-every-kind.txt", SECRETS, &["pc", "secret"]),
    ("secrets.yaml", SECRETS, &["pc", "secret", "-o", "yaml"]),
    ("secrets-trust-domains.txt", SPIFFE, &["pc", "secret"]),
    ("bootstrap.json", CLIENT, &["pc", "bootstrap"]),
    ("bootstrap.txt", CLIENT, &["pc", "b", "-o", "short"]),
    ("all.txt", CLIENT, &["pc", "all", "--with-headers"]),
    (
        "all-80.txt",
        SERVER,
        &["pc", "a", "--port", "80", "--name", "80", "--verbose=false"],
    ),
    (
        "all-none.yaml",
        CLIENT,
        &["pc", "all", "--port", "9", "--name", "x", "-o", "yaml"],
    ),
    // a larger mesh, as istiod's own debug page prints it
    ("shop-listeners.txt", SHOP, &["pc", "listener"]),
    ("shop-routes.txt", SHOP, &["pc", "route"]),
    ("shop-clusters.txt", SHOP, &["pc", "cluster"]),
    (
        "shop-subset.txt",
        SHOP,
        &["pc", "cluster", "--subset", "v2"],
    ),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

fn meshctl(answer: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_meshctl"))
        .args(args)
        .arg("--file")
        .arg(folder("testdata").join(answer))
        .env_remove("MESH_SANDBOX")
        .output()
        .expect("meshctl runs")
}

fn check(name: &str, actual: &str) -> Result<(), String> {
    let path = folder("golden").join(name);
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected == actual {
        return Ok(());
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(&path, actual)
            .map_err(|error| format!("{}: {error}", path.display()));
    }
    Err(format!(
        "{} differs; it should be:\n{actual}",
        path.display()
    ))
}

fn run((name, answer, args): &(&str, &str, &[&str])) -> Result<(), String> {
    let output = meshctl(answer, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !errors.is_empty() {
        return Err(format!("{name}: {}\n{errors}", output.status));
    }
    check(name, &String::from_utf8_lossy(&output.stdout))
}

#[test]
fn every_command_prints_its_golden_file() {
    let differences: Vec<_> = CASES.iter().filter_map(|case| run(case).err()).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn every_golden_file_belongs_to_a_command() {
    for entry in std::fs::read_dir(folder("golden")).expect("the golden files") {
        let name = entry.expect("an entry").file_name();
        assert!(
            CASES.iter().any(|(case, ..)| name == *case),
            "{name:?} is nobody's"
        );
    }
}

#[test]
fn keys_are_never_printed() {
    for args in [
        ["pc", "secret", "-ojson"],
        ["pc", "all", "-ojson"],
        ["pc", "secret", "-oyaml"],
    ] {
        let output = meshctl(SECRETS, &args);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("leaked"),
            "{args:?}: {text}"
        );
        assert!(!text.contains("DO-NOT-PRINT"), "{args:?}");
    }
}

/// The two lines that the article filters out of its cluster's table, with the padding that a name of 57 characters
/// makes.
#[test]
fn the_lines_of_the_articles_route_table() {
    let output = meshctl(CLIENT, &["-n", "test", "proxy-config", "route"]);
    let table = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = table
        .lines()
        .filter(|line| line.contains("nginx.test.svc.cluster.local"))
        .map(str::trim_end)
        .collect();
    let printed = "\
nginx.test.svc.cluster.local:80                               nginx.test.svc.cluster.local:80                               *                                                    /*
80                                                            nginx.test.svc.cluster.local:80                               nginx, nginx.test + 1 more...                        /*";
    assert_eq!(lines.join("\n"), printed);
}
