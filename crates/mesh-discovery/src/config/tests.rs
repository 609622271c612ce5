use super::*;
use clap::{CommandFactory, Parser};
use std::time::Duration;

fn typed(arguments: &[&str]) -> Result<Typed, clap::Error> {
    let all = ["mesh-discovery", "discovery"].iter().chain(arguments);
    let Verb::Discovery(typed) = Command::try_parse_from(all)?.verb;
    Ok(*typed)
}

fn settings(arguments: &[&str]) -> Result<Settings, Invalid> {
    Settings::new(typed(arguments).expect("parses"))
}

#[test]
fn the_table_is_consistent() {
    Command::command().debug_assert();
}

#[test]
fn defaults_listen_in_plaintext_on_loopback_only() {
    let dir = tempfile::tempdir().expect("folder");
    let settings = settings(&["--config-dir", &dir.path().display().to_string()]).expect("valid");
    assert_eq!(settings.http.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.grpc.to_string(), "127.0.0.1:15010");
    assert_eq!(settings.secure_grpc, ListenAddress::Everywhere(15012));
    assert_eq!(settings.monitoring, ListenAddress::Everywhere(15014));
    assert_eq!(settings.debounce, Default::default());
    let name = "istiod.istio-system.svc.cluster.local";
    assert!(settings.dns_names.iter().any(|n| n == name));
    assert_eq!(settings.lifetime.max, Duration::from_secs(90 * 24 * 3600));
    assert_eq!(
        settings.renewal_without_token,
        crate::ca::caller::USUAL_PATIENCE
    );
    assert!(settings.tokens.is_none() && settings.max_connection_age.is_none());
}

#[test]
fn istios_names_are_understood() {
    let dir = tempfile::tempdir().expect("folder");
    let mesh = dir.path().join("mesh.yaml");
    std::fs::write(&mesh, "trustDomain: example.org\nnonsense: 1\n").expect("written");
    let settings = settings(&[
        "--configDir",
        &dir.path().display().to_string(),
        "--meshConfig",
        &mesh.display().to_string(),
        "--httpAddr",
        "",
        "--grpcAddr=:15010",
        "--keepaliveMaxServerConnectionAge=10m",
        "--keepaliveMaxServerConnectionAge=30m",
        "--token-key=/k",
        "--token-audience=a,b",
    ])
    .expect("valid");
    assert_eq!(settings.http, ListenAddress::Off);
    assert_eq!(settings.grpc, ListenAddress::Everywhere(15010));
    assert_eq!(settings.max_connection_age, Some(Duration::from_secs(1800)));
    let tokens = settings.tokens.expect("configured");
    assert_eq!(tokens.audiences, ["a", "b"]);
    let mesh = settings.mesh_config.expect("read");
    assert_eq!(mesh.trust_domain, "example.org");
    assert_eq!(settings.ignored.len(), 1);
}

/// What an installation writes, its owner may still say otherwise, by an argument that follows.
#[test]
fn of_two_the_last_counts() {
    let dir = tempfile::tempdir().expect("folder");
    let settings = settings(&[
        "--config-dir",
        &dir.path().display().to_string(),
        "--domain=a.example",
        "--clusterID=a",
        "--domain=b.example",
        "--clusterID=b",
    ])
    .expect("valid");
    assert_eq!(settings.domain, "b.example");
    assert_eq!(settings.cluster_id, "b");
}

#[test]
fn what_means_nothing_here_is_taken_and_said() {
    let settings = settings(&[
        "--registries=Kubernetes",
        "--networksConfig=/etc/istio/config/meshNetworks",
        "--kubernetesApiQPS=80.0",
        "--kubernetesApiBurst=160",
        "--ctrlz_port=9876",
        "--ctrlz_address=localhost",
        "--httpsAddr=:15017",
        "--revision=canary",
    ])
    .expect("valid");
    assert_eq!(settings.unused.len(), 6, "{:?}", settings.unused);
    let said = "--httpsAddr has no effect: webhooks are served by mesh-injector";
    assert_eq!(settings.unused[5], said);
    assert_eq!(settings.mesh_config_map, "istio-canary");
    assert!(typed(&["--kubernetesApiQPS=much"]).is_err());
}

#[test]
fn all_errors_are_said_at_once() {
    let error = settings(&[
        "--config-dir=/nonexistent",
        "--meshConfig=/nonexistent.yaml",
        "--workload-cert-ttl=3000h",
        "--token-issuer=x",
        "--shutdownDuration=-1s",
        "--registries=Kubernetes,Consul",
    ])
    .expect_err("invalid")
    .to_string();
    for part in [
        "--config-dir",
        "--meshConfig",
        "--workload-cert-ttl",
        "--token-issuer",
        "--shutdownDuration",
        "--registries: `Consul`",
        "hint: ",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn addresses_are_refused_with_the_form_that_is_wanted() {
    for bad in ["8080", "example.org:80", ":99999", "127.0.0.1"] {
        let error = typed(&["--config-dir=/", &format!("--httpAddr={bad}")])
            .expect_err(bad)
            .to_string();
        assert!(error.contains("address:port"), "{error}");
    }
    assert!(typed(&["--config-dir=/", "--httpAddr=localhost:1"]).is_ok());
}
