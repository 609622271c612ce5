//! A source whose MeshConfig comes from a file (`--meshConfig`) instead of a ConfigMap.

use crate::watch::{Delta, Kind, ObjectRef, Problem, Source, Stored};
use mesh_api::mesh_config::MeshConfig;
use std::sync::Arc;
use tokio::sync::watch;

/// A source of everything but MeshConfig, and a MeshConfig.
pub struct FixedMesh<S> {
    source: S,
    /// Until it has been told.
    fixed: Option<Delta>,
}

impl<S> FixedMesh<S> {
    /// `name` is that of the ConfigMap that would count.
    pub fn new(source: S, mesh: MeshConfig, name: ObjectRef) -> Self {
        Self {
            source,
            fixed: Some(Delta::Set(Stored::MeshConfig(name, Arc::new(mesh)))),
        }
    }
}

impl<S: Source> Source for FixedMesh<S> {
    async fn next(&mut self) -> Option<Vec<Delta>> {
        let mut deltas = self.source.next().await?;
        deltas.retain(|delta| !is_mesh_config(delta));
        deltas.extend(self.fixed.take());
        Some(deltas)
    }

    fn problems(&self) -> watch::Receiver<Arc<[Problem]>> {
        self.source.problems()
    }
}

fn is_mesh_config(delta: &Delta) -> bool {
    match delta {
        Delta::Set(object) => object.kind() == Kind::MeshConfig,
        Delta::Gone(kind, _) => *kind == Kind::MeshConfig,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ChannelSource, changes, service};

    #[tokio::test]
    async fn the_file_stands_and_the_config_map_does_not() {
        let (send, received) = ChannelSource::new();
        let mesh = MeshConfig {
            trust_domain: "of-the-file".into(),
            ..MeshConfig::default()
        };
        let mut source = FixedMesh::new(received, mesh, ObjectRef::new("istio-system", "istio"));
        let config_map = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata: {mesh: 'trustDomain: of-the-map'}\n";
        send.send(changes(&(service("web") + config_map))).await;
        let first = source.next().await.expect("a batch");
        let of_file = |d: &Delta| matches!(d, Delta::Set(Stored::MeshConfig(_, m)) if m.trust_domain == "of-the-file");
        assert!(first.len() == 2 && of_file(&first[1]), "{first:?}");
        send.send(changes(config_map)).await;
        assert_eq!(source.next().await, Some(Vec::new()));
    }
}
