//! A process to show, made of a captured configuration.

use super::{
    Facts, Path,
    facts::{Cluster, Host},
};
use crate::{
    config::{Command, Kind, Settings, Verb},
    identity,
    telemetry::Telemetry,
    tls::secret::Received,
    xds::{Store, store},
};
use clap::Parser;
use mesh_model::{
    cluster::Limits,
    endpoint::{HealthStatus, Locality},
    secret::{PrivateKey, Secret, SecretValue},
};
use mesh_runtime::{
    log::{Family, Format, Levels, Logging, Scope},
    readiness::Readiness,
    shutdown::Shutdown,
};
use mesh_xds::{
    ads::ResourceType,
    json::{Pool, Stage, resources},
};
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
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
    pub(super) store: Arc<Store>,
    pub(super) identity: watch::Sender<identity::Status>,
    pub(super) readiness: Readiness,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) warming: BTreeSet<String>,
    pub(super) secrets: Vec<Received>,
    pub(super) drained: Vec<bool>,
}

impl Fake {
    /// With nothing.
    pub(super) fn new() -> Self {
        Self {
            store: Arc::default(),
            identity: watch::Sender::default(),
            readiness: Readiness::new(),
            state: Arc::default(),
        }
    }

    /// With the configuration of the article's nginx pod.
    pub(super) fn nginx() -> Self {
        let json = serde_json::from_str(NGINX).expect("JSON");
        let dump = resources(&Pool::load(), &json).expect("a config dump");
        let fake = Self::new();
        let active = dump.resources.into_iter();
        for resource in active.filter(|r| r.stage == Stage::Active) {
            let kind = ResourceType::from_type_url(&resource.type_url).expect("a known type");
            if kind != ResourceType::Secret {
                let received = received(&resource.version, resource.bytes, 1);
                fake.store.accept(kind, &resource.name, received, false);
            }
        }
        fake.edit(|state| state.secrets = secrets());
        fake
    }

    pub(super) fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        edit(&mut self.state.lock())
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
        let settings = settings();
        Arc::new(Facts {
            telemetry: Telemetry::new(&settings),
            settings,
            started: UNIX_EPOCH,
            logging: Arc::clone(&LOGGING),
            readiness: self.readiness.clone(),
            failing: AtomicBool::new(false),
            shutdown: Shutdown::new(),
            received: Arc::clone(&self.store),
            identity: self.identity.subscribe(),
            path: Box::new(self.clone()),
        })
    }
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

impl Path for Fake {
    fn clusters(&self) -> Vec<Cluster> {
        let hosts = vec![Host {
            address: "10.244.0.73:80".parse().expect("an address"),
            health: HealthStatus::Healthy,
            weight: 1,
            locality: Arc::new(Locality::default()),
            priority: 0,
            stats: vec![
                ("cx_active", 1, true),
                ("cx_connect_fail", 0, false),
                ("cx_total", 5, false),
                ("rq_active", 0, true),
                ("rq_error", 0, false),
                ("rq_success", 7, false),
                ("rq_timeout", 0, false),
                ("rq_total", 7, false),
            ],
        }];
        let name = "outbound|80||nginx.test.svc.cluster.local".to_owned();
        vec![Cluster {
            eds_service_name: Some(name.clone()),
            name,
            limits: Limits::UNLIMITED,
            hosts,
        }]
    }

    fn warming(&self, kind: ResourceType) -> BTreeSet<String> {
        assert!(
            matches!(kind, ResourceType::Cluster | ResourceType::Listener),
            "only these warm"
        );
        self.edit(|state| state.warming.clone())
    }

    fn secrets(&self) -> Vec<Received> {
        self.edit(|state| state.secrets.clone())
    }

    fn listeners(&self) -> Vec<(String, Vec<SocketAddr>)> {
        let addresses = ["0.0.0.0:15006", "[::]:15006"].map(|a| a.parse().expect("an address"));
        vec![("virtualInbound".to_owned(), addresses.to_vec())]
    }

    fn drain(&self, inbound_only: bool) {
        self.edit(|state| state.drained.push(inbound_only));
    }
}

/// A certificate of the workload and the root that it stands under.
pub(super) fn secrets() -> Vec<Received> {
    let names = vec!["localhost".to_owned()];
    let own = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let (pem, key) = (
        own.cert.pem().into_bytes(),
        own.signing_key.serialize_pem().into_bytes(),
    );
    let values = [
        (
            "default",
            SecretValue::Certificate {
                chain: pem.clone(),
                key: PrivateKey(key),
            },
        ),
        ("ROOTCA", SecretValue::Validation { trusted_ca: pem }),
    ];
    let received = |(name, value): (&str, _)| Received {
        secret: Secret {
            name: name.into(),
            value,
        },
        last_updated: UNIX_EPOCH + Duration::from_secs(2),
    };
    values.into_iter().map(received).collect()
}

pub(super) fn settings() -> Settings {
    let arguments = "mesh-proxy proxy sidecar --pod-name nginx-1 --pod-namespace test --instance-ip 10.244.0.73 \
                     --pod-info-dir /nonexistent";
    let command = Command::try_parse_from(arguments.split(' ')).expect("parsed");
    let Verb::Proxy {
        kind: Kind::Sidecar(typed),
    } = command.verb
    else {
        panic!("not a sidecar")
    };
    Settings::new(*typed, std::iter::empty()).expect("valid")
}
