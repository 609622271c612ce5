//! The application that answers with what it was asked, and keeps a ledger of it.
//!
//! ```text
//! http  what it says in HTTP: a description of the request, its body, its gRPC messages
//! raw   what it says in bytes: those it was sent
//! ```

pub(crate) mod http;
pub(crate) mod raw;

use anyhow::{Context, Result};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
};
use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

/// Header with the number of a request, written to the ledger.
pub(crate) const REQUEST_NUMBER: &str = "x-request-number";

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Port to listen on, on all addresses.
    #[arg(long, default_value_t = 80)]
    port: u16,
    /// Ports on which HTTP is answered, and any other bytes are sent back.
    #[arg(long)]
    any_port: Vec<u16>,
    /// Port on which the server speaks first.
    #[arg(long)]
    greeting_port: Option<u16>,
    /// Name to answer with.
    #[arg(long, default_value = "echo")]
    name: String,
    /// File to which the `x-request-number` of each request is appended, one a line.
    #[arg(long)]
    ledger: Option<PathBuf>,
}

/// What all connections share.
struct Application {
    name: String,
    ledger: Option<Mutex<File>>,
}

/// Serves HTTP/1 and HTTP/2 until SIGTERM, then finishes what is in flight.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let open = |path: &PathBuf| {
        File::options()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| path.display().to_string())
    };
    let ledger = options
        .ledger
        .as_ref()
        .map(open)
        .transpose()?
        .map(Mutex::new);
    let application = Arc::new(Application {
        name: options.name,
        ledger,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Ends with the process, as what is raw has no graceful end.
        let mut raw = JoinSet::new();
        for port in options.any_port {
            let (application, listener) = (Arc::clone(&application), listen(port).await?);
            raw.spawn(async move {
                each(listener, |stream| any(Arc::clone(&application), stream)).await
            });
        }
        if let Some(port) = options.greeting_port {
            let listener = listen(port).await?;
            raw.spawn(async move { each(listener, raw::greet).await });
        }
        serve(application, listen(options.port).await?).await
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn listen(port: u16) -> Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address}"))
}

/// HTTP alone, with a graceful end.
async fn serve(application: Arc<Application>, listener: TcpListener) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let connections = GracefulShutdown::new();
    let builder = auto::Builder::new(TokioExecutor::new());
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = terminate.recv() => break,
        };
        // Else the second half of an answer may wait for the client to say that it has the first.
        let _ = stream.set_nodelay(true);
        let application = Arc::clone(&application);
        let service = service_fn(move |request| http::answer(Arc::clone(&application), request));
        let connection = builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        // A broken connection is its client's business.
        tokio::spawn(connections.watch(connection));
    }
    drop(listener);
    let _ = tokio::time::timeout(Duration::from_secs(10), connections.shutdown()).await;
    Ok(())
}

/// Runs `talk` with each connection.
async fn each<F>(listener: TcpListener, talk: impl Fn(TcpStream) -> F)
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut talks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { talks.spawn(talk(stream)); }
                Err(error) => eprintln!("accept: {error}"),
            },
            Some(ended) = talks.join_next() => if let Ok(Err(error)) = ended {
                eprintln!("a connection: {error:#}");
            },
        }
    }
}

/// HTTP, which begins with a capital letter, or any bytes that do not.
async fn any(application: Arc<Application>, mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    stream.peek(&mut first).await?;
    if !first[0].is_ascii_uppercase() {
        return raw::echo(&mut stream).await;
    }
    let service = service_fn(move |request| http::answer(Arc::clone(&application), request));
    let builder = auto::Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    connection.await.map_err(|error| anyhow::anyhow!("{error}"))
}
