//! Where the requests of a job go, and whether they are answered as they should be.

use super::{BARE_BACKEND, BARE_CLIENT, BODY, PLAIN, Pods, Site};
use crate::{
    bench::{
        job::{Job, Path, Protocol, Subject},
        load::Target,
    },
    netns::container::User,
};
use anyhow::{Result, bail, ensure};
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// How long configuration may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

impl Site {
    /// Where the requests of a job go.
    pub(crate) fn target(&self, job: Job, subject: Subject) -> Target {
        let pods = Pods::of(subject);
        let (service, namespace, address) = match (job.path, pods) {
            (Path::Pair, Some(pods)) => (pods.service, "test", pods.service_address),
            _ => ("backend", PLAIN, BARE_BACKEND.1),
        };
        // Without a sidecar nothing knows Service addresses.
        let bare = self.pod(BARE_BACKEND.0).map(|pod| pod.address);
        let (address, port) = match pods {
            Some(_) => (address, job.protocol.service_port()),
            None => (bare.unwrap_or(address), job.protocol.backend_port()),
        };
        Target {
            from: pods.map_or(BARE_CLIENT, |pods| pods.client),
            url: format!("http://{address}:{port}"),
            host: format!("{service}.{namespace}.svc.cluster.local"),
        }
    }

    /// Waits until a request is answered as it should be: over mutual TLS in a pair, in plaintext on a hop.
    pub(crate) fn check(&self, job: Job, subject: Subject, target: &Target) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(why) = self.checked(job, target) {
            if Instant::now() > deadline {
                let pods = self.on_the_way(job, subject)?;
                let logs: String = pods.iter().map(|(pod, _)| pod.last_lines()).collect();
                bail!("not answered as it should be within {PATIENCE:?}: {why:#}\n{logs}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn checked(&self, job: Job, target: &Target) -> Result<()> {
        let body = self.ask(job, target, "/")?;
        ensure!(
            body.len() == BODY,
            "the answer has {} bytes: {body}",
            body.len()
        );
        // The server's sidecar tells the backend who the peer of mutual TLS was, and nobody else does.
        let peer = self.ask(job, target, "/peer")?;
        ensure!(
            peer.contains("URI=spiffe://") == (job.path == Path::Pair),
            "x-forwarded-client-cert at the backend: `{peer}`"
        );
        Ok(())
    }

    fn ask(&self, job: Job, target: &Target, path: &str) -> Result<String> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail", "--max-time", "5"])
            .args(["-H", &format!("Host: {}", target.host)])
            .arg(format!("{}{path}", target.url));
        if job.protocol == Protocol::Http2 {
            curl.arg("--http2-prior-knowledge");
        }
        let output = self
            .pod(target.from)?
            .output(&mut curl, User::APPLICATION)?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", error.trim());
        Ok(String::from_utf8(output.stdout)?)
    }
}
