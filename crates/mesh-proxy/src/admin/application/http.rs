//! A GET, with redirects as the kubelet follows them: those to the same host, and no more than ten. What can't be
//! followed counts as a success.

use super::{Application, Failed, MOST_OF_PROBE, probe::HttpGet};
use crate::exchange;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header, uri::Authority};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 10;

/// Headers that belong to the connection over which a request came.
const OF_CONNECTION: [header::HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `None`: longer than wanted, or it broke off.
    pub(super) body: Option<Bytes>,
    /// In lower case; empty if there is none.
    pub(super) content_type: String,
    location: Option<String>,
}

impl Application {
    /// The answer at the end of all redirects.
    pub(super) async fn get_followed(
        &self,
        get: &HttpGet,
        incoming: &HeaderMap,
    ) -> Result<(StatusCode, Bytes), Failed> {
        let mut get = get.clone();
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.get(&get, incoming, MOST_OF_PROBE).await?;
            if !answer.status.is_redirection() {
                return Ok((answer.status, answer.body.unwrap_or_default()));
            }
            match answer
                .location
                .and_then(|to| redirected(&get, &to, incoming))
            {
                Some(next) => get = next,
                None => break,
            }
        }
        Ok((StatusCode::OK, Bytes::new()))
    }

    /// The answer to one GET.
    pub(super) async fn get(
        &self,
        get: &HttpGet,
        incoming: &HeaderMap,
        most: usize,
    ) -> Result<Answer, Failed> {
        let request = request(get, incoming)?;
        if get.is_https() {
            exchange(self.dial_tls(get.port).await?, request, most).await
        } else {
            exchange(self.dial(get.port).await?, request, most).await
        }
    }
}

fn request(get: &HttpGet, incoming: &HeaderMap) -> Result<Request<Empty<Bytes>>, Failed> {
    let target = get.target();
    let mut request = Request::get(target.as_str())
        .body(Empty::new())
        .map_err(|error| Failed::Request(target, error))?;
    let headers = request.headers_mut();
    let end_to_end = incoming
        .iter()
        .filter(|(name, _)| !OF_CONNECTION.contains(name));
    for (name, value) in end_to_end {
        headers.append(name, value.clone());
    }
    headers.insert(header::HOST, host(get, incoming));
    Ok(request)
}

/// The probe's own host, or the one that was asked for, with the application's port.
fn host(get: &HttpGet, incoming: &HeaderMap) -> HeaderValue {
    let asked = || format!("{}:{}", host_name(incoming), get.port);
    let host = get.own_host().map_or_else(asked, str::to_owned);
    HeaderValue::from_str(&host).unwrap_or(HeaderValue::from_static("localhost"))
}

fn host_name(incoming: &HeaderMap) -> String {
    let host = incoming
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    host.map_or_else(|| "localhost".to_owned(), |host| host.host().to_owned())
}

/// What a redirect asks for, if the kubelet would follow it.
fn redirected(get: &HttpGet, location: &str, incoming: &HeaderMap) -> Option<HttpGet> {
    let to: Uri = location.parse().ok()?;
    let path = to.path_and_query()?.to_string();
    let Some(authority) = to.authority() else {
        return Some(HttpGet {
            path,
            ..get.clone()
        });
    };
    if authority.host() != host_name(incoming) {
        return None;
    }
    let scheme = to.scheme_str().unwrap_or("http").to_owned();
    let usual = if scheme == "https" { 443 } else { 80 };
    Some(HttpGet {
        path,
        port: authority.port_u16().unwrap_or(usual),
        scheme,
        http_headers: get.http_headers.clone(),
    })
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Empty<Bytes>>,
    most: usize,
) -> Result<Answer, Failed> {
    exchange::http1(stream, request, Failed::Http, async |response| {
        Ok(answer(response, most).await)
    })
    .await
}

async fn answer(response: Response<Incoming>, most: usize) -> Answer {
    let text = |name| {
        let value = response.headers().get(name);
        value.and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let location = text(header::LOCATION).map(str::to_owned);
    let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let content_type = content_type.trim_start().to_ascii_lowercase();
    let status = response.status();
    let body = Limited::new(response.into_body(), most).collect().await;
    Answer {
        status,
        body: body.ok().map(|body| body.to_bytes()),
        content_type,
        location,
    }
}
