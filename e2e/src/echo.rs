//! The application that answers with what it was asked, and keeps a ledger of it.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
};
use std::{
    fs::File,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// Header with the number of a request, written to the ledger.
pub(crate) const REQUEST_NUMBER: &str = "x-request-number";

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Port to listen on, on all addresses.
    #[arg(long, default_value_t = 80)]
    port: u16,
    /// Name to answer with.
    #[arg(long, default_value = "echo")]
    name: String,
    /// File to which the `x-request-number` of each request is appended, one a line.
    #[arg(long)]
    ledger: Option<PathBuf>,
}

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
    runtime.block_on(serve(application, options.port))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(application: Arc<Application>, port: u16) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address}"))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let connections = GracefulShutdown::new();
    let builder = auto::Builder::new(TokioExecutor::new());
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = terminate.recv() => break,
        };
        let application = Arc::clone(&application);
        let service = service_fn(move |request| answer(Arc::clone(&application), request));
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

async fn answer(
    application: Arc<Application>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if let (Some(ledger), Some(number)) = (&application.ledger, head.headers.get(REQUEST_NUMBER)) {
        let mut line = number.as_bytes().to_vec();
        line.push(b'\n');
        ledger
            .lock()
            .map_err(|_| anyhow::anyhow!("the ledger is broken"))?
            .write_all(&line)?;
    }
    let mut text = format!(
        "{}\n{} {} {:?}\n",
        application.name, head.method, head.uri, head.version
    );
    for (name, value) in &head.headers {
        text.push_str(&format!(
            "{name}: {}\n",
            String::from_utf8_lossy(value.as_bytes())
        ));
    }
    text.push_str(&format!("body: {} bytes\n", body.len()));
    Ok(Response::builder()
        .header("content-type", "text/plain")
        .body(Full::from(text))?)
}
