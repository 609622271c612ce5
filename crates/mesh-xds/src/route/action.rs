//! What a route does with a request.

use super::{hash, header, internal_redirect, mirror, redirect, retry, rewrite};
use crate::{
    decode::{self, At, Wrapped, wire_duration},
    pb::{
        envoy::config::{
            core::v3::DataSource,
            route::v3::{
                DirectResponseAction, RouteAction as Wire, WeightedCluster as WeightedClusters,
                route::Action,
                route_action::{ClusterSpecifier, MaxStreamDuration as WireLimits},
                weighted_cluster::ClusterWeight,
            },
        },
        google::protobuf::UInt32Value,
    },
    source,
};
use mesh_model::route::{
    DirectResponse, Forward, MaxStreamDuration, RouteAction, Target, WeightedCluster,
};
use std::mem::take;

pub(super) fn encode(action: &RouteAction) -> Action {
    match action {
        RouteAction::Forward(forward) => Action::Route(encode_forward(forward)),
        RouteAction::Redirect(redirect) => Action::Redirect(redirect::encode(redirect)),
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
    let mut wire = Wire {
        cluster_specifier: Some(match &forward.target {
            Target::Cluster(name) => ClusterSpecifier::Cluster(name.to_string()),
            Target::Weighted(all) => ClusterSpecifier::WeightedClusters(WeightedClusters {
                clusters: all.iter().map(encode_weighted).collect(),
                ..Default::default()
            }),
        }),
        timeout: forward.timeout.map(wire_duration),
        max_grpc_timeout: forward.max_grpc_timeout.map(wire_duration),
        max_stream_duration: forward.max_stream_duration.map(|limits| WireLimits {
            max_stream_duration: limits.max.map(wire_duration),
            grpc_timeout_header_max: limits.grpc_timeout_header_max.map(wire_duration),
            grpc_timeout_header_offset: limits.grpc_timeout_header_offset.map(wire_duration),
        }),
        idle_timeout: forward.idle_timeout.map(wire_duration),
        retry_policy: forward.retry.as_ref().map(retry::encode),
        hash_policy: forward.hash.iter().map(hash::encode).collect(),
        internal_redirect_policy: (forward.internal_redirects.as_ref())
            .map(internal_redirect::encode),
        request_mirror_policies: forward.mirrors.iter().map(mirror::encode).collect(),
        ..Default::default()
    };
    rewrite::encode(&forward.rewrite, &mut wire);
    wire
}

pub(super) fn decode(wire: Option<Action>, at: &At<'_>) -> Option<RouteAction> {
    match wire {
        Some(Action::Route(wire)) => {
            decode_forward(wire, &at.field("route")).map(RouteAction::Forward)
        }
        Some(Action::DirectResponse(wire)) => {
            decode_response(wire, &at.field("direct_response")).map(RouteAction::DirectResponse)
        }
        Some(Action::Redirect(wire)) => {
            redirect::decode(wire, &at.field("redirect")).map(RouteAction::Redirect)
        }
        Some(Action::FilterAction(_) | Action::NonForwardingAction(_)) => {
            at.refuse("neither forwards nor answers")
        }
        None => at.field("action").refuse("must be set"),
    }
}

#[allow(deprecated)] // see `encode_forward`
fn decode_forward(mut wire: Wire, at: &At<'_>) -> Option<Forward> {
    let target = decode_target(wire.cluster_specifier.take(), at);
    let rewrite = rewrite::decode(&mut wire, at);
    let mirrors = take(&mut wire.request_mirror_policies);
    let mirrors = at.list("request_mirror_policies", mirrors, mirror::decode);
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
    let idle = at.optional("idle_timeout", wire.idle_timeout.take(), decode::duration);
    let redirects = wire.internal_redirect_policy.take();
    let redirects = at.optional(
        "internal_redirect_policy",
        redirects,
        internal_redirect::decode,
    );
    let retry = at.optional("retry_policy", wire.retry_policy.take(), retry::decode);
    let hash = at.list("hash_policy", take(&mut wire.hash_policy), hash::decode);
    at.finish(wire);
    Some(Forward {
        target: target?,
        rewrite: rewrite?,
        mirrors: mirrors?,
        timeout: timeout?,
        max_grpc_timeout: grpc?,
        max_stream_duration: limits?,
        idle_timeout: idle?,
        retry: retry?,
        hash: hash?.into_iter().flatten().collect(),
        internal_redirects: redirects?,
    })
}

fn encode_weighted(cluster: &WeightedCluster) -> ClusterWeight {
    let headers = header::encode(&cluster.headers);
    ClusterWeight {
        name: cluster.name.to_string(),
        weight: Some(UInt32Value::wrap(cluster.weight)),
        request_headers_to_add: headers.request_headers_to_add,
        request_headers_to_remove: headers.request_headers_to_remove,
        response_headers_to_add: headers.response_headers_to_add,
        response_headers_to_remove: headers.response_headers_to_remove,
        ..Default::default()
    }
}

fn decode_target(wire: Option<ClusterSpecifier>, at: &At<'_>) -> Option<Target> {
    match wire {
        Some(ClusterSpecifier::Cluster(name)) => at
            .text("cluster", name)
            .map(|name| Target::Cluster(name.into())),
        Some(ClusterSpecifier::WeightedClusters(wire)) => {
            decode_weighted(wire, &at.field("weighted_clusters")).map(Target::Weighted)
        }
        Some(ClusterSpecifier::ClusterHeader(_)) => at
            .field("cluster_header")
            .refuse("this proxy does not execute it"),
        Some(_) => at
            .field("cluster_specifier_plugin")
            .refuse("this proxy does not execute it"),
        None => at.field("cluster").refuse("must be set"),
    }
}

// The sum is counted; what older control planes write for it is what it is.
#[allow(deprecated)]
fn decode_weighted(mut wire: WeightedClusters, at: &At<'_>) -> Option<Vec<WeightedCluster>> {
    let clusters = at.list("clusters", take(&mut wire.clusters), decode_weight);
    let said = wire
        .total_weight
        .take()
        .map(|total| u64::from(total.inner()));
    at.finish(wire);
    let clusters = clusters?;
    let sum: u64 = clusters.iter().map(|c| u64::from(c.weight)).sum();
    match sum {
        0 => at.field("clusters").refuse("have no weight"),
        sum if sum > u64::from(u32::MAX) => at.field("clusters").refuse("weigh too much"),
        sum if said.is_some_and(|said| said != sum) => {
            at.field("total_weight").refuse(format!("is not {sum}"))
        }
        _ => Some(clusters),
    }
}

fn decode_weight(mut wire: ClusterWeight, at: &At<'_>) -> Option<WeightedCluster> {
    let name = at.text("name", take(&mut wire.name));
    let weight = wire.weight.take().map_or(0, Wrapped::inner);
    let headers = header::decode(header::take_headers!(wire), at);
    at.finish(wire);
    Some(WeightedCluster {
        name: name?.into(),
        weight,
        headers: headers?,
    })
}

fn decode_limits(mut wire: WireLimits, at: &At<'_>) -> Option<MaxStreamDuration> {
    let max = wire.max_stream_duration.take();
    let max = at.optional("max_stream_duration", max, decode::duration);
    let grpc = wire.grpc_timeout_header_max.take();
    let grpc = at.optional("grpc_timeout_header_max", grpc, decode::duration);
    let offset = wire.grpc_timeout_header_offset.take();
    let offset = at.optional("grpc_timeout_header_offset", offset, decode::duration);
    at.finish(wire);
    Some(MaxStreamDuration {
        max: max?,
        grpc_timeout_header_max: grpc?,
        grpc_timeout_header_offset: offset?,
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
