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
        CertificateAuthority, caller::Authenticator, directory::CaDirectory,
        server_certificate::ServerCertificate, service::CertificateService, token::TokenVerifier,
    },
    config::Settings,
    metrics::Metrics,
    push::{
        fixed_mesh::FixedMesh,
        pipeline::{Pipeline, Publications},
    },
    serve::{
        ads::{Ads, Hub},
        debug::{About, Pages},
        grpc::{self, ServerSettings},
        http,
    },
    snapshot::{ClusterIdentity, World},
    watch::{Folder, Problem, Source},
};
use anyhow::Context as _;
use mesh_runtime::{
    build::BUILD,
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
pub async fn run(settings: Settings) -> Result<(), Failure> {
    let signals = Signals::catch().context("cannot catch signals")?;
    let shutdown = Shutdown::new();
    let sockets = Sockets::bind(&settings).await?;
    let app = App::new(settings, shutdown.clone());
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
}

/// All that is needed to know and to sign identities.
struct Identities {
    authority: Arc<CertificateAuthority>,
    certificate: Arc<ServerCertificate>,
    authenticator: Arc<Authenticator>,
    trust_domain: Arc<str>,
}

impl App {
    fn new(settings: Settings, shutdown: Shutdown) -> Self {
        Self {
            settings,
            shutdown,
            tasks: Tasks::new(),
            readiness: Readiness::new(),
            metrics: Arc::default(),
        }
    }

    async fn run(self, sockets: Sockets) -> Result<(), Failure> {
        for ignored in &self.settings.ignored {
            tracing::warn!(
                field = ignored,
                "--meshConfig: the field is not executed by this version"
            );
        }
        let synced = self.readiness.condition(
            "sources",
            format!("reading {}", self.settings.config_dir.display()),
        );
        let signing = self.readiness.condition(
            "certificate authority",
            "waiting for the sources: they name the trust domain",
        );
        let (publications, problems) = self.start_pipeline()?;
        let hub = self.hub(publications.clone());
        let pages = self.start_pages(sockets.http, sockets.monitoring, &hub, problems);
        if let Some(world) = self.first_world(publications, synced).await {
            let identities = self.identities(&world)?;
            // What fails here for ever should be said now rather than per request.
            let _ = pages.authenticator.set(identities.authenticator.clone());
            self.start_renewal(&identities, hub.publications.clone());
            self.start_grpc(sockets.grpc, sockets.secure_grpc, &hub, identities);
            signing.met();
            tracing::info!("ready");
            self.shutdown.begun().await;
        }
        self.readiness.end("shutting down");
        self.tasks
            .join(self.settings.shutdown_duration, self.shutdown.forced())
            .await;
        Ok(())
    }

    fn start_pipeline(&self) -> Result<(Publications, Problems), Failure> {
        let settings = &self.settings;
        let folder = Folder::open(&settings.config_dir).map_err(|e| {
            Failure::hinted(
                anyhow::Error::new(e).context("--config-dir"),
                "a folder of Kubernetes YAML that this user may read",
            )
        })?;
        let world = World::empty(ClusterIdentity {
            domain: settings.domain.clone(),
            id: settings.cluster_id.clone(),
            system_namespace: settings.namespace.clone(),
        });
        let (pipeline, publications) =
            Pipeline::new(world, settings.debounce, self.metrics.clone());
        let problems = folder.problems();
        match settings.mesh_config.clone() {
            Some(mesh) => {
                self.start_reading(pipeline, FixedMesh::new(folder, mesh, &settings.namespace))
            }
            None => self.start_reading(pipeline, folder),
        }
        Ok((publications, problems))
    }

    fn start_reading(&self, pipeline: Pipeline, source: impl Source + 'static) {
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
            control_plane: mesh_xds::ads::control_plane(&identifier.to_string()),
            tasks: self.tasks.clone(),
            shutdown: self.shutdown.clone(),
        }
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

    fn identities(&self, world: &World) -> Result<Identities, Failure> {
        let (settings, trust_domain) = (&self.settings, &world.mesh().trust_domain);
        let directory = CaDirectory::new(&settings.ca_dir);
        let authority = Arc::new(CertificateAuthority::open(
            directory,
            trust_domain,
            settings.lifetime,
        )?);
        let certificate = ServerCertificate::issue(authority.clone(), settings.dns_names.clone())
            .map_err(|e| {
            Failure::hinted(
                anyhow::Error::new(e),
                "--dns-names are DNS names or addresses, separated by commas",
            )
        })?;
        let tokens = settings
            .tokens
            .clone()
            .map(|tokens| TokenVerifier::open(tokens, trust_domain))
            .transpose()?;
        if tokens.is_none() {
            tracing::warn!("no --token-key: workloads without a certificate cannot authenticate");
        }
        Ok(Identities {
            authority,
            certificate: Arc::new(certificate),
            authenticator: Arc::new(Authenticator::new(tokens)),
            trust_domain: trust_domain.as_str().into(),
        })
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
            max_connection_age: self.settings.max_connection_age,
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
