//! `/server_info` and what else is told of the process as a whole.

use super::{Facts, descriptor, query::Query, readiness::State, reply::Reply};
use crate::xds;
use mesh_runtime::build::BUILD;
use mesh_xds::pb::{
    envoy::admin::v3::{self as admin, server_info},
    google::protobuf::Duration,
};
use serde_json::json;
use std::{fs, sync::Arc, time::SystemTime};

/// `/server_info`, an `envoy.admin.v3.ServerInfo`.
pub(super) fn answer(facts: &Arc<Facts>, _: &Query) -> Reply {
    let settings = &facts.settings;
    let uptime = SystemTime::now()
        .duration_since(facts.started)
        .unwrap_or_default();
    let uptime = Duration {
        seconds: uptime.as_secs() as i64,
        nanos: 0,
    };
    let state = match facts.state() {
        State::Live => server_info::State::Live,
        State::Draining => server_info::State::Draining,
        State::PreInitializing => server_info::State::PreInitializing,
        State::Initializing => server_info::State::Initializing,
    };
    let info = admin::ServerInfo {
        version: format!("{}/{}/Clean/RELEASE/rustls", BUILD.revision, BUILD.version),
        state: state.into(),
        uptime_current_epoch: Some(uptime),
        uptime_all_epochs: Some(uptime),
        hot_restart_version: DISABLED.to_owned(),
        command_line_options: Some(admin::CommandLineOptions {
            concurrency: u32::try_from(settings.concurrency.get()).unwrap_or(u32::MAX),
            log_level: settings.proxy_log_level.clone(),
            component_log_level: settings.proxy_component_log_level.clone(),
            service_cluster: settings.node.cluster.clone(),
            service_node: settings.node.id.to_string(),
            disable_hot_restart: true,
            ..Default::default()
        }),
        node: Some(xds::node::node(settings)),
        ..Default::default()
    };
    descriptor::page_with(&info, |json| {
        // Envoy prints it even if it is LIVE, the first of the enum.
        json["state"] = state.as_str_name().into();
    })
}

const DISABLED: &str = "disabled";

/// `/hot_restart_version`.
pub(super) fn hot_restart_version(_: &Arc<Facts>, _: &Query) -> Reply {
    Reply::text(format!("{DISABLED}\n"))
}

/// `/runtime`: Envoy's form for values of which there are none.
pub(super) fn runtime(_: &Arc<Facts>, _: &Query) -> Reply {
    Reply::json(&json!({ "layers": [], "entries": {} }))
}

/// `/memory`: what the kernel says. What the allocator keeps in reserve is part of it.
pub(super) fn memory(_: &Arc<Facts>, _: &Query) -> Reply {
    let status = match fs::read_to_string("/proc/self/status") {
        Ok(status) => status,
        Err(error) => {
            let why = format!("/proc/self/status: {error}");
            return Reply::refuse(http::StatusCode::INTERNAL_SERVER_ERROR, why);
        }
    };
    let allocated = kilobytes(&status, "RssAnon:") << 10;
    let resident = kilobytes(&status, "VmRSS:") << 10;
    descriptor::page(&admin::Memory {
        allocated,
        heap_size: allocated,
        total_physical_bytes: resident,
        ..Default::default()
    })
}

/// The number behind a name in `/proc/<pid>/status`.
fn kilobytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
