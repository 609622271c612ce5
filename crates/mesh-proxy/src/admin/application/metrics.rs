//! The application's metrics: one page or several, asked at the same time, in a form that all of them have.

use super::{
    Application, Failed, in_time,
    probe::{HttpGet, Metrics},
};
use crate::reason;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, header::ACCEPT};
use mesh_model::port::RESERVED;
use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

/// Of all pages together; what is longer than its part of it is left out.
const MOST: usize = 32 << 20;
/// Media type of OpenMetrics.
const OPENMETRICS: &str = "application/openmetrics-text";
/// Asks for the older form.
const ASK_TEXT: HeaderValue = HeaderValue::from_static("text/plain;version=0.0.4");
/// Asks for OpenMetrics, or else the older form.
const ASK_BOTH: HeaderValue = HeaderValue::from_static(
    "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
);

/// The application's pages, in the order in which the pod lists them.
#[derive(Debug, Default, PartialEq)]
pub(in crate::admin) struct Pages {
    /// Whether all are OpenMetrics, and whoever asks takes that.
    pub(in crate::admin) are_openmetrics: bool,
    /// The texts; each may end with `# EOF`.
    pub(in crate::admin) texts: Vec<Bytes>,
}

struct Page {
    is_openmetrics: bool,
    text: Bytes,
}

/// Where the application is to be scraped: not at the proxy's own ports, which would come back to us.
pub(super) fn places(metrics: &Metrics) -> Vec<HttpGet> {
    let is_own = |place: &HttpGet| {
        let is_own = !RESERVED.contains(&place.port);
        if !is_own {
            tracing::warn!(
                place.port,
                "the application's metrics are left out: the port is the proxy's"
            );
        }
        is_own
    };
    let places = metrics.places().into_iter().filter_map(|place| {
        place
            .inspect_err(|port| {
                tracing::warn!(port, "the application's metrics are left out: no port")
            })
            .ok()
    });
    places.filter(is_own).collect()
}

impl Application {
    /// The pages that come within `patience`, in a form that the scraper which sent `incoming` takes. What goes wrong costs
    /// its own part only.
    pub(in crate::admin) async fn metrics(
        &self,
        patience: Duration,
        incoming: &HeaderMap,
    ) -> Pages {
        let end = Instant::now() + patience;
        let accept = incoming.get(ACCEPT).and_then(|accept| accept.to_str().ok());
        let takes_openmetrics = accept.is_some_and(|accept| accept.contains(OPENMETRICS));
        let mut pages = match takes_openmetrics {
            true => self.pages(ASK_BOTH, end).await,
            false => self.pages(ASK_TEXT, end).await,
        };
        let newer = pages.iter().filter(|page| page.is_openmetrics).count();
        let are_openmetrics = takes_openmetrics && newer > 0 && newer == pages.len();
        // Some lines of OpenMetrics are mistakes in the older form, so who has both is asked for that.
        if takes_openmetrics && newer > 0 && !are_openmetrics {
            pages = self.pages(ASK_TEXT, end).await;
        }
        Pages {
            are_openmetrics,
            texts: pages.into_iter().map(|page| page.text).collect(),
        }
    }

    /// How many pages could not be had so far.
    pub(in crate::admin) fn scrape_failures(&self) -> u64 {
        self.scrape_failures.load(Relaxed)
    }

    async fn pages(&self, accept: HeaderValue, end: Instant) -> Vec<Page> {
        let headers = HeaderMap::from_iter([(ACCEPT, accept)]);
        let patience = end.saturating_duration_since(Instant::now());
        let asked = self.places.iter().map(async |place| {
            let page = in_time(patience, self.page(place, &headers)).await;
            page.inspect_err(|failed| self.failed(place, failed)).ok()
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    async fn page(&self, place: &HttpGet, headers: &HeaderMap) -> Result<Page, Failed> {
        let most = MOST / self.places.len().max(1);
        let answer = self.get(place, headers, most).await?;
        if !answer.status.is_success() {
            return Err(Failed::Status(answer.status));
        }
        Ok(Page {
            is_openmetrics: answer.content_type.starts_with(OPENMETRICS),
            text: answer.body.ok_or(Failed::Length(most))?,
        })
    }

    fn failed(&self, place: &HttpGet, failed: &Failed) {
        self.scrape_failures.fetch_add(1, Relaxed);
        let why = reason::one_line(failed);
        tracing::warn!(port = place.port, path = ?place.path, "metrics of the application: {why}");
    }
}
