//! A process to show, made of a captured configuration.

use super::{Application, Facts};
use crate::{
    config::{Command, Kind, Settings, Verb},
    identity,
    listener::Listeners,
    worker::Shared,
    xds::{Store, Target, store},
};
use clap::Parser;
use mesh_model::{
    ClusterName,
    cluster::Discovery,
    endpoint::{ClusterLoadAssignment, Endpoint, HealthStatus, LocalityEndpoints},
    secret::{PrivateKey, Secret, SecretValue},
};
use mesh_runtime::{
    log::{Family, Format, Levels, Logging, Scope},
    readiness::Readiness,
    shutdown::Shutdown,
};
use mesh_xds::{
    ads::ResourceType,
    json::{Pool, Resource, Stage, resources},
    resource,
};
use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock, atomic::AtomicBool},
    time::{Duration, UNIX_EPOCH},
};
use tokio::sync::watch;

const NGINX: &str =
    include_str!("../../../mesh-xds/testdata/captures/article/nginx.config_dump.json");

const SCOPES: &[Scope] = &[
    Scope {
        name: "upstream",
        family: Family::Envoy,
        targets: &["mesh_proxy::upstream"],
    },
    Scope {
        name: "xdsproxy",
        family: Family::Istio,
        targets: &["mesh_proxy::xds"],
    },
];

static LOGGING: LazyLock<Arc<Logging>> = LazyLock::new(|| {
    Arc::new(
        Logging::install(Levels::new(SCOPES), Format::Text).expect("the only log of the tests"),
    )
});

/// A data path with what stands beside it.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Arc<Store>,
    pub(super) identity: watch::Sender<identity::Status>,
    pub(super) readiness: Readiness,
}

impl Fake {
    /// With nothing.
    pub(super) fn new() -> Self {
        let sockets = ["0.0.0.0:15001", "0.0.0.0:15006"].map(|at| at.parse().expect("an address"));
        Self {
            shared: Arc::new(Shared {
                listeners: Listeners::new(sockets.to_vec()),
                ..Shared::default()
            }),
            store: Arc::default(),
            identity: watch::Sender::default(),
            readiness: Readiness::new(),
        }
    }

    /// With the configuration of the article's nginx pod, and its secrets.
    pub(super) fn nginx() -> Self {
        let fake = Self::without_secrets();
        for secret in secrets() {
            fake.shared.secrets.set(secret).expect("valid");
        }
        fake.shared.settle();
        fake
    }

    /// With the configuration of the article's nginx pod, which waits for its secrets. No cluster has endpoints.
    pub(super) fn without_secrets() -> Self {
        let json = serde_json::from_str(NGINX).expect("JSON");
        let dump = resources(&Pool::load(), &json).expect("a config dump");
        let fake = Self::new();
        let active = dump
            .resources
            .into_iter()
            .filter(|r| r.stage == Stage::Active);
        for Resource {
            type_url,
            name,
            version,
            bytes,
            ..
        } in active
        {
            let kind = ResourceType::from_type_url(&type_url).expect("a known type");
            fake.apply(kind, &bytes);
            fake.store
                .accept(kind, &name, received(&version, bytes, 1), false);
        }
        for cluster in fake.shared.clusters.warming() {
            if let Discovery::Eds(name) = &cluster.model.discovery {
                fake.shared.apply_endpoints(assignment(name, vec![]));
            }
        }
        fake
    }

    fn apply(&self, kind: ResourceType, bytes: &[u8]) {
        match kind {
            ResourceType::Cluster => self.shared.apply_cluster(decoded(bytes)),
            ResourceType::Endpoint => self.shared.apply_endpoints(decoded(bytes)),
            ResourceType::Route => self
                .shared
                .apply_routes(decoded(bytes))
                .expect("executable"),
            ResourceType::Listener => self
                .shared
                .apply_listener(decoded(bytes))
                .expect("executable"),
            _ => {}
        }
    }

    /// Gives a cluster an endpoint.
    pub(super) fn endpoint(&self, cluster: &str, address: SocketAddr) {
        let endpoint = Endpoint {
            health: HealthStatus::Healthy,
            ..Endpoint::at(address)
        };
        let set = assignment(&cluster.into(), vec![endpoint]);
        self.shared.apply_endpoints(set);
    }

    /// The bytes of a resource.
    pub(super) fn bytes(&self, kind: ResourceType, name: &str) -> Vec<u8> {
        let mut entries = self.store.entries(kind).into_iter();
        let (_, entry) = entries
            .find(|(n, _)| n == name)
            .expect("a resource of that name");
        entry.latest.expect("accepted").bytes.to_vec()
    }

    pub(super) fn facts(&self) -> Arc<Facts> {
        Arc::new(Facts {
            settings: settings(),
            started: UNIX_EPOCH,
            logging: Arc::clone(&LOGGING),
            readiness: self.readiness.clone(),
            failing: AtomicBool::new(false),
            shutdown: Shutdown::new(),
            received: Arc::clone(&self.store),
            identity: self.identity.subscribe(),
            application: Application::new([127, 0, 0, 1].into(), |_| None).expect("nothing"),
            shared: Arc::clone(&self.shared),
        })
    }
}

fn assignment(cluster: &ClusterName, endpoints: Vec<Endpoint>) -> ClusterLoadAssignment {
    let locality = LocalityEndpoints {
        weight: Some(1),
        endpoints,
        ..Default::default()
    };
    ClusterLoadAssignment {
        localities: vec![locality],
        ..ClusterLoadAssignment::new(cluster.clone())
    }
}

fn decoded<R: resource::Resource>(bytes: &[u8]) -> R {
    R::decode(bytes).expect("what the model can say").value
}

/// A resource that came some seconds after the epoch.
pub(super) fn received(version: &str, bytes: Vec<u8>, seconds: u64) -> store::Received {
    store::Received {
        version: version.to_owned(),
        bytes: bytes.into(),
        at: UNIX_EPOCH + Duration::from_secs(seconds),
        ignored: vec!["stat_prefix: has no effect".to_owned()],
    }
}

/// A certificate of the workload and the root that it stands under.
fn secrets() -> [Secret; 2] {
    let names = vec!["localhost".to_owned()];
    let own = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let pem = own.cert.pem().into_bytes();
    let key = PrivateKey(own.signing_key.serialize_pem().into_bytes());
    let secret = |name: &str, value| Secret {
        name: name.into(),
        value,
    };
    [
        secret(
            "default",
            SecretValue::Certificate {
                chain: pem.clone(),
                key,
            },
        ),
        secret("ROOTCA", SecretValue::Validation { trusted_ca: pem }),
    ]
}

fn settings() -> Settings {
    let arguments = "mesh-proxy proxy sidecar --pod-name nginx-1 --pod-namespace test --instance-ip 10.244.0.73 \
                     --pod-info-dir /nonexistent";
    let command = Command::try_parse_from(arguments.split(' ')).expect("parsed");
    let Some(Verb::Proxy {
        kind: Kind::Sidecar(typed),
    }) = command.verb
    else {
        panic!("not a sidecar")
    };
    Settings::new(*typed, std::iter::empty()).expect("valid")
}
