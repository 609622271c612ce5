//! `request`: one question or order, its answer written out as it comes, however long.

use super::{Error, exchange, refusal};
use crate::config;
use bytes::Bytes;
use http::{Request, uri::Authority};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::{
    io::{self, Write},
    time::Duration,
};
use tokio::time::timeout;

/// How long the whole answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks, and writes the answer to `out`.
///
/// # Errors
/// If the proxy can't be asked, or its answer is an error, which then says why.
pub async fn request(typed: &config::Request, out: &mut impl Write) -> Result<(), Error> {
    let authority = format!("localhost:{}", typed.port);
    let authority =
        Authority::from_maybe_shared(authority).map_err(|e| Error::Request(e.into()))?;
    let request = Request::builder()
        .method(&typed.method)
        .uri(&typed.path)
        .body(Full::from(Bytes::from(typed.body.clone())));
    let answered = exchange(
        &authority,
        request.map_err(Error::Request)?,
        async |response| {
            let status = response.status();
            if status.is_client_error() || status.is_server_error() {
                return Err(refusal(&authority, response).await);
            }
            print(response.into_body(), &authority, out).await
        },
    );
    let answered = timeout(PATIENCE, answered).await;
    answered.unwrap_or(Err(Error::Timeout(authority.clone(), PATIENCE)))
}

async fn print(
    mut body: Incoming,
    authority: &Authority,
    out: &mut impl Write,
) -> Result<(), Error> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::Http(authority.clone(), error))?;
        match frame
            .data_ref()
            .map_or(Ok(()), |piece| out.write_all(piece))
        {
            // Who reads it may have seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(Error::Print)?,
        }
    }
    out.flush().map_err(Error::Print)
}
