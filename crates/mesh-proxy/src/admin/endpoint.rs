//! The admin interface as a table: path, method, what it is, who answers. `/help` prints it.

use super::{
    Facts, certs, clusters, config_dump, ignored, lifecycle, listeners, logging, query::Query,
    reply::Reply, server_info, stats,
};
use http::{Method, Request, StatusCode};
use std::{fmt::Write, sync::Arc};

/// One line of the table.
struct Endpoint {
    path: &'static str,
    // It changes something, so that following a link is not enough.
    is_order: bool,
    about: &'static str,
    answer: fn(&Arc<Facts>, &Query) -> Reply,
}

const fn page(
    path: &'static str,
    about: &'static str,
    answer: fn(&Arc<Facts>, &Query) -> Reply,
) -> Endpoint {
    Endpoint {
        path,
        is_order: false,
        about,
        answer,
    }
}

const fn order(
    path: &'static str,
    about: &'static str,
    answer: fn(&Arc<Facts>, &Query) -> Reply,
) -> Endpoint {
    Endpoint {
        is_order: true,
        ..page(path, about, answer)
    }
}

const ENDPOINTS: &[Endpoint] = &[
    page("/certs", "certificates in force", certs::answer),
    page(
        "/clusters",
        "clusters and their hosts [?format=json]",
        clusters::answer,
    ),
    page(
        "/config_dump",
        "configuration as it was received [?include_eds][&resource=][&mask=]",
        config_dump::answer,
    ),
    order(
        "/drain_listeners",
        "end connections after their request [?inboundonly]",
        lifecycle::drain_listeners,
    ),
    order("/healthcheck/fail", "be unready", lifecycle::fail),
    order("/healthcheck/ok", "undo /healthcheck/fail", lifecycle::heal),
    page("/help", "this list", help),
    page(
        "/hot_restart_version",
        "there is no hot restart",
        server_info::hot_restart_version,
    ),
    page(
        "/ignored",
        "what of the configuration has no effect here [?format=json]",
        ignored::answer,
    ),
    page(
        "/listeners",
        "listeners and their addresses [?format=json]",
        listeners::answer,
    ),
    order(
        "/logging",
        "levels of the log [?level=][&<scope>=][&paths=<scope>:<level>,…]",
        logging::answer,
    ),
    page("/memory", "memory of the process", server_info::memory),
    order(
        "/quitquitquit",
        "end the process in an orderly way",
        lifecycle::quit,
    ),
    page(
        "/ready",
        "the state of the server; 200 if it is live",
        lifecycle::ready,
    ),
    order(
        "/reset_counters",
        "not offered: counters only grow",
        stats::reset_counters,
    ),
    page(
        "/runtime",
        "there are no runtime values",
        server_info::runtime,
    ),
    page(
        "/server_info",
        "version, state and settings",
        server_info::answer,
    ),
    page(
        "/stats",
        "counters and gauges [?usedonly][&filter=<regex>][&format=json|prometheus]",
        stats::answer,
    ),
    page(
        "/stats/prometheus",
        "everything that is measured, in Prometheus' text form",
        stats::prometheus,
    ),
];

/// Answers a request that may be made, on a thread that may block.
pub(super) async fn answer<B>(request: &Request<B>, facts: Arc<Facts>) -> Reply {
    let path = request.uri().path();
    let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| endpoint.path == path) else {
        let why = format!("there is no {path}\nhint: /help lists what there is");
        return Reply::refuse(StatusCode::NOT_FOUND, why);
    };
    if let Err(refused) = endpoint.check(request.method()) {
        return refused;
    }
    let (answer, query) = (endpoint.answer, Query::of(request.uri()));
    let answered = tokio::task::spawn_blocking(move || answer(&facts, &query));
    answered.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a page of the admin interface");
        Reply::refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "this page could not be made",
        )
    })
}

impl Endpoint {
    fn check(&self, method: &Method) -> Result<(), Reply> {
        if self.is_order && *method != Method::POST {
            let why = format!("{} needs POST, not {method}", self.path);
            return Err(Reply::refuse(StatusCode::METHOD_NOT_ALLOWED, why));
        }
        Ok(())
    }
}

fn help(_: &Arc<Facts>, _: &Query) -> Reply {
    let mut text = String::from("admin commands are:\n");
    for Endpoint {
        path,
        is_order,
        about,
        ..
    } in ENDPOINTS
    {
        let method = if *is_order { " (POST)" } else { "" };
        let _ = writeln!(text, "  {path}{method}: {about}");
    }
    Reply::text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_sorted_and_unique() {
        let paths: Vec<_> = ENDPOINTS.iter().map(|e| e.path).collect();
        assert!(paths.is_sorted_by(|a, b| a < b), "{paths:?}");
    }
}
