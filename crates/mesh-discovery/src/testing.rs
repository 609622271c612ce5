//! For tests: small manifests, and a control plane in this process.

use crate::{
    snapshot::{ClusterIdentity, World},
    translate::Proxy,
    watch::{Delta, Effect, Kind, ObjectRef, Problem, Source, Stores, Use},
};
use mesh_model::node::Capabilities;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

pub(crate) mod api; // an API server that can be made to fail
pub(crate) mod log; // what is logged
pub(crate) mod plane; // a control plane
pub(crate) mod secure; // the same over TLS
pub(crate) mod tokens; // service account tokens

/// A Service with port 80 in namespace `test`.
pub(crate) fn service(name: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: test}}\nspec:\n  clusterIP: 10.1.0.1\n  ports: [{{name: http, port: 80}}]\n"
    )
}

/// Its slice.
pub(crate) fn slice(service: &str, addresses: &[&str]) -> String {
    let endpoints: String = addresses
        .iter()
        .map(|a| format!("- addresses: [{a}]\n"))
        .collect();
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {service}\n  namespace: test\n  labels: {{kubernetes.io/service-name: {service}}}\naddressType: IPv4\nports: [{{name: http, port: 8080}}]\nendpoints:\n{endpoints}"
    )
}

/// The objects of manifests, as a source reports them.
pub(crate) fn changes(manifests: &str) -> Vec<Delta> {
    let parsed = mesh_api::manifest::parse(manifests).expect("valid manifests");
    let uses = parsed
        .into_iter()
        .map(|p| Use::of(p.object).expect("understood"));
    uses.filter_map(|used| match used {
        Use::Read { object, .. } => Some(Delta::Set(object)),
        Use::None | Use::NotYet => None,
    })
    .collect()
}

/// An object of namespace `test` that is gone.
pub(crate) fn gone(kind: Kind, name: &str) -> Delta {
    Delta::Gone(kind, ObjectRef::new("test", name))
}

/// The world of manifests.
pub(crate) fn world(manifests: &str) -> World {
    let mut stores = Stores::default();
    changes(manifests)
        .into_iter()
        .for_each(|delta| stores.apply(delta));
    let touched = stores.take_touched();
    World::empty(ClusterIdentity::default())
        .next(&stores, &touched)
        .0
}

/// The sender of a source that a test drives.
pub(crate) struct ChannelSource(mpsc::Sender<Vec<Delta>>);

/// Its other end.
pub(crate) struct Received(mpsc::Receiver<Vec<Delta>>);

impl ChannelSource {
    pub(crate) fn new() -> (Self, Received) {
        let (send, received) = mpsc::channel(64);
        (Self(send), Received(received))
    }

    pub(crate) async fn send(&self, deltas: Vec<Delta>) {
        self.0.send(deltas).await.expect("running");
    }
}

impl Source for Received {
    async fn next(&mut self) -> Option<Vec<Delta>> {
        self.0.recv().await
    }

    fn problems(&self) -> watch::Receiver<Arc<[Problem]>> {
        watch::channel(Arc::default()).1
    }
}

/// A sidecar of namespace `test`.
pub(crate) fn proxy(pod: &str, ip: &str) -> Proxy {
    let id = node_id(pod, ip).parse().expect("node id");
    Proxy::new(id, Capabilities::default())
}

/// Its node id.
pub(crate) fn node_id(pod: &str, ip: &str) -> String {
    format!("sidecar~{ip}~{pod}.test~test.svc.cluster.local")
}

/// A problem of a source.
pub(crate) fn problem() -> Problem {
    Problem {
        place: "broken.yaml".into(),
        line: Some(3),
        reason: "no YAML".into(),
        effect: Effect::LastGoodStateKept,
        hint: None,
    }
}
