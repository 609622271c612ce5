//! The versions in a bootstrap.

use serde_json::Value;

/// The lines that `istioctl` prints; `section` is a `BootstrapConfigDump`.
pub(crate) fn versions(section: &Value) -> String {
    let node = &section["bootstrap"]["node"];
    let metadata = |name: &str| {
        node["metadata"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let sha = metadata("ISTIO_PROXY_SHA");
    let sha = sha.rsplit(':').next().unwrap_or_default();
    format!(
        "Istio Version:       {}\nIstio Proxy Version: {sha}\nEnvoy Version:       {}\n",
        metadata("ISTIO_VERSION"),
        envoy_version(&node["userAgentBuildVersion"]),
    )
}

/// `<major>.<minor>.<patch>` and what is known of the build, as Envoy writes its own version.
fn envoy_version(build: &Value) -> String {
    let number = |name: &str| build["version"][name].as_u64().unwrap_or_default();
    let version = format!(
        "{}.{}.{}",
        number("majorNumber"),
        number("minorNumber"),
        number("patch")
    );
    let facts = ["revision.status", "build.type", "ssl.version"];
    let facts = facts
        .iter()
        .filter_map(|fact| build["metadata"][*fact].as_str());
    std::iter::once(version.as_str())
        .chain(facts)
        .collect::<Vec<_>>()
        .join("/")
}
