//! The log's scopes, by the names that Envoy and Istio have for them.

use crate::config::Settings;
use anyhow::Result;
use mesh_runtime::log::{Family, Format, Levels, Logging, Scope};

/// Each scope with the modules that it covers.
const SCOPES: &[Scope] = &[
    scope("admin", Family::Envoy, &["mesh_proxy::admin"]),
    scope("config", Family::Envoy, &["mesh_proxy::xds"]),
    scope(
        "connection",
        Family::Envoy,
        &[
            "mesh_proxy::listener",
            "mesh_proxy::network",
            "mesh_proxy::tls",
        ],
    ),
    scope("http", Family::Envoy, &["mesh_proxy::http"]),
    scope("upstream", Family::Envoy, &["mesh_proxy::upstream"]),
    scope("main", Family::Envoy, &["mesh_proxy::worker"]),
    // Part of the injected arguments. Nothing of ours is in it.
    scope("misc", Family::Envoy, &[]),
    scope("ca", Family::Istio, &["mesh_proxy::identity"]),
    scope("app", Family::Istio, &["mesh_proxy::app"]),
];

const fn scope(name: &'static str, family: Family, targets: &'static [&'static str]) -> Scope {
    Scope {
        name,
        family,
        targets,
    }
}

/// Starts the log, at the levels of `settings`.
pub(super) fn install(settings: &Settings) -> Result<Logging> {
    let levels = Levels::new(SCOPES)
        .istio(&settings.log_output_level)?
        .envoy(
            &settings.proxy_log_level,
            &settings.proxy_component_log_level,
        )?;
    let ignored = levels.ignored().to_vec();
    let logging = Logging::install(levels, Format::Text)?;
    for name in ignored {
        tracing::warn!("there is no log scope `{name}`: its level is ignored");
    }
    for setting in &settings.ignored {
        tracing::warn!("{setting} is not executed by this version");
    }
    Ok(logging)
}
