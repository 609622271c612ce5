//! The only wiring: settings in, a running webhook out.
//!
//! In the order of a start: sockets, so that a port in use is known at once; the settings of injection; the ports, which
//! say what is still missing; then certificate, caBundle and nodes. SIGTERM: not ready, new connections for a while
//! longer, then what is open finishes.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use kube::Client;
use mesh_api::access::{Access, AccessError, watching_client};
use mesh_runtime::{
    listen::{self, BindError, ListenAddress},
    readiness::Readiness,
    shutdown::{Shutdown, Signals},
    tasks::Tasks,
};
use rustls_pki_types::ServerName;
use tokio::{net::TcpListener, sync::watch};

use super::{
    authority::Authority,
    certificate::{self, Serving},
    config::{Command, Native},
    http::{self, Webhook},
    live::{Files, Kubelets, Live, Overrides, Reader},
    metrics::Metrics,
    nodes, registration,
    roots::{self, Roots},
    tls::Port,
};

/// Runs until a signal asks for the end.
///
/// # Errors
/// If a port, a file or the cluster cannot be had.
pub async fn run(command: Command) -> Result<()> {
    let signals = Signals::catch().context("cannot catch signals")?;
    let shutdown = Shutdown::new();
    let app = App::start(command, shutdown.clone()).await?;
    shutdown.while_running(signals, app.run()).await;
    Ok(())
}

struct App {
    command: Command,
    shutdown: Shutdown,
    tasks: Tasks,
    webhook: Arc<Webhook>,
}

impl App {
    async fn start(command: Command, shutdown: Shutdown) -> Result<Self> {
        let https = bind(&command.https_addr, "--httpsAddr").await?;
        let monitoring = bind(&command.monitoring_addr, "--monitoringAddr").await?;
        let (reader, mut settings) = Reader::open(files(&command), overrides(&command))?;
        settings.native_sidecars = command.native_sidecars == Native::True;
        let kubelets = Kubelets {
            native_sidecars: command.native_sidecars == Native::Auto,
            pre_stop_sleep: command.pre_stop_sleep,
        };
        let webhook = Arc::new(Webhook {
            live: Arc::new(Live::new(settings, kubelets)),
            metrics: Arc::new(Metrics::default()),
            readiness: Readiness::new(),
        });
        let app = Self {
            command,
            shutdown,
            tasks: Tasks::new(),
            webhook,
        };
        let client = match app.command.needs_cluster() {
            true => Some(
                client(&app.command)
                    .await
                    .context("no way to the API server")?,
            ),
            false => None,
        };
        let live = app.webhook.live.clone();
        app.tasks.spawn(
            "settings",
            reader.run(live, app.webhook.metrics.clone(), app.shutdown.clone()),
        );
        let roots = app.follow_roots(client.as_ref());
        let serving = app.keep_certificate(&roots)?;
        if let Some(client) = client {
            app.register(&client, &roots, &serving);
            app.watch_nodes(client);
        }
        app.serve(https, monitoring, &serving)?;
        Ok(app)
    }

    async fn run(self) {
        let readiness = self.webhook.readiness.clone();
        let ready = async {
            readiness.ready().await;
            tracing::info!("ready");
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = self.shutdown.begun() => {}
            () = ready => {}
        }
        self.webhook.readiness.end("shutting down");
        let deadline =
            duration(self.command.drain_delay) + duration(self.command.shutdown_duration);
        self.tasks.join(deadline, self.shutdown.forced()).await;
    }

    fn follow_roots(&self, client: Option<&Client>) -> Roots {
        let (announce, roots) = watch::channel(None);
        let source = match (&self.command.ca_root, client) {
            (Some(file), _) => roots::Source::File(file.clone()),
            (None, Some(client)) => {
                roots::Source::ConfigMap(client.clone(), self.command.namespace.clone())
            }
            (None, None) => return roots,
        };
        self.tasks
            .spawn("roots", roots::run(source, announce, self.shutdown.clone()));
        roots
    }

    fn keep_certificate(&self, roots: &Roots) -> Result<Arc<Serving>> {
        let command = &self.command;
        let name = command.dns_name();
        let name = ServerName::try_from(name.clone())
            .map_err(|_| anyhow!("--service-name and --namespace: `{name}` is no DNS name"))?;
        let serving = Serving::new(name, self.webhook.metrics.clone());
        let source = match (&command.tls_cert, &command.tls_key) {
            (Some(chain), Some(key)) => certificate::Source::Files(chain.clone(), key.clone()),
            _ => certificate::Source::Authority(Box::new(Authority {
                address: command
                    .ca_address
                    .clone()
                    .unwrap_or_else(|| format!("istiod.{}.svc:15012", command.namespace)),
                token: command.token.clone(),
            })),
        };
        let first = self
            .webhook
            .readiness
            .condition("certificate", "waiting for the roots of the mesh");
        self.tasks.spawn(
            "certificate",
            certificate::run(
                source,
                serving.clone(),
                roots.clone(),
                first,
                self.shutdown.clone(),
            ),
        );
        Ok(serving)
    }

    fn register(&self, client: &Client, roots: &Roots, serving: &Arc<Serving>) {
        for name in &self.command.webhook_config {
            let first = self.webhook.readiness.condition(
                "webhook configuration",
                format!("the caBundle of {name} is not set yet"),
            );
            self.tasks.spawn(
                "registration",
                registration::run(
                    client.clone(),
                    name.clone(),
                    roots.clone(),
                    (serving.clone(), registration::GRACE),
                    first,
                    self.shutdown.clone(),
                ),
            );
        }
    }

    fn watch_nodes(&self, client: Client) {
        if !self.command.asks_for_kubelets() {
            return;
        }
        let first = self
            .webhook
            .readiness
            .condition("nodes", "how old the kubelets are is not known yet");
        let live = self.webhook.live.clone();
        self.tasks.spawn(
            "nodes",
            nodes::run(client, live, first, self.shutdown.clone()),
        );
    }

    fn serve(
        &self,
        https: TcpListener,
        monitoring: TcpListener,
        serving: &Arc<Serving>,
    ) -> Result<()> {
        let lame_duck = duration(self.command.drain_delay);
        let metrics = &self.webhook.metrics;
        let reviews = Port {
            listener: https,
            tls: Some(serving.config().context("cannot set up TLS")?),
            router: http::reviews(self.webhook.clone()),
            metrics: metrics.clone(),
            lame_duck,
        };
        let monitoring = Port {
            listener: monitoring,
            tls: None,
            router: http::monitoring(self.webhook.clone()),
            metrics: metrics.clone(),
            lame_duck,
        };
        self.tasks
            .spawn("reviews", reviews.serve(self.shutdown.clone()));
        self.tasks
            .spawn("monitoring", monitoring.serve(self.shutdown.clone()));
        Ok(())
    }
}

fn files(command: &Command) -> Files {
    Files {
        config: command.inject_config.clone(),
        values: command.values.clone(),
        mesh: command.mesh_config.clone(),
    }
}

fn overrides(command: &Command) -> Overrides {
    Overrides {
        revision: command.revision.clone(),
        proxy_user: command.proxy_user,
    }
}

/// A negative one is none.
fn duration(typed: jiff::SignedDuration) -> Duration {
    Duration::try_from(typed).unwrap_or_default()
}

async fn bind(address: &ListenAddress, setting: &'static str) -> Result<TcpListener> {
    let bound = listen::bind(address, setting).await?;
    bound.with_context(|| format!("{setting}: the port cannot be switched off"))
}

async fn client(command: &Command) -> Result<Client, AccessError> {
    let access = Access {
        kubeconfig: command.kubeconfig.clone(),
        context: command.context.clone(),
        ..Access::default()
    };
    watching_client(access.config().await?)
}

/// What the operator can do about an error of [`run`], where that is known.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let port = cause.downcast_ref().map(BindError::hint);
        port.or_else(|| Some(cause.downcast_ref::<AccessError>()?.hint().to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn errors_of_a_start_have_a_hint() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("free port");
        let address = ListenAddress::At(taken.local_addr().expect("address"));
        let error = bind(&address, "--httpsAddr").await.expect_err("in use");
        let said = hint(&error.context("outer")).expect("a hint");
        assert!(said.contains("--httpsAddr"), "{said}");

        let arguments = ["mesh-injector", "--kubeconfig", "/nonexistent"];
        let command = <Command as clap::Parser>::parse_from(arguments);
        let error = client(&command).await.err().expect("no file");
        let said = hint(&anyhow::Error::new(error).context("outer")).expect("a hint");
        assert!(said.contains("--kubeconfig FILE"), "{said}");

        assert_eq!(hint(&anyhow!("another")), None);
    }
}
