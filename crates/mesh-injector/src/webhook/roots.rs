//! The roots that the API server should trust, and that we trust when we speak with the control plane: the ConfigMap
//! `istio-ca-root-cert` of our namespace, or a file.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::StreamExt;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use mesh_api::k8s::api::core::v1::ConfigMap;
use mesh_runtime::shutdown::Shutdown;
use tokio::sync::watch;

/// The ConfigMap that the control plane writes.
pub const CONFIG_MAP: &str = "istio-ca-root-cert";
const KEY: &str = "root-cert.pem";
/// How often a file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// The roots in PEM; `None` until they are known. They are never taken back.
pub type Roots = watch::Receiver<Option<Arc<str>>>;

/// Where the roots stand.
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The ConfigMap in this namespace.
    ConfigMap(Client, String),
}

/// Keeps `roots` up to date until the end.
pub async fn run(source: Source, roots: watch::Sender<Option<Arc<str>>>, shutdown: Shutdown) {
    let following = async {
        match source {
            Source::File(file) => follow_file(file, &roots).await,
            Source::ConfigMap(client, namespace) => {
                follow_config_map(client, &namespace, &roots).await;
            }
        }
    };
    tokio::select! {
        () = following => {}
        () = shutdown.begun() => {}
    }
}

async fn follow_file(file: PathBuf, roots: &watch::Sender<Option<Arc<str>>>) {
    let mut said = false;
    loop {
        match tokio::fs::read_to_string(&file).await {
            Ok(text) => announce(&text, roots),
            Err(error) if !said => {
                tracing::warn!(file = %file.display(), %error, "the roots cannot be read");
                said = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn follow_config_map(
    client: Client,
    namespace: &str,
    roots: &watch::Sender<Option<Arc<str>>>,
) {
    let api: Api<ConfigMap> = Api::namespaced(client, namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={CONFIG_MAP}"));
    let mut objects = watcher(api, config)
        .default_backoff()
        .applied_objects()
        .boxed();
    while let Some(object) = objects.next().await {
        match object {
            Ok(map) => match map.data.as_ref().and_then(|data| data.get(KEY)) {
                Some(text) => announce(text, roots),
                None => tracing::warn!("ConfigMap {CONFIG_MAP} has no key {KEY}"),
            },
            Err(error) => tracing::warn!(%error, "ConfigMap {CONFIG_MAP} cannot be watched"),
        }
    }
}

fn announce(text: &str, roots: &watch::Sender<Option<Arc<str>>>) {
    if text.trim().is_empty() {
        return;
    }
    roots.send_if_modified(|now| {
        let changed = now.as_deref() != Some(text);
        if changed {
            *now = Some(text.into());
        }
        changed
    });
}
