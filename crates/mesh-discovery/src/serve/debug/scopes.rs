//! Scopes of the log and their levels, in the form of Istio's ControlZ.
//!
//! A level is changed by PUT only, which no web page can make a browser send here without being asked first, and only by
//! who is on this machine: an identity of the mesh, whatever its namespace, has no say in what is logged.

use super::{Pages, Refused, VisitorOf, json};
use crate::scopes::description;
use axum::{
    Json,
    extract::{ConnectInfo, Path, State},
    response::Response,
};
use http::StatusCode;
use mesh_runtime::log::Level;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc};

/// A scope, under the names of Istio's fields.
#[derive(Serialize)]
struct Scope {
    name: &'static str,
    description: &'static str,
    output_level: &'static str,
    /// Istio adds Go's stack traces from this level on.
    stack_trace_level: &'static str,
    /// Istio adds Go's callers.
    log_callers: bool,
}

/// What of a scope can be set.
#[derive(Deserialize)]
pub(super) struct Wanted {
    output_level: String,
}

/// All scopes.
pub(super) async fn all(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
) -> Result<Response, Refused> {
    visitor.may_see_all()?;
    json(&scopes(&pages))
}

/// One scope.
pub(super) async fn one(
    State(pages): State<Arc<Pages>>,
    visitor: VisitorOf,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    visitor.may_see_all()?;
    let found = scopes(&pages).into_iter().find(|scope| scope.name == name);
    json(&found.ok_or_else(|| unknown(&name))?)
}

/// Sets the level of a scope.
pub(super) async fn set(
    State(pages): State<Arc<Pages>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    visitor: VisitorOf,
    Path(name): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Refused> {
    if !address.ip().is_loopback() {
        let reason = "levels are set from this machine, such as through a forwarded port";
        return Err(Refused::Status(StatusCode::FORBIDDEN, reason.into()));
    }
    visitor.may_see_all()?;
    let level: Level = wanted
        .output_level
        .parse()
        .map_err(|e| Refused::Status(StatusCode::BAD_REQUEST, format!("{e}")))?;
    let set = pages.logging.set(&name, level);
    set.map_err(|_| unknown(&name))?;
    tracing::info!(
        scope = name,
        level = istios(level),
        "a level of the log was set"
    );
    one(State(pages), visitor, Path(name)).await
}

fn scopes(pages: &Pages) -> Vec<Scope> {
    let levels = pages.logging.levels().into_iter();
    let scopes = levels.map(|(name, level)| Scope {
        name,
        description: description(name),
        output_level: istios(level),
        stack_trace_level: "none",
        log_callers: false,
    });
    scopes.collect()
}

/// Istio's name of a level.
fn istios(level: Level) -> &'static str {
    match level {
        Level::Off => "none",
        Level::Error => "error",
        Level::Warning => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

fn unknown(name: &str) -> Refused {
    Refused::Status(
        StatusCode::NOT_FOUND,
        format!("there is no scope {name}; /scopej/ lists those that there are"),
    )
}
