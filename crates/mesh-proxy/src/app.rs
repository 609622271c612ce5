//! The only wiring: settings → sockets → workers → what stands beside them → the orderly end.

mod ending; // the orderly end
mod logs; //   the log's scopes
mod names; //  the DNS server of the pod
mod standalone; // no mesh, only a bootstrap
mod stats; //  numbers that somebody else keeps
mod target; // configuration, put into the data path

use crate::{
    admin::{self, Application, Facts, Surface, readiness::CONFIGURATION},
    config::{Command, Kind, Settings, Standalone, Typed, Verb, texts},
    drain::Drain,
    errand::{self, request, wait},
    identity::{
        self, Clock, Own, Renewal, control_plane,
        sds::{self, Served},
    },
    listener::{Listeners, socket},
    network::metadata_exchange,
    telemetry::Telemetry,
    tls::{Secrets, secret::InvalidSecret},
    worker::{Shared, Workers},
    xds::{Progress, Store, Xds},
};
use anyhow::{Context, Result};
use ending::Ending;
use mesh_model::secret::Secret;
use mesh_runtime::{
    log::Logging,
    readiness::{Condition, Readiness},
    shutdown::{Shutdown, Signals},
    tasks::Tasks,
};
use stats::Sources;
use std::{
    net::{SocketAddr, TcpListener},
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, SystemTime},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// How long tasks beside the path may take to end.
const LAST_TASKS: Duration = Duration::from_secs(2);
/// How long the last log lines may take.
const LAST_LINES: Duration = Duration::from_secs(1);
/// What a sidecar shows.
const SIDECAR_SURFACES: &[Surface] = &[
    Surface::Admin,
    Surface::Status,
    Surface::Health,
    Surface::Prometheus,
];
/// What is shown beside another data plane.
const AGENT_SURFACES: &[Surface] = &[Surface::Status, Surface::Health];

/// Runs what was typed, to its end.
pub fn run(command: Command) -> ExitCode {
    let outcome = match command.verb {
        None => standalone(&command.standalone),
        Some(Verb::Proxy {
            kind: Kind::Sidecar(typed),
        }) => settings(*typed).and_then(sidecar),
        Some(Verb::Agent(typed)) => settings(*typed).and_then(agent),
        Some(Verb::Wait(typed)) => errand(|| async move { wait::wait(&typed).await }),
        Some(Verb::Request(typed)) => {
            errand(|| async move { request::request(&typed, &mut std::io::stdout().lock()).await })
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn settings(typed: Typed) -> Result<Settings> {
    Settings::new(typed, texts(std::env::vars_os()))
        .map_err(|invalid| anyhow::anyhow!("{invalid}\nhint: --help tells what each setting takes"))
}

fn standalone(typed: &Standalone) -> Result<()> {
    let file = typed.config.as_deref().context("--config FILE")?;
    let (settings, bootstrap) = typed.read(file)?;
    standalone::run(settings, bootstrap)
}

/// What all forms of the program have: settings, a log, readiness, a way to end.
struct Process {
    settings: Settings,
    started: SystemTime,
    logging: Arc<Logging>,
    readiness: Readiness,
    shutdown: Shutdown,
    ended: CancellationToken,
    tasks: Tasks,
}

impl Process {
    fn new(settings: Settings) -> Result<Self> {
        Ok(Self {
            started: SystemTime::now(),
            logging: Arc::new(logs::install(&settings)?),
            settings,
            readiness: Readiness::new(),
            shutdown: Shutdown::new(),
            ended: CancellationToken::new(),
            tasks: Tasks::new(),
        })
    }

    /// Gets secrets and keeps them fresh; each is handed to `put_in_force`. What becomes of it, and the certificate in
    /// force.
    fn keep_secrets(
        &self,
        put_in_force: impl Fn(Secret) -> Result<(), InvalidSecret> + Send + Sync + 'static,
    ) -> (watch::Receiver<identity::Status>, Own) {
        let authority = control_plane(&self.settings.ca_address, &self.settings);
        let identity = self.settings.identity.clone();
        let renewal = Renewal::new(authority, identity, Clock::default());
        let known = (renewal.status(), renewal.own());
        self.until_the_end("identity", renewal.run(put_in_force));
        known
    }

    /// Runs what knows no end by itself until the process ends: connections that drain still need configuration and
    /// certificates.
    fn until_the_end(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        self.tasks.spawn(name, async move {
            ended.run_until_cancelled(task).await;
        });
    }

    /// What the sockets beside the path tell.
    fn facts(
        &self,
        shared: &Arc<Shared>,
        received: Arc<Store>,
        identity: watch::Receiver<identity::Status>,
    ) -> Result<Arc<Facts>> {
        let application =
            Application::new(self.settings.node.id.ip, |name| std::env::var(name).ok());
        Ok(Arc::new(Facts {
            settings: self.settings.clone(),
            started: self.started,
            logging: Arc::clone(&self.logging),
            readiness: self.readiness.clone(),
            failing: AtomicBool::new(false),
            shutdown: self.shutdown.clone(),
            received,
            identity,
            application: application?,
            shared: Arc::clone(shared),
        }))
    }

    /// Binds the sockets of `surfaces` and serves them until the end of the process.
    fn show(&self, facts: &Arc<Facts>, surfaces: &[Surface]) -> Result<()> {
        let at = self.settings.addresses;
        for surface in surfaces {
            let (name, address) = match surface {
                Surface::Admin => ("admin", at.admin),
                Surface::Status => ("status", at.status),
                Surface::Health => ("health", at.health),
                Surface::Prometheus => ("prometheus", at.prometheus),
            };
            let socket = bind(address)?;
            // Readiness and metrics are asked for until the very end.
            let (surface, facts, ended) = (*surface, Arc::clone(facts), self.ended.clone());
            self.tasks.spawn(name, async move {
                if let Err(error) =
                    admin::serve(socket, surface, facts, ended.cancelled_owned()).await
                {
                    tracing::error!(%error, %address, "{name} ends");
                }
            });
        }
        Ok(())
    }

    /// Shows what there is, until the end has come; then ends the connections in an orderly way, and all else.
    async fn serve(
        &self,
        shared: &Arc<Shared>,
        store: &Arc<Store>,
        identity: watch::Receiver<identity::Status>,
        surfaces: &[Surface],
        workers: Workers,
    ) -> Result<()> {
        let sources = Sources {
            started: Instant::now().into_std(),
            concurrency: self.settings.concurrency,
            readiness: self.readiness.clone(),
            store: Arc::clone(store),
            identity: identity.clone(),
            shared: Arc::downgrade(shared),
        };
        shared.telemetry.read_from(move |out| sources.read(out));
        let facts = self.facts(shared, Arc::clone(store), identity)?;
        self.show(&facts, surfaces)?;
        self.keep_clusters_up(shared);
        self.shutdown.begun().await;
        self.readiness.end("server is terminated");
        tokio::select! {
            () = Ending::new(&self.settings, &shared.drain).run(&shared.drain, &workers) => {}
            () = self.shutdown.forced() => tracing::warn!("ended at once: connections are cut"),
        }
        self.ended.cancel();
        let late = self.tasks.join(LAST_TASKS, self.shutdown.forced()).await;
        tracing::debug!(?late, "tasks ended");
        tokio::task::spawn_blocking(move || workers.stop())
            .await
            .context("workers")
    }

    /// Runs `program` on a runtime of its own, beside the path, until it ends or is told to.
    fn block_on<F: Future<Output = Result<()>>>(
        self,
        program: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let signals = Signals::catch().context("signals")?;
            let shutdown = self.shutdown.clone();
            let process = Arc::new(self);
            shutdown.while_running(signals, program(process)).await
        })
    }
}

fn sidecar(settings: Settings) -> Result<()> {
    let process = Process::new(settings)?;
    let captures = vec![
        process.settings.addresses.outbound,
        process.settings.addresses.inbound,
    ];
    let shared = Arc::new(shared(&process.settings, captures));
    let sockets = capture_sockets(&process.settings)?;
    let workers = Workers::start(process.settings.concurrency.get(), &shared, &sockets)
        .context("worker threads")?;
    let telemetry = shared.telemetry.clone();
    let outcome = process.block_on(|process| beside(process, shared, workers));
    telemetry.finish_logs(LAST_LINES);
    outcome
}

/// What workers and the control side share; listeners may listen on `sockets` only.
fn shared(settings: &Settings, sockets: Vec<SocketAddr>) -> Shared {
    let telemetry = Telemetry::new(settings);
    let metadata = metadata_exchange::encode(&metadata_exchange::metadata(telemetry.workload()));
    Shared {
        listeners: Listeners::new(sockets),
        routes: Default::default(),
        clusters: Default::default(),
        secrets: Secrets::default(),
        drain: Drain::default(),
        dns: Default::default(),
        metadata,
        telemetry,
    }
}

/// The capture sockets, bound before anything else: clients wait rather than be refused while configuration comes.
fn capture_sockets(settings: &Settings) -> Result<Vec<(SocketAddr, TcpListener)>> {
    let captures = [settings.addresses.outbound, settings.addresses.inbound];
    captures
        .into_iter()
        .map(|address| Ok((address, bind(address)?)))
        .collect()
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    socket::bind(address).map_err(|error| {
        anyhow::anyhow!(
            "{address} can't be bound: {error}\nhint: does another proxy run in this pod?"
        )
    })
}

/// All that stands beside the path, and the end.
async fn beside(process: Arc<Process>, shared: Arc<Shared>, workers: Workers) -> Result<()> {
    let configured = process
        .readiness
        .condition(CONFIGURATION, "nothing has been asked for yet");
    names::serve(&process, &shared).await?;
    let store = Arc::new(Store::default());
    let (identity, own) = {
        let shared = Arc::clone(&shared);
        process.keep_secrets(move |secret| shared.secrets.set(secret))
    };
    let xds = Xds::new(
        &process.settings,
        own,
        Arc::clone(&shared),
        Arc::clone(&store),
    );
    process.until_the_end("xds", xds.run());
    let progress = Progress::new(Arc::clone(&shared), Arc::clone(&store), identity.clone());
    process.until_the_end("progress", progress.run(configured));
    process
        .serve(&shared, &store, identity, SIDECAR_SURFACES, workers)
        .await
}

/// An errand to the proxy that runs already.
fn errand<F: Future<Output = Result<(), errand::Error>>>(run: impl FnOnce() -> F) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(run())?)
}

/// Gets the workload's certificate and serves it to another data plane of the pod.
fn agent(settings: Settings) -> Result<()> {
    Process::new(settings)?.block_on(|process| async move {
        let served = Served::default();
        let (identity, _) = {
            let served = served.clone();
            // Judged before it is served: what we could not use ourselves is not handed on.
            let secrets = Secrets::default();
            process.keep_secrets(move |secret| {
                secrets.set(secret.clone()).map(|()| served.set(&secret))
            })
        };
        let certified = process
            .readiness
            .condition("certificate", "no certificate has come yet");
        process.until_the_end(
            "certificate",
            wait_for_certificate(identity.clone(), certified),
        );
        let facts = process.facts(&Arc::default(), Arc::default(), identity)?;
        process.show(&facts, AGENT_SURFACES)?;
        let socket = &process.settings.paths.sds_socket;
        sds::serve(socket, &served, process.shutdown.begun())
            .await
            .with_context(|| socket.display().to_string())?;
        process.ended.cancel();
        process
            .tasks
            .join(LAST_TASKS, process.shutdown.forced())
            .await;
        Ok(())
    })
}

/// Meets `condition` once there is a certificate, and says until then why there is none.
async fn wait_for_certificate(
    mut identity: watch::Receiver<identity::Status>,
    condition: Condition,
) {
    while identity.borrow_and_update().not_after.is_none() {
        if let Some(error) = &identity.borrow().error {
            condition.explain(error);
        }
        if identity.changed().await.is_err() {
            return;
        }
    }
    condition.met();
}
