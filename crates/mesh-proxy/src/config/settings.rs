//! What was typed → what it means, checked, with all errors at once.

use super::{
    DnsAddress, Typed,
    node::{self, Node},
    proxy_config::ProxyConfig,
};
use mesh_model::{
    SpiffeId,
    node::{NodeId, ProxyType},
    port,
};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    time::Duration,
};

/// Where the rules send the application's DNS queries.
const USUAL_DNS: DnsAddress = DnsAddress {
    ip: None,
    port: port::DNS,
};
/// Where the kubelet writes the pod's name servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Key of the metadata that says whether DNS is captured; mesh-init reads the same variable.
const DNS_CAPTURE: &str = "DNS_CAPTURE";

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who the proxy is.
    pub node: Node,
    /// Identity that it asks a certificate for.
    pub identity: SpiffeId,
    /// Worker threads.
    pub concurrency: NonZeroUsize,
    /// Where the control plane serves xDS over TLS, `host:port`.
    pub discovery_address: String,
    /// Where the certificate authority is, `host:port`.
    pub ca_address: String,
    /// How long connections may finish after a change of their listener.
    pub drain_duration: Duration,
    /// How long new connections are taken after SIGTERM.
    pub termination_drain_duration: Duration,
    /// After SIGTERM, the proxy ends when there are no connections, and not before.
    pub exit_on_zero_active_connections: bool,
    /// With that: how long it goes on at least.
    pub minimum_drain_duration: Duration,
    /// The rules of the pod send the application's DNS queries to us (`ISTIO_META_DNS_CAPTURE`).
    pub captures_dns: bool,
    /// Where they are taken (`DNS_PROXY_ADDR`).
    pub dns_address: DnsAddress,
    /// Sockets of the process.
    pub addresses: Addresses,
    /// Files.
    pub paths: Paths,
    /// Level of the data plane's log, Envoy's word.
    pub proxy_log_level: String,
    /// Levels of components, `component:level,…`.
    pub proxy_component_log_level: String,
    /// Levels of the agent, `scope:level,…`.
    pub log_output_level: String,
    /// What was said but is not executed, for the log.
    pub ignored: Vec<String>,
}

/// Sockets that the process binds for its life.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Outbound capture.
    pub outbound: SocketAddr,
    /// Inbound capture.
    pub inbound: SocketAddr,
    /// Admin interface, loopback.
    pub admin: SocketAddr,
    /// Readiness.
    pub health: SocketAddr,
    /// Agent.
    pub status: SocketAddr,
    /// Prometheus scrape.
    pub prometheus: SocketAddr,
}

/// Files that the process reads or makes.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Service account token.
    pub token: PathBuf,
    /// Roots of the control plane.
    pub ca_root: PathBuf,
    /// SDS socket of `agent`.
    pub sds_socket: PathBuf,
    /// The pod's name servers.
    pub resolv_conf: PathBuf,
}

/// Settings that can't be executed, all of them.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Invalid(pub Vec<String>);

impl Settings {
    /// Checks and completes what was typed, with `variables` as the environment for node metadata.
    ///
    /// # Errors
    /// Names every setting that can't be executed.
    pub fn new(
        typed: Typed,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Invalid> {
        let mut errors = Vec::new();
        let proxy_config =
            serde_json::from_str::<ProxyConfig>(&typed.proxy_config).unwrap_or_else(|error| {
                errors.push(format!("PROXY_CONFIG: {error}"));
                ProxyConfig::default()
            });
        let metadata = node::metadata_of(variables).unwrap_or_else(|all| {
            errors.extend(all);
            Default::default()
        });
        let labels = node::labels_of(&typed.pod_info_dir).unwrap_or_else(|error| {
            errors.push(error);
            Default::default()
        });
        let discovery_address = proxy_config.discovery_address.clone();
        let discovery_address = discovery_address
            .unwrap_or_else(|| format!("istiod.istio-system.svc:{}", port::DISCOVERY_TLS));
        let ca_address = typed
            .ca_addr
            .clone()
            .unwrap_or_else(|| discovery_address.clone());
        for (name, address) in [
            ("discoveryAddress", &discovery_address),
            ("CA_ADDR", &ca_address),
        ] {
            if address
                .rsplit_once(':')
                .is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
            {
                errors.push(format!("{name}: `{address}` is not host:port"));
            }
        }
        let metadata = complete(metadata, &labels, &typed, &proxy_config);
        let captures_dns = node::switch(&metadata, DNS_CAPTURE).unwrap_or_else(|error| {
            errors.push(error);
            false
        });
        let dns_address = typed.dns_proxy_addr.parse().unwrap_or_else(|error| {
            let address = &typed.dns_proxy_addr;
            errors.push(format!("DNS_PROXY_ADDR: `{address}`: {error}"));
            USUAL_DNS
        });
        if !errors.is_empty() {
            return Err(Invalid(errors));
        }
        let wildcard = match typed.instance_ip {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            // A wildcard IPv6 socket takes IPv4 too.
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        };
        let at = |port| SocketAddr::new(wildcard, port);
        let node = Node {
            id: NodeId {
                proxy_type: ProxyType::Sidecar,
                ip: typed.instance_ip,
                pod: typed.pod_name.clone(),
                namespace: typed.pod_namespace.clone(),
                // As in a pod's arguments, where Kubernetes would have replaced it.
                dns_domain: typed
                    .domain
                    .replace("$(POD_NAMESPACE)", &typed.pod_namespace),
            },
            cluster: node::service_cluster(&labels, &typed.pod_name, &typed.pod_namespace),
            metadata,
            labels,
        };
        Ok(Self {
            identity: SpiffeId {
                trust_domain: typed.trust_domain,
                namespace: typed.pod_namespace,
                service_account: typed.service_account,
            },
            concurrency: concurrency(
                typed
                    .concurrency
                    .or(proxy_config.concurrency)
                    .or(typed.cpu_limit),
            ),
            discovery_address,
            ca_address,
            drain_duration: proxy_config
                .drain_duration
                .unwrap_or(Duration::from_secs(45)),
            termination_drain_duration: proxy_config
                .termination_drain_duration
                .unwrap_or(Duration::from_secs(5)),
            exit_on_zero_active_connections: typed.exit_on_zero_active_connections,
            minimum_drain_duration: typed.minimum_drain_duration,
            captures_dns,
            dns_address,
            addresses: Addresses {
                outbound: at(port::OUTBOUND),
                inbound: at(port::INBOUND),
                admin: (
                    Ipv4Addr::LOCALHOST,
                    proxy_config.proxy_admin_port.unwrap_or(port::ADMIN),
                )
                    .into(),
                health: at(port::HEALTH),
                status: at(proxy_config.status_port.unwrap_or(port::STATUS)),
                prometheus: at(port::PROMETHEUS),
            },
            paths: Paths {
                token: typed.token_path,
                ca_root: typed.ca_root_path,
                sds_socket: typed.sds_socket,
                resolv_conf: RESOLV_CONF.into(),
            },
            proxy_log_level: typed.proxy_log_level,
            proxy_component_log_level: typed.proxy_component_log_level,
            log_output_level: typed.log_output_level,
            ignored: proxy_config
                .unknown
                .into_keys()
                .map(|key| format!("PROXY_CONFIG.{key}"))
                .collect(),
            node,
        })
    }
}

/// What Istio's agent adds to the metadata that the environment gives.
fn complete(
    mut metadata: Map<String, Value>,
    labels: &BTreeMap<String, String>,
    typed: &Typed,
    proxy_config: &ProxyConfig,
) -> Map<String, Value> {
    let labels = labels.iter().filter(|(key, _)| *key != "pod-template-hash");
    let labels = labels
        .map(|(key, value)| (key.clone(), Value::String(value.clone())))
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    let facts = [
        ("NAME", Value::from(typed.pod_name.as_str())),
        ("NAMESPACE", typed.pod_namespace.as_str().into()),
        ("SERVICE_ACCOUNT", typed.service_account.as_str().into()),
        ("INSTANCE_IPS", typed.instance_ip.to_string().into()),
        ("ISTIO_VERSION", version.into()),
        ("PROXY_VERSION", version.into()),
        ("LABELS", Value::Object(labels)),
        (
            "PROXY_CONFIG",
            serde_json::from_str(&typed.proxy_config).unwrap_or_default(),
        ),
    ];
    for (key, value) in facts {
        metadata.insert(key.into(), value);
    }
    for (key, value) in &proxy_config.proxy_metadata {
        let key = key
            .strip_prefix(mesh_model::env::META_PREFIX)
            .unwrap_or(key);
        metadata
            .entry(key)
            .or_insert_with(|| Value::String(value.clone()));
    }
    metadata
}

/// Zero, or nothing, is one worker for each core.
fn concurrency(wanted: Option<usize>) -> NonZeroUsize {
    wanted
        .and_then(NonZeroUsize::new)
        .or_else(|| std::thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, Kind, Verb};
    use clap::Parser;

    /// The arguments of the injected container, and what its environment would have set.
    fn typed(more: &[&str]) -> Typed {
        let injected = [
            "mesh-proxy",
            "proxy",
            "sidecar",
            "--domain",
            "test.svc.cluster.local",
            "--proxyLogLevel=warning",
            "--proxyComponentLogLevel=misc:error",
            "--log_output_level=default:info",
            "--pod-name",
            "nginx-1",
            "--pod-namespace",
            "test",
            "--instance-ip",
            "10.244.0.73",
            "--pod-info-dir",
            "/nonexistent",
        ];
        let command = Command::try_parse_from(injected.iter().chain(more)).expect("parsed");
        let Some(Verb::Proxy {
            kind: Kind::Sidecar(typed),
        }) = command.verb
        else {
            panic!("not a sidecar")
        };
        *typed
    }

    #[test]
    fn injected_arguments_make_istios_node() {
        let settings =
            Settings::new(typed(&["--concurrency", "3"]), std::iter::empty()).expect("valid");
        assert_eq!(
            settings.node.id.to_string(),
            "sidecar~10.244.0.73~nginx-1.test~test.svc.cluster.local"
        );
        assert_eq!(settings.node.cluster, "nginx-1.test");
        assert_eq!(
            settings.identity.to_string(),
            "spiffe://cluster.local/ns/test/sa/default"
        );
        assert_eq!(settings.ca_address, "istiod.istio-system.svc:15012");
        assert_eq!(settings.concurrency.get(), 3);
        assert_eq!(settings.addresses.inbound.to_string(), "0.0.0.0:15006");
        assert_eq!(settings.addresses.admin.to_string(), "127.0.0.1:15000");
    }

    #[test]
    fn proxy_config_overrides_and_its_unknown_fields_are_named() {
        let config = r#"{"discoveryAddress":"a:1","terminationDrainDuration":"7s","proxyAdminPort":1500,"tracing":{}}"#;
        let settings =
            Settings::new(typed(&["--proxy-config", config]), std::iter::empty()).expect("valid");
        assert_eq!(settings.discovery_address, "a:1");
        assert_eq!(settings.termination_drain_duration, Duration::from_secs(7));
        assert_eq!(settings.addresses.admin.port(), 1500);
        assert_eq!(settings.ignored, ["PROXY_CONFIG.tracing"]);
    }

    #[test]
    fn the_end_may_wait_for_the_last_connection() {
        let settings = |more: &[&str]| Settings::new(typed(more), std::iter::empty());
        let usual = settings(&[]).expect("valid");
        assert!(!usual.exit_on_zero_active_connections);
        assert_eq!(usual.minimum_drain_duration, Duration::from_secs(5));
        let told = [
            "--exit-on-zero-active-connections",
            "--minimum-drain-duration=1m",
        ];
        let told = settings(&told).expect("valid");
        assert!(told.exit_on_zero_active_connections);
        assert_eq!(told.minimum_drain_duration, Duration::from_secs(60));
    }

    #[test]
    fn dns_is_captured_where_the_rules_do_it() {
        let captures = |more: &[&str], value: Option<&str>| {
            let variable = value.map(|v| ("ISTIO_META_DNS_CAPTURE".to_owned(), v.to_owned()));
            Settings::new(typed(more), variable.into_iter()).map(|s| s.captures_dns)
        };
        for (value, want) in [(None, false), (Some("true"), true), (Some("0"), false)] {
            assert_eq!(captures(&[], value).expect("valid"), want, "{value:?}");
        }
        let config = r#"{"proxyMetadata":{"ISTIO_META_DNS_CAPTURE":"true"}}"#;
        assert!(captures(&["--proxy-config", config], None).expect("valid"));
        let Invalid(errors) = captures(&[], Some("on")).expect_err("neither");
        assert!(
            errors[0].starts_with("ISTIO_META_DNS_CAPTURE: "),
            "{errors:?}"
        );
    }

    #[test]
    fn dns_is_served_where_istios_variable_says() {
        let at = |more: &[&str]| Settings::new(typed(more), std::iter::empty());
        assert_eq!(at(&[]).expect("valid").dns_address, USUAL_DNS);
        let told = at(&["--dns-proxy-addr", "127.0.0.1:53"]).expect("valid");
        assert_eq!(told.dns_address.to_string(), "127.0.0.1:53");
        let Invalid(errors) = at(&["--dns-proxy-addr", "0.0.0.0:53"]).expect_err("open");
        let want = "DNS_PROXY_ADDR: `0.0.0.0:53`: 0.0.0.0 is no loopback address";
        assert!(errors[0].starts_with(want), "{errors:?}");
    }

    #[test]
    fn all_errors_come_at_once() {
        let typed = typed(&[
            "--proxy-config",
            r#"{"drainDuration":"soon"}"#,
            "--ca-addr",
            "nowhere",
        ]);
        let broken = [("ISTIO_METAJSON_A".to_owned(), "{".to_owned())];
        let Invalid(errors) = Settings::new(typed, broken.into_iter()).expect_err("invalid");
        assert_eq!(errors.len(), 3, "{errors:?}");
    }
}
