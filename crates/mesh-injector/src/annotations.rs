//! What a pod's annotations ask for.
//!
//! All annotations are read before anything is refused, so that a user sees every mistake at once. An annotation of the
//! mesh that is not read here is not supported: it is listed, so that nothing is without effect in silence.

mod reader;
mod user_volumes;
mod value;

use std::collections::BTreeMap;

use mesh_api::annotation as name;
use mesh_api::mesh_config::{InterceptionMode, ProxyConfig};

use crate::{Capture, Problem, Readiness, Resources, Settings};
use reader::Reader;
use user_volumes::UserVolumes;

/// The wishes of one pod, over the settings of the mesh.
#[derive(Debug)]
pub(crate) struct Annotations {
    /// What is captured.
    pub(crate) capture: Capture,
    /// Settings of the proxy.
    pub(crate) config: ProxyConfig,
    /// Requests and limits of both containers.
    pub(crate) resources: Resources,
    /// Image of both containers, if the pod names one.
    pub(crate) image: Option<String>,
    /// Kind of the image, if the pod or the mesh names one.
    pub(crate) image_type: Option<String>,
    /// Volumes that the pod wants for its proxy, and where they are mounted in it.
    pub(crate) user_volumes: UserVolumes,
    /// `--proxyLogLevel`.
    pub(crate) log_level: String,
    /// `--proxyComponentLogLevel`.
    pub(crate) component_log_level: String,
    /// `--log_output_level`.
    pub(crate) agent_log_level: String,
    /// Run the proxy as a native sidecar.
    pub(crate) native: bool,
    /// Send the application's probes through the agent.
    pub(crate) rewrite_probes: bool,
    /// Serve the application's metrics with the proxy's.
    pub(crate) merge_metrics: bool,
    /// Where the application's metrics are, if there are several places.
    pub(crate) scrape_targets: Vec<ScrapeTarget>,
    /// The proxy's readiness probe.
    pub(crate) readiness: Readiness,
    /// What has no effect, to be shown to the user.
    pub(crate) warnings: Vec<String>,
}

/// A page of the application's metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScrapeTarget {
    pub(crate) port: u16,
    pub(crate) path: String,
}

impl Annotations {
    /// Reads `annotations`; mistakes are added to `problems`, and the settings stand in for what is mistaken, as `native`
    /// does for a pod that does not say.
    pub(crate) fn read(
        annotations: &BTreeMap<String, String>,
        settings: &Settings,
        native: bool,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut reader = Reader::new(annotations, problems);
        let config = config(&mut reader, &settings.mesh.default_config);
        let proxy = &settings.proxy;
        let merge = settings.mesh.enable_prometheus_merge;
        let readiness = Readiness {
            initial_delay_seconds: reader
                .read(name::READINESS_INITIAL_DELAY, value::seconds)
                .unwrap_or(proxy.readiness.initial_delay_seconds),
            period_seconds: reader
                .read(name::READINESS_PERIOD, value::positive)
                .unwrap_or(proxy.readiness.period_seconds),
            failure_threshold: reader
                .read(name::READINESS_FAILURES, value::positive)
                .unwrap_or(proxy.readiness.failure_threshold),
        };
        let merge_metrics = reader
            .read(name::MERGE_METRICS, value::boolean)
            .unwrap_or(merge);
        Self {
            capture: capture(&mut reader, &settings.capture),
            scrape_targets: scrape_targets(&mut reader, config.status_port, merge_metrics),
            image_type: image_type(&mut reader, &config),
            config,
            resources: resources(&mut reader, &settings.resources),
            image: reader.read(name::PROXY_IMAGE, value::image),
            user_volumes: UserVolumes {
                volumes: reader
                    .read(name::USER_VOLUME, user_volumes::volumes)
                    .unwrap_or_default(),
                mounts: reader
                    .read(name::USER_VOLUME_MOUNT, user_volumes::mounts)
                    .unwrap_or_default(),
            },
            log_level: reader
                .read(name::LOG_LEVEL, value::words)
                .unwrap_or_else(|| proxy.log_level.clone()),
            component_log_level: reader
                .read(name::COMPONENT_LOG_LEVEL, value::words)
                .unwrap_or_else(|| proxy.component_log_level.clone()),
            agent_log_level: reader
                .read(name::AGENT_LOG_LEVEL, value::words)
                .unwrap_or_else(|| proxy.agent_log_level.clone()),
            native: reader
                .read(name::NATIVE_SIDECAR, value::boolean)
                .unwrap_or(native),
            rewrite_probes: reader
                .read(name::REWRITE_PROBES, value::boolean)
                .unwrap_or(settings.rewrite_app_probes),
            merge_metrics,
            readiness,
            warnings: reader.finish(),
        }
    }
}

fn capture(reader: &mut Reader<'_>, base: &Capture) -> Capture {
    let mut field = |name, parse: reader::Parse<String>, base: &String| {
        reader.read(name, parse).unwrap_or_else(|| base.clone())
    };
    let rerouted = field(
        name::KUBEVIRT_INTERFACES,
        value::interfaces,
        &base.kubevirt_interfaces,
    );
    Capture {
        include_outbound_ip_ranges: field(
            name::INCLUDE_OUTBOUND_IP_RANGES,
            value::ranges_or_all,
            &base.include_outbound_ip_ranges,
        ),
        exclude_outbound_ip_ranges: field(
            name::EXCLUDE_OUTBOUND_IP_RANGES,
            value::ranges,
            &base.exclude_outbound_ip_ranges,
        ),
        include_inbound_ports: field(
            name::INCLUDE_INBOUND_PORTS,
            value::ports_or_all,
            &base.include_inbound_ports,
        ),
        exclude_inbound_ports: field(
            name::EXCLUDE_INBOUND_PORTS,
            value::ports,
            &base.exclude_inbound_ports,
        ),
        include_outbound_ports: field(
            name::INCLUDE_OUTBOUND_PORTS,
            value::ports,
            &base.include_outbound_ports,
        ),
        exclude_outbound_ports: field(
            name::EXCLUDE_OUTBOUND_PORTS,
            value::ports,
            &base.exclude_outbound_ports,
        ),
        exclude_interfaces: field(
            name::EXCLUDE_INTERFACES,
            value::interfaces,
            &base.exclude_interfaces,
        ),
        kubevirt_interfaces: field(
            name::REROUTE_VIRTUAL_INTERFACES,
            value::interfaces,
            &rerouted,
        ),
    }
}

/// What `prometheus.istio.io/scrape-targets` lists. What the older annotations say is read where they are moved; here it
/// is only checked, where it matters: if the agent is to scrape the application.
fn scrape_targets(reader: &mut Reader<'_>, status_port: u16, merge: bool) -> Vec<ScrapeTarget> {
    let refuses = reader.read(name::PROMETHEUS_SCRAPE, |text| Ok(text == "false"));
    let is_scraped = merge && status_port != 0 && refuses != Some(true);
    if is_scraped {
        let check = |text: &str| match text {
            "" => Ok(()),
            text => value::port(text),
        };
        reader.read(name::PROMETHEUS_PORT, check);
    }
    let targets = reader.read(name::SCRAPE_TARGETS, |text| {
        value::scrape_targets(text, status_port)
    });
    if targets.is_some() && !is_scraped {
        reader.warn(
            name::SCRAPE_TARGETS,
            "without effect, as the application's metrics are not merged",
        );
    }
    targets.unwrap_or_default()
}

/// The mesh's `defaultConfig`, changed by `proxy.istio.io/config`, changed by the annotations of single fields.
fn config(reader: &mut Reader<'_>, base: &ProxyConfig) -> ProxyConfig {
    let overlay = reader.read(name::PROXY_CONFIG, |text| {
        base.overlay(text).map_err(|error| error.to_string())
    });
    let mut config = base.clone();
    if let Some(read) = overlay {
        config = read.value;
        for field in read.unknown {
            reader.warn(
                name::PROXY_CONFIG,
                &format!("{field} is not supported and has no effect"),
            );
        }
    }
    if let Some(port) = reader.read(name::STATUS_PORT, value::port_or_zero) {
        config.status_port = port;
    }
    if let Some(address) = reader.read(name::DISCOVERY_ADDRESS, value::address) {
        config.discovery_address = address;
    }
    let overlaid = config.interception_mode;
    let mode = reader.read(name::INTERCEPTION_MODE, interception_mode);
    config.interception_mode = mode.unwrap_or(overlaid);
    if config.interception_mode == InterceptionMode::Tproxy {
        let place = match (mode, base.interception_mode) {
            (Some(_), _) => format!("metadata.annotations[{}]", name::INTERCEPTION_MODE),
            (None, InterceptionMode::Tproxy) => {
                "mesh config: defaultConfig.interceptionMode".into()
            }
            (None, _) => format!(
                "metadata.annotations[{}]: interceptionMode",
                name::PROXY_CONFIG
            ),
        };
        let message = "TPROXY is not supported; use REDIRECT or NONE";
        reader.refuse(Problem::new(place, message));
    }
    config
}

/// The kind of image that the pod names, or its `image.imageType`.
fn image_type(reader: &mut Reader<'_>, config: &ProxyConfig) -> Option<String> {
    let own = reader.read(name::PROXY_IMAGE_TYPE, value::image_type);
    let configured = || {
        let image = config.other.get("image")?;
        image
            .get("imageType")?
            .as_str()
            .filter(|kind| !kind.is_empty())
            .map(str::to_owned)
    };
    own.or_else(configured)
}

fn interception_mode(text: &str) -> Result<InterceptionMode, String> {
    match text {
        "REDIRECT" => Ok(InterceptionMode::Redirect),
        "NONE" => Ok(InterceptionMode::None),
        "TPROXY" => Ok(InterceptionMode::Tproxy),
        other => Err(format!("`{other}` is neither REDIRECT nor NONE")),
    }
}

/// One annotation replaces the whole default: who sets a request only gets no limit.
fn resources(reader: &mut Reader<'_>, base: &Resources) -> Resources {
    let mut quantity = |name| reader.read(name, value::quantity);
    let requests = [
        ("cpu", quantity(name::PROXY_CPU)),
        ("memory", quantity(name::PROXY_MEMORY)),
    ];
    let limits = [
        ("cpu", quantity(name::PROXY_CPU_LIMIT)),
        ("memory", quantity(name::PROXY_MEMORY_LIMIT)),
    ];
    let given = |list: [(&str, Option<String>); 2]| -> BTreeMap<String, String> {
        list.into_iter()
            .filter_map(|(name, quantity)| Some((name.to_owned(), quantity?)))
            .collect()
    };
    let own = Resources {
        requests: given(requests),
        limits: given(limits),
    };
    if own.requests.is_empty() && own.limits.is_empty() {
        base.clone()
    } else {
        own
    }
}

#[cfg(test)]
mod tests;
