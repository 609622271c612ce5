//! `meshctl dashboard`: a port of this machine that leads to a pod's pages, until Ctrl-C.

use std::future::Future;
use std::io;
use std::process::{Child, Command, Stdio};

use tokio::signal::unix::{SignalKind, signal};

use super::Open;
use crate::args::{Dashboard, Local, Of};
use crate::failure::Failure;
use crate::fetch::{self, Forward, HttpError, Mesh, Server};

/// The program that opens a URL in the user's browser.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else {
    "xdg-open"
};

pub(super) fn run(command: &Dashboard, mesh: Open<'_>) -> Result<String, Failure> {
    match command {
        Dashboard::Proxy {
            of,
            proxy_admin_port,
            local,
        } => {
            let proxy = mesh().and_then(|mesh| {
                let pod = pod(of, &mesh)?;
                mesh.proxy_at(&pod, *proxy_admin_port)
            })?;
            let page = Page {
                path: "",
                probe: "/server_info",
                port: *proxy_admin_port,
            };
            show(proxy.server(), &page, local)
        }
        Dashboard::IstiodDebug { pod, local } => {
            let plane = mesh()?.discovery(pod.as_deref())?;
            let page = Page {
                path: "/debug",
                probe: "/version",
                port: mesh_model::port::DISCOVERY_HTTP,
            };
            show(plane.server(), &page, local)
        }
    }
}

/// The pod as it would be typed.
fn pod(of: &Of, mesh: &Mesh) -> Result<String, fetch::Error> {
    let (typed, labels) = (of.pod.as_deref(), of.selector.as_deref());
    if let Some(typed) = typed {
        return Ok(typed.to_owned());
    }
    let pods = mesh.labelled(labels.unwrap_or_default())?;
    if pods.len() > 1 {
        eprintln!(
            "warning: {} pods have these labels; this is {}",
            pods.len(),
            pods[0]
        );
    }
    Ok(pods[0].clone())
}

/// What is shown.
struct Page {
    path: &'static str,
    /// A path that is always answered, to be sure that there is somebody.
    probe: &'static str,
    /// The port that it has in the pod.
    port: u16,
}

fn show(server: &Server, page: &Page, local: &Local) -> Result<String, Failure> {
    match server.get(page.probe) {
        // It does not have that page, but it is there.
        Ok(_) | Err(HttpError::Refused { .. }) => {}
        Err(error) => return Err(fetch::Error::from(error).into()),
    }
    fetch::block_on(async {
        let listening = Forward::listen(&local.address, local.port, page.port).await;
        let forward = listening.map_err(fetch::Error::from)?;
        // Before the URL is told: whoever reads it may interrupt at once.
        let end = interrupted()?;
        let url = format!("http://{}{}", forward.authority()?, page.path);
        crate::print(&format!("{url}\n"))?;
        let browser = open(&url, local.browser)?;
        forward.run(server, end).await;
        if let Some(mut browser) = browser {
            // Ended long ago, or the browser itself, which is the user's.
            let _ = browser.try_wait();
        }
        Ok(String::new())
    })
}

fn open(url: &str, wanted: bool) -> Result<Option<Child>, Failure> {
    if !wanted {
        crate::print("skipping opening a browser\n")?;
        return Ok(None);
    }
    let mut opener = Command::new(OPENER);
    opener.arg(url).stdin(Stdio::null());
    match opener.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => Ok(Some(child)),
        Err(_) => {
            crate::print(&format!(
                "Failed to open browser; open {url} in your browser.\n"
            ))?;
            Ok(None)
        }
    }
}

/// Ctrl-C, or the end that a script asks for; heard from now on, not only once somebody waits for it.
///
/// # Errors
/// If the system has no signals for us.
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
