//! The only wiring: settings → sockets → workers → what stands beside them → the orderly end.

mod logs; //   the log's scopes
mod target; // configuration, put into the data path

use crate::{
    config::{Command, Kind, Settings, Typed, Verb},
    drain::Drain,
    identity::{
        self, ControlPlane, Renewal,
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
use mesh_model::secret::Secret;
use mesh_runtime::{
    readiness::Readiness,
    shutdown::{Shutdown, Signals},
    tasks::Tasks,
};
use std::{
    net::{SocketAddr, TcpListener},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// How long tasks beside the path may take to end.
const LAST_TASKS: Duration = Duration::from_secs(2);
/// How long the last log lines may take.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Runs what was typed, to its end.
pub fn run(command: Command) -> ExitCode {
    let outcome = match command.verb {
        Verb::Proxy {
            kind: Kind::Sidecar(typed),
        } => settings(*typed).and_then(sidecar),
        Verb::Agent(typed) => settings(*typed).and_then(agent),
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
    Settings::new(typed, std::env::vars())
        .context("settings\nhint: mesh-proxy proxy sidecar --help")
}

/// What both forms of the program have: settings, a log, readiness, a way to end.
struct Process {
    settings: Settings,
    readiness: Readiness,
    shutdown: Shutdown,
    tasks: Tasks,
}

impl Process {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            readiness: Readiness::new(),
            shutdown: Shutdown::new(),
            tasks: Tasks::new(),
        }
    }

    /// Gets secrets and keeps them fresh; each is handed to `put_in_force`.
    fn keep_secrets(
        &self,
        put_in_force: impl Fn(Secret) -> Result<(), InvalidSecret> + Send + Sync + 'static,
    ) -> watch::Receiver<identity::Status> {
        let authority = ControlPlane::new(&self.settings.ca_address, &self.settings);
        let renewal = Renewal::new(authority, self.settings.identity.clone());
        let status = renewal.status();
        self.tasks.spawn("identity", renewal.run(put_in_force));
        status
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
    logs::install(&settings)?;
    let process = Process::new(settings);
    let shared = Arc::new(shared(&process.settings)?);
    let sockets = capture_sockets(&process.settings)?;
    let workers = Workers::start(process.settings.concurrency.get(), &shared, &sockets)
        .context("worker threads")?;
    let telemetry = shared.telemetry.clone();
    let outcome = process.block_on(|process| beside(process, shared, workers));
    telemetry.finish_logs(LAST_LINES);
    outcome
}

fn shared(settings: &Settings) -> Result<Shared> {
    let telemetry = Telemetry::new(settings);
    let metadata = metadata_exchange::encode(&metadata_exchange::metadata(telemetry.workload()));
    Ok(Shared {
        listeners: Listeners::new(vec![
            settings.addresses.outbound,
            settings.addresses.inbound,
        ]),
        routes: Default::default(),
        clusters: Default::default(),
        secrets: Secrets::default(),
        drain: Drain::default(),
        metadata,
        telemetry,
    })
}

/// The capture sockets, bound before anything else: clients wait rather than be refused while configuration comes.
fn capture_sockets(settings: &Settings) -> Result<Vec<(SocketAddr, TcpListener)>> {
    let bind = |address| {
        let socket = socket::bind(address).with_context(|| {
            format!("{address} can't be bound\nhint: does another proxy run in this pod?")
        })?;
        Ok((address, socket))
    };
    [settings.addresses.outbound, settings.addresses.inbound]
        .into_iter()
        .map(bind)
        .collect()
}

/// All that stands beside the path, and the end.
async fn beside(process: Arc<Process>, shared: Arc<Shared>, workers: Workers) -> Result<()> {
    let configured = process
        .readiness
        .condition("configuration", "nothing has been asked for yet");
    let store = Arc::new(Store::default());
    let identity = {
        let shared = Arc::clone(&shared);
        process.keep_secrets(move |secret| shared.secrets.set(secret))
    };
    let xds = Xds::new(&process.settings, Arc::clone(&shared), Arc::clone(&store));
    process.tasks.spawn("xds", xds.run());
    let progress = Progress::new(Arc::clone(&shared), Arc::clone(&store), identity.clone());
    process.tasks.spawn("progress", progress.run(configured));
    // ADMIN
    process.shutdown.begun().await;
    tokio::select! {
        () = end(&process, &shared, &workers) => {}
        () = process.shutdown.forced() => tracing::warn!("ended at once: connections are cut"),
    }
    let late = process
        .tasks
        .join(LAST_TASKS, process.shutdown.forced())
        .await;
    tracing::debug!(?late, "tasks ended");
    tokio::task::spawn_blocking(move || workers.stop())
        .await
        .context("workers")
}

/// Not ready any more; inbound connections finish, and new ones are still taken for a while, because clients may not know
/// yet; then nothing new, and what is left may finish. Outbound goes last: the application may still need it.
async fn end(process: &Process, shared: &Shared, workers: &Workers) {
    process.readiness.end("server is terminated");
    tracing::info!(
        connections = workers.connections(),
        "inbound connections drain"
    );
    shared.drain.drain_inbound();
    sleep(process.settings.termination_drain_duration).await;
    workers.stop_accepting();
    shared.drain.drain_all();
    let deadline = Instant::now() + process.settings.drain_duration;
    while workers.connections() > 0 && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    tracing::info!(connections = workers.connections(), "drained");
}

/// Gets the workload's certificate and serves it to another data plane of the pod.
fn agent(settings: Settings) -> Result<()> {
    logs::install(&settings)?;
    Process::new(settings).block_on(|process| async move {
        let served = Served::default();
        let identity = {
            let served = served.clone();
            // Judged before it is served: what we could not use ourselves is not handed on.
            let secrets = Secrets::default();
            process.keep_secrets(move |secret| {
                secrets.set(secret.clone()).map(|()| served.set(&secret))
            })
        };
        // ADMIN-AGENT
        let _ = identity;
        let socket = &process.settings.paths.sds_socket;
        sds::serve(socket, &served, process.shutdown.begun())
            .await
            .with_context(|| socket.display().to_string())?;
        process
            .tasks
            .join(LAST_TASKS, process.shutdown.forced())
            .await;
        Ok(())
    })
}
