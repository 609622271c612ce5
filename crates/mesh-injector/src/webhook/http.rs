//! Requests: `POST /inject`, and what is asked of every process (`/ready`, `/metrics`).
//!
//! Limits stand here: what is too large, too slow or of another type never reaches a parser.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, header};
use mesh_runtime::readiness::Readiness;

use super::{
    live::Live,
    metrics::Metrics,
    path,
    review::{self, Answer, Verdict},
};

/// Largest review, in bytes. The API server takes objects of 3 MB at most.
pub const MAX_BODY: usize = 4 << 20;
/// Longest time for a body to come. The API server waits 10 s for the whole answer.
const BODY: Duration = Duration::from_secs(5);

/// What requests are answered from.
#[derive(Debug)]
pub struct Webhook {
    /// Settings.
    pub live: Arc<Live>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Whether we can serve.
    pub readiness: Readiness,
}

/// The routes of port 15017.
pub fn reviews(webhook: Arc<Webhook>) -> Router {
    Router::new()
        .route("/inject", post(inject_plain))
        .route("/inject/", post(inject_plain))
        .route("/inject/{*rest}", post(inject_with_path))
        .route("/ready", get(ready))
        .with_state(webhook)
}

/// The routes of the monitoring port.
pub fn monitoring(webhook: Arc<Webhook>) -> Router {
    Router::new()
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(webhook)
}

async fn ready(State(webhook): State<Arc<Webhook>>) -> Response {
    match webhook.readiness.check() {
        Ok(()) => "ready\n".into_response(),
        Err(unready) => (StatusCode::SERVICE_UNAVAILABLE, format!("{unready}\n")).into_response(),
    }
}

async fn metrics(State(webhook): State<Arc<Webhook>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, webhook.metrics.text()).into_response()
}

async fn inject_plain(webhook: State<Arc<Webhook>>, headers: HeaderMap, body: Body) -> Response {
    inject(&webhook, "", &headers, body).await
}

async fn inject_with_path(
    webhook: State<Arc<Webhook>>,
    Path(rest): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    inject(&webhook, &rest, &headers, body).await
}

async fn inject(webhook: &Webhook, rest: &str, headers: &HeaderMap, body: Body) -> Response {
    webhook.metrics.requested();
    match review(webhook, rest, headers, body).await {
        Ok(answer) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (kind, answer.body).into_response()
        }
        Err((status, message)) => {
            webhook.metrics.failed();
            tracing::warn!(
                status = status.as_u16(),
                reason = message,
                "refused a request"
            );
            (status, format!("{message}\n")).into_response()
        }
    }
}

async fn review(
    webhook: &Webhook,
    rest: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Answer, (StatusCode, String)> {
    check(headers)?;
    let mut settings = webhook.live.settings();
    path::apply(rest, &mut settings).map_err(|e| (StatusCode::BAD_REQUEST, e.to_string()))?;
    let body = read(body).await?;
    let begin = Instant::now();
    let answer = review::answer(&body, &settings).map_err(|error| {
        let error = anyhow::Error::new(error);
        (StatusCode::BAD_REQUEST, format!("{error:#}"))
    })?;
    let took = begin.elapsed();
    webhook.metrics.answered(&answer.verdict, took);
    log(&answer, took);
    Ok(answer)
}

/// One line for each decision: "why was my pod not injected" is what users ask most.
fn log(answer: &Answer, took: Duration) {
    let Answer { namespace, pod, .. } = answer;
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    match &answer.verdict {
        Verdict::Injected(why) => {
            tracing::info!(namespace, pod, decision = "injected", reason = %why, took_us, "pod");
        }
        Verdict::Skipped(skip) => {
            tracing::info!(namespace, pod, decision = "skipped", reason = %skip, took_us, "pod");
        }
        Verdict::Refused(reason) => {
            tracing::warn!(namespace, pod, decision = "refused", reason, took_us, "pod");
        }
    }
}

fn check(headers: &HeaderMap) -> Result<(), (StatusCode, String)> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let unsupported = |message: String| Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return unsupported(format!(
            "content type `{content_type}` is not supported, only application/json"
        ));
    }
    if let Some(coding) = text(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        return unsupported(format!("content encoding `{coding}` is not supported"));
    }
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    match length {
        Some(length) if length > MAX_BODY => Err(too_large()),
        _ => Ok(()),
    }
}

fn too_large() -> (StatusCode, String) {
    let message = format!("reviews of more than {MAX_BODY} bytes are not read");
    (StatusCode::PAYLOAD_TOO_LARGE, message)
}

async fn read(body: Body) -> Result<axum::body::Bytes, (StatusCode, String)> {
    match tokio::time::timeout(BODY, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let error = anyhow::Error::new(error);
            match error
                .chain()
                .any(|e| e.is::<http_body_util::LengthLimitError>())
            {
                true => Err(too_large()),
                false => Err((
                    StatusCode::BAD_REQUEST,
                    format!("the body broke off: {error:#}"),
                )),
            }
        }
        Err(_) => Err((
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not come within {BODY:?}"),
        )),
    }
}
