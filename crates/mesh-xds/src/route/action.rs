//! What a route does with a request.

use super::retry;
use crate::{
    decode::{self, At, wire_duration},
    pb::envoy::config::{
        core::v3::DataSource,
        route::v3::{
            DirectResponseAction, RouteAction as Wire,
            route::Action,
            route_action::{ClusterSpecifier, MaxStreamDuration as WireLimits},
        },
    },
    source,
};
use mesh_model::{
    ClusterName,
    route::{DirectResponse, Forward, MaxStreamDuration, RouteAction},
};
use std::mem::take;

pub(super) fn encode(action: &RouteAction) -> Action {
    match action {
        RouteAction::Forward(forward) => Action::Route(encode_forward(forward)),
        RouteAction::DirectResponse(response) => Action::DirectResponse(DirectResponseAction {
            status: response.status.into(),
            body: (!response.body.is_empty()).then(|| source::encode_readable(&response.body)),
            body_format: None,
        }),
    }
}

// `max_grpc_timeout` gave way to `max_stream_duration`; Istio writes it all the same, and so does the model.
#[allow(deprecated)]
fn encode_forward(forward: &Forward) -> Wire {
    Wire {
        cluster_specifier: Some(ClusterSpecifier::Cluster(forward.cluster.to_string())),
        timeout: forward.timeout.map(wire_duration),
        max_grpc_timeout: forward.max_grpc_timeout.map(wire_duration),
        max_stream_duration: forward.max_stream_duration.map(|limits| WireLimits {
            max_stream_duration: limits.max.map(wire_duration),
            grpc_timeout_header_max: limits.grpc_timeout_header_max.map(wire_duration),
            grpc_timeout_header_offset: None,
        }),
        retry_policy: forward.retry.as_ref().map(retry::encode),
        ..Default::default()
    }
}

pub(super) fn decode(wire: Option<Action>, at: &At<'_>) -> Option<RouteAction> {
    match wire {
        Some(Action::Route(wire)) => {
            decode_forward(wire, &at.field("route")).map(RouteAction::Forward)
        }
        Some(Action::DirectResponse(wire)) => {
            decode_response(wire, &at.field("direct_response")).map(RouteAction::DirectResponse)
        }
        Some(Action::Redirect(_)) => at
            .field("redirect")
            .refuse("this proxy does not execute it"),
        Some(Action::FilterAction(_) | Action::NonForwardingAction(_)) => {
            at.refuse("neither forwards nor answers")
        }
        None => at.field("action").refuse("must be set"),
    }
}

#[allow(deprecated)] // see `encode_forward`
fn decode_forward(mut wire: Wire, at: &At<'_>) -> Option<Forward> {
    let cluster = decode_cluster(wire.cluster_specifier.take(), at);
    let timeout = at.optional("timeout", wire.timeout.take(), decode::duration);
    let grpc = at.optional(
        "max_grpc_timeout",
        wire.max_grpc_timeout.take(),
        decode::duration,
    );
    let limits = at.optional(
        "max_stream_duration",
        wire.max_stream_duration.take(),
        decode_limits,
    );
    let retry = at.optional("retry_policy", wire.retry_policy.take(), retry::decode);
    at.finish(wire);
    Some(Forward {
        cluster: cluster?,
        timeout: timeout?,
        max_grpc_timeout: grpc?,
        max_stream_duration: limits?,
        retry: retry?,
    })
}

fn decode_cluster(wire: Option<ClusterSpecifier>, at: &At<'_>) -> Option<ClusterName> {
    match wire {
        Some(ClusterSpecifier::Cluster(name)) => at.text("cluster", name).map(Into::into),
        Some(ClusterSpecifier::WeightedClusters(_)) => at
            .field("weighted_clusters")
            .refuse("this proxy does not execute it"),
        Some(ClusterSpecifier::ClusterHeader(_)) => at
            .field("cluster_header")
            .refuse("this proxy does not execute it"),
        Some(_) => at
            .field("cluster_specifier_plugin")
            .refuse("this proxy does not execute it"),
        None => at.field("cluster").refuse("must be set"),
    }
}

fn decode_limits(mut wire: WireLimits, at: &At<'_>) -> Option<MaxStreamDuration> {
    let max = wire.max_stream_duration.take();
    let max = at.optional("max_stream_duration", max, decode::duration);
    let grpc = wire.grpc_timeout_header_max.take();
    let grpc = at.optional("grpc_timeout_header_max", grpc, decode::duration);
    at.finish(wire);
    Some(MaxStreamDuration {
        max: max?,
        grpc_timeout_header_max: grpc?,
    })
}

fn decode_response(mut wire: DirectResponseAction, at: &At<'_>) -> Option<DirectResponse> {
    let status = match take(&mut wire.status) {
        status @ 200..=599 => u16::try_from(status).ok(),
        other => at
            .field("status")
            .refuse(format!("{other} is no status to answer with")),
    };
    let body = at.optional("body", wire.body.take(), |wire: DataSource, at| {
        source::decode(wire, at)
    });
    at.finish(wire);
    Some(DirectResponse {
        status: status?,
        body: body?.unwrap_or_default(),
    })
}
