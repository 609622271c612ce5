//! `wait`: asks again and again until the proxy is ready. As a hook of the proxy's container it holds those that follow.

use super::{Error, exchange, refusal};
use crate::config::Wait;
use bytes::Bytes;
use http::{Request, StatusCode, uri::Authority};
use http_body_util::Full;
use tokio::time::{Instant, sleep, timeout};

/// Waits until the proxy says that it is ready.
///
/// # Errors
/// If it did not in time, with the reason that it gave last.
pub async fn wait(wait: &Wait) -> Result<(), Error> {
    let end = Instant::now() + wait.timeout();
    loop {
        let asked = Instant::now();
        let Err(reason) = ask(wait).await else {
            return Ok(());
        };
        tracing::debug!(%reason, "not ready");
        let next = asked + wait.period();
        if next >= end {
            return Err(Error::NotReady(wait.timeout(), Box::new(reason)));
        }
        sleep(next.saturating_duration_since(Instant::now())).await;
    }
}

async fn ask(wait: &Wait) -> Result<(), Error> {
    let unnamed = || Authority::from_static("localhost");
    let authority = wait.url.authority().cloned().unwrap_or_else(unnamed);
    let target = wait.url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(target).body(Full::<Bytes>::default());
    let answered = exchange(
        &authority,
        request.map_err(Error::Request)?,
        async |response| match response.status() {
            StatusCode::OK => Ok(()),
            _ => Err(refusal(&authority, response).await),
        },
    );
    let patience = wait.request_timeout();
    let answered = timeout(patience, answered).await;
    answered.unwrap_or(Err(Error::Timeout(authority.clone(), patience)))
}
