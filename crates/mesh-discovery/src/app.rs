//! The only wiring: settings in, a running control plane out.
//!
//! In the order of a start: sockets, so that a port in use is known at once; the source; debug pages, which say what is
//! still missing; when the world is known (it names the trust domain) the authority; then xDS and certificates.

mod failure; // why it cannot run
mod renewal; // what is read and issued again while the process runs
mod sockets; // what it listens on

pub use failure::Failure;

use crate::{
    ca::{
        CertificateAuthority,
        caller::{Authenticator, Tokens},
        directory::{CaDirectory, CaError},
        issuer_keys::KeyError,
        own_services::OwnServices,
        review::TokenReviewer,
        secret::CaSecret,
        server_certificate::ServerCertificate,
        service::CertificateService,
        token::TokenVerifier,
    },
    config::{Settings, SourceSettings},
    lead::{Election, RootCertificates, RootRotation},
    metrics::Metrics,
    push::{
        fixed_mesh::FixedMesh,
        pipeline::{Pipeline, Publications},
    },
    serve::{
        ads::{Ads, Hub},
        age::ConnectionAge,
        debug::{About, Pages},
        grpc::{self, ServerSettings},
        http,
    },
    snapshot::{ClusterIdentity, World},
    watch::{Cluster, Folder, ObjectRef, Problem, Source, Watchers},
};
use anyhow::Context as _;
use mesh_api::access::watching_client;
use mesh_runtime::{
    build::BUILD,
    log::Logging,
    readiness::{Condition, Readiness},
    shutdown::{Shutdown, Signals},
    tasks::Tasks,
};
use sockets::Sockets;
use std::sync::{Arc, OnceLock};
use tokio::{net::TcpListener, sync::watch};
use tonic::service::Routes;

/// Runs until a signal asks for the end.
///
/// # Errors
/// If a port, a file or the authority cannot be had.
pub async fn run(settings: Settings, logging: Arc<Logging>) -> Result<(), Failure> {
    let signals = Signals::catch().context("cannot catch signals")?;
    let shutdown = Shutdown::new();
    let sockets = Sockets::bind(&settings).await?;
    let app = App::new(settings, shutdown.clone(), logging);
    shutdown.while_running(signals, app.run(sockets)).await
}

/// What the source does not understand at the moment.
type Problems = watch::Receiver<Arc<[Problem]>>;

struct App {
    settings: Settings,
    shutdown: Shutdown,
    tasks: Tasks,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    logging: Arc<Logging>,
    /// All that watch the cluster.
    watchers: Watchers,
}

/// What comes of starting to read.
struct Reading {
    publications: Publications,
    problems: Problems,
    /// The way to the API server, if a cluster is read.
    client: Option<kube::Client>,
}

/// Name of the Lease of who writes into the cluster.
const LEASE: &str = "mesh-discovery";

/// All that is needed to know and to sign identities.
struct Identities {
    authority: Arc<CertificateAuthority>,
    certificate: Arc<ServerCertificate>,
    authenticator: Arc<Authenticator>,
    trust_domain: Arc<str>,
}

impl App {
    fn new(settings: Settings, shutdown: Shutdown, logging: Arc<Logging>) -> Self {
        Self {
            settings,
            shutdown,
            logging,
            tasks: Tasks::new(),
            readiness: Readiness::new(),
            metrics: Arc::default(),
            watchers: Watchers::default(),
        }
    }

    async fn run(self, sockets: Sockets) -> Result<(), Failure> {
        for ignored in &self.settings.ignored {
            tracing::warn!(
                field = ignored,
                "--meshConfig: the field is not executed by this version"
            );
        }
        for unused in &self.settings.unused {
            tracing::info!("{unused}");
        }
        let synced = self.readiness.condition("sources", "reading what there is");
        let signing = self.readiness.condition(
            "certificate authority",
            "waiting for the sources: they name the trust domain",
        );
        let Reading {
            publications,
            problems,
            client,
        } = self.start_pipeline().await?;
        let hub = self.hub(publications.clone());
        let pages = self.start_pages(sockets.http, sockets.monitoring, &hub, problems);
        if let Some(world) = self.first_world(publications, synced).await {
            let identities = tokio::select! {
                made = self.identities(&world, client.as_ref(), &signing) => made?,
                () = self.shutdown.begun() => {
                    self.end().await;
                    return Ok(());
                }
            };
            // What fails here for ever should be said now rather than per request.
            let _ = pages.authenticator.set(identities.authenticator.clone());
            self.start_renewal(&identities, hub.publications.clone());
            if let Some(client) = client {
                self.start_leading(client, &identities.authority);
            }
            self.start_grpc(sockets.grpc, sockets.secure_grpc, &hub, identities);
            signing.met();
            tracing::info!("ready");
            self.shutdown.begun().await;
        }
        self.end().await;
        Ok(())
    }

    async fn end(&self) {
        self.readiness.end("shutting down");
        self.tasks
            .join(self.settings.shutdown_duration, self.shutdown.forced())
            .await;
    }

    async fn start_pipeline(&self) -> Result<Reading, Failure> {
        match &self.settings.source {
            SourceSettings::Folder(path) => {
                let folder = Folder::open(path).map_err(|e| {
                    Failure::hinted(
                        anyhow::Error::new(e).context("--config-dir"),
                        "a folder of Kubernetes YAML that this user may read",
                    )
                })?;
                Ok(self.start_reading(folder, None))
            }
            SourceSettings::Cluster(access) => {
                let config = access.config().await?;
                tracing::info!(server = %config.cluster_url, "reading a cluster");
                let client = watching_client(config)?;
                let cluster = Cluster::new(
                    &client,
                    &self.watchers,
                    &self.mesh_config_map(),
                    &self.readiness,
                );
                Ok(self.start_reading(cluster, Some(client)))
            }
        }
    }

    fn start_reading(
        &self,
        source: impl Source + 'static,
        client: Option<kube::Client>,
    ) -> Reading {
        let settings = &self.settings;
        let world = World::empty(ClusterIdentity {
            domain: settings.domain.clone(),
            id: settings.cluster_id.clone(),
            system_namespace: settings.namespace.clone(),
            settings: settings.mesh_config_map.clone(),
        });
        let (pipeline, publications) =
            Pipeline::new(world, settings.debounce, self.metrics.clone());
        let problems = source.problems();
        match settings.mesh_config.clone() {
            Some(mesh) => {
                let source = FixedMesh::new(source, mesh, self.mesh_config_map());
                self.run_pipeline(pipeline, source);
            }
            None => self.run_pipeline(pipeline, source),
        }
        Reading {
            publications,
            problems,
            client,
        }
    }

    fn run_pipeline(&self, pipeline: Pipeline, source: impl Source + 'static) {
        let end = self.shutdown.begun();
        self.tasks.spawn("pipeline", async move {
            tokio::select! {
                () = pipeline.run(source) => {}
                () = end => {}
            }
        });
    }

    fn hub(&self, publications: Publications) -> Hub {
        let identifier = serde_json::json!({
            "Component": "istiod",
            "ID": self.settings.pod_name,
            "Info": {"version": BUILD.version, "revision": BUILD.revision},
        });
        Hub {
            publications,
            connections: Arc::default(),
            metrics: self.metrics.clone(),
            send_timeout: self.settings.send_timeout,
            max_connection_age: self.connection_age(),
            control_plane: mesh_xds::ads::control_plane(&identifier.to_string()),
            tasks: self.tasks.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    fn mesh_config_map(&self) -> ObjectRef {
        let settings = &self.settings;
        ObjectRef::new(&*settings.namespace, &*settings.mesh_config_map)
    }

    fn connection_age(&self) -> Option<ConnectionAge> {
        self.settings.max_connection_age.map(ConnectionAge::about)
    }

    fn start_pages(
        &self,
        http: Option<TcpListener>,
        monitoring: Option<TcpListener>,
        hub: &Hub,
        problems: Problems,
    ) -> Arc<Pages> {
        let pages = Arc::new(Pages {
            hub: hub.clone(),
            problems,
            readiness: self.readiness.clone(),
            authenticator: OnceLock::new(),
            logging: self.logging.clone(),
            about: About {
                name: self.settings.pod_name.clone(),
                namespace: self.settings.namespace.clone(),
                cluster_id: self.settings.cluster_id.clone(),
                version: BUILD.version,
            },
        });
        for (name, listener) in [("debug pages", http), ("monitoring", monitoring)] {
            if let Some(listener) = listener {
                self.tasks.spawn(
                    name,
                    http::serve(listener, pages.clone(), self.shutdown.clone()),
                );
            }
        }
        pages
    }

    /// Waits for the world; `None` if the end comes first.
    async fn first_world(
        &self,
        mut publications: Publications,
        synced: Condition,
    ) -> Option<World> {
        let first = tokio::select! {
            first = publications.wait_for(Option::is_some) => first.ok()?.clone()?,
            () = self.shutdown.begun() => return None,
        };
        synced.met();
        Some(first.world.clone())
    }

    async fn identities(
        &self,
        world: &World,
        client: Option<&kube::Client>,
        signing: &Condition,
    ) -> Result<Identities, Failure> {
        let (settings, trust_domain) = (&self.settings, &world.mesh().trust_domain);
        let authority = Arc::new(self.authority(trust_domain, client, signing).await?);
        let certificate = ServerCertificate::issue(authority.clone(), settings.dns_names.clone())
            .map_err(|e| {
            Failure::hinted(
                anyhow::Error::new(e),
                "--dns-names are DNS names or addresses, separated by commas",
            )
        })?;
        let authenticator = Authenticator::new(self.tokens(trust_domain, client)?)
            .with_patience(settings.renewal_without_token);
        Ok(Identities {
            authority,
            certificate: Arc::new(certificate),
            authenticator: Arc::new(authenticator),
            trust_domain: trust_domain.as_str().into(),
        })
    }

    async fn authority(
        &self,
        trust_domain: &str,
        client: Option<&kube::Client>,
        signing: &Condition,
    ) -> Result<CertificateAuthority, CaError> {
        let directory = CaDirectory::new(&self.settings.ca_dir);
        let lifetime = self.settings.lifetime;
        let authority = match client {
            Some(client) => {
                let secret = CaSecret::new(client.clone(), &self.settings.namespace);
                let waiting = |reason| signing.explain(reason);
                CertificateAuthority::open_cluster(
                    directory,
                    secret,
                    trust_domain,
                    lifetime,
                    waiting,
                )
                .await
            }
            None => CertificateAuthority::open(directory, trust_domain, lifetime),
        };
        let own_services = OwnServices {
            namespace: self.settings.namespace.clone(),
            domain: self.settings.domain.clone(),
        };
        Ok(authority?.with_own_services(own_services))
    }

    fn tokens(
        &self,
        trust_domain: &str,
        client: Option<&kube::Client>,
    ) -> Result<Tokens, KeyError> {
        if let Some(client) = client {
            let audiences = self.settings.token_audiences.clone();
            let reviews = TokenReviewer::new(client.clone(), audiences, trust_domain);
            return Ok(Tokens::Reviews(Box::new(reviews)));
        }
        match self.settings.tokens.clone() {
            Some(tokens) => Ok(Tokens::Keys(TokenVerifier::open(tokens, trust_domain)?)),
            None => {
                tracing::warn!(
                    "no --token-key: workloads without a certificate cannot authenticate"
                );
                Ok(Tokens::None)
            }
        }
    }

    /// Takes part in who writes into the cluster.
    fn start_leading(&self, client: kube::Client, authority: &Arc<CertificateAuthority>) {
        // Unlike the name of a pod, this is never another process's as well.
        let identity = format!("{}_{:08x}", self.settings.pod_name, fastrand::u32(..));
        let namespace = &self.settings.namespace;
        let election = Election::new(client.clone(), namespace, LEASE, &identity);
        let authority = authority.clone();
        let longest = self.settings.lifetime.max;
        let watchers = self.watchers.clone();
        let work = move || {
            let changes = authority.changes();
            let certificates =
                RootCertificates::new(client.clone(), watchers.clone(), changes).run();
            let trust_domain = authority.authority().trust_domain().to_owned();
            let rotation = authority
                .secret()
                .map(|secret| RootRotation::new(secret.clone(), &trust_domain, longest).run());
            async move {
                match rotation {
                    Some(rotation) => {
                        tokio::join!(certificates, rotation);
                    }
                    None => certificates.await,
                }
            }
        };
        self.tasks
            .spawn("leader", election.run(self.shutdown.clone(), work));
    }

    fn start_renewal(&self, identities: &Identities, publications: Publications) {
        let renewal = renewal::Renewal::new(
            identities.authority.clone(),
            identities.certificate.clone(),
            identities.authenticator.clone(),
            publications,
            self.metrics.clone(),
        );
        self.tasks
            .spawn("renewal", renewal.run(self.shutdown.clone()));
    }

    fn start_grpc(
        &self,
        plain: Option<TcpListener>,
        secure: Option<TcpListener>,
        hub: &Hub,
        identities: Identities,
    ) {
        let server = ServerSettings {
            max_connection_age: self.connection_age(),
            shutdown: self.shutdown.clone(),
        };
        if let Some(listener) = plain {
            let routes = Routes::new(Ads::open(hub.clone()));
            let serving = grpc::serve_plain(listener, routes, server.clone());
            self.tasks.spawn("xds in plaintext", async move {
                log_end("xds in plaintext", serving.await)
            });
        }
        if let Some(listener) = secure {
            let certificates = CertificateService::new(
                identities.authority,
                identities.authenticator.clone(),
                self.metrics.clone(),
            );
            let routes = Routes::new(Ads::authenticated(hub.clone(), identities.authenticator))
                .add_service(certificates);
            let serving = grpc::serve_tls(
                listener,
                identities.certificate,
                identities.trust_domain,
                routes,
                server,
            );
            self.tasks.spawn("xds over TLS", async move {
                log_end("xds over TLS", serving.await)
            });
        }
    }
}

fn log_end(server: &str, ended: Result<(), tonic::transport::Error>) {
    if let Err(error) = ended {
        tracing::error!(server, %error, "a server has ended");
    }
}

#[cfg(test)]
mod tests;
