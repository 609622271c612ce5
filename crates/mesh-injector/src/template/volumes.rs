//! The files that the proxy reads and writes: sockets and certificates, the root to trust, its token, facts of the pod.

use mesh_api::k8s::api::core::v1::{
    ConfigMapVolumeSource, DownwardAPIVolumeFile, DownwardAPIVolumeSource, EmptyDirVolumeSource,
    ObjectFieldSelector, ProjectedVolumeSource, ServiceAccountTokenProjection, Volume, VolumeMount,
    VolumeProjection,
};

/// Names of the volumes, in the order in which they are added.
pub(super) const NAMES: [&str; 9] = [
    "workload-socket",
    "credential-socket",
    "workload-certs",
    "istio-envoy",
    "istio-data",
    "istio-podinfo",
    "istio-token",
    "istiod-ca-cert",
    "istio-ca-crl",
];

/// Lifetime of the token, in seconds; the kubelet renews it after four fifths.
const TOKEN_SECONDS: i64 = 43_200;

pub(super) fn volumes(token_audience: &str) -> Vec<Volume> {
    NAMES.map(|name| volume(name, token_audience)).into()
}

/// Our mounts and those of the user, which replace ours at the same path.
pub(super) fn mounts(own: &[VolumeMount]) -> Vec<VolumeMount> {
    let mut mounts = our_mounts();
    mounts.retain(|ours| own.iter().all(|own| own.mount_path != ours.mount_path));
    mounts.extend(own.iter().cloned());
    mounts
}

fn our_mounts() -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str| VolumeMount {
        mount_path: path.to_owned(),
        name: name.to_owned(),
        ..VolumeMount::default()
    };
    vec![
        mount("workload-socket", "/var/run/secrets/workload-spiffe-uds"),
        mount("credential-socket", "/var/run/secrets/credential-uds"),
        mount(
            "workload-certs",
            "/var/run/secrets/workload-spiffe-credentials",
        ),
        mount("istiod-ca-cert", "/var/run/secrets/istio"),
        mount("istio-ca-crl", "/var/run/secrets/istio/crl"),
        mount("istio-data", "/var/lib/istio/data"),
        mount("istio-envoy", "/etc/istio/proxy"),
        mount("istio-token", "/var/run/secrets/tokens"),
        mount("istio-podinfo", "/etc/istio/pod"),
    ]
}

fn volume(name: &str, token_audience: &str) -> Volume {
    let mut volume = Volume {
        name: name.to_owned(),
        ..Volume::default()
    };
    match name {
        "istio-envoy" => {
            volume.empty_dir = Some(EmptyDirVolumeSource {
                medium: Some("Memory".to_owned()),
                size_limit: None,
            });
        }
        "istio-podinfo" => volume.downward_api = Some(pod_info()),
        "istio-token" => volume.projected = Some(token(token_audience)),
        "istiod-ca-cert" => volume.config_map = Some(config_map("istio-ca-root-cert", None)),
        "istio-ca-crl" => volume.config_map = Some(config_map("istio-ca-crl", Some(true))),
        _ => volume.empty_dir = Some(EmptyDirVolumeSource::default()),
    }
    volume
}

fn config_map(name: &str, optional: Option<bool>) -> ConfigMapVolumeSource {
    ConfigMapVolumeSource {
        name: name.to_owned(),
        optional,
        ..ConfigMapVolumeSource::default()
    }
}

fn token(audience: &str) -> ProjectedVolumeSource {
    let token = ServiceAccountTokenProjection {
        audience: Some(audience.to_owned()),
        expiration_seconds: Some(TOKEN_SECONDS),
        path: "istio-token".to_owned(),
    };
    ProjectedVolumeSource {
        default_mode: None,
        sources: Some(vec![VolumeProjection {
            service_account_token: Some(token),
            ..VolumeProjection::default()
        }]),
    }
}

/// Labels and annotations as files, so that the proxy sees them change.
fn pod_info() -> DownwardAPIVolumeSource {
    let file = |name: &str| DownwardAPIVolumeFile {
        field_ref: Some(ObjectFieldSelector {
            api_version: None,
            field_path: format!("metadata.{name}"),
        }),
        path: name.to_owned(),
        ..DownwardAPIVolumeFile::default()
    };
    DownwardAPIVolumeSource {
        default_mode: None,
        items: Some(vec![file("labels"), file("annotations")]),
    }
}
