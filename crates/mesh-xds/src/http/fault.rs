//! Faults that are put into requests on purpose.

use crate::{
    decode::{self, At, wire_duration},
    matcher,
    pb::envoy::extensions::filters::{
        common::fault::v3::{FaultDelay, fault_delay::FaultDelaySecifier},
        http::fault::v3::{FaultAbort, HttpFault, fault_abort::ErrorType},
    },
};
use mesh_model::http::{Abort, AbortStatus, Delay, Fault};
use std::mem::take;

pub(super) fn encode(fault: &Fault) -> HttpFault {
    HttpFault {
        delay: fault.delay.map(|delay| FaultDelay {
            percentage: Some(matcher::encode_share(delay.fraction)),
            fault_delay_secifier: Some(FaultDelaySecifier::FixedDelay(wire_duration(
                delay.duration,
            ))),
        }),
        abort: fault.abort.map(|abort| FaultAbort {
            percentage: Some(matcher::encode_share(abort.fraction)),
            error_type: Some(match abort.status {
                AbortStatus::Http(status) => ErrorType::HttpStatus(status.into()),
                AbortStatus::Grpc(status) => ErrorType::GrpcStatus(status),
            }),
            ..Default::default()
        }),
        headers: fault.headers.iter().map(matcher::encode_header).collect(),
        ..Default::default()
    }
}

pub(super) fn decode(mut wire: HttpFault, at: &At<'_>) -> Option<Fault> {
    let delay = at.optional("delay", wire.delay.take(), decode_delay);
    let abort = at.optional("abort", wire.abort.take(), decode_abort);
    let headers = at.list("headers", take(&mut wire.headers), matcher::decode_header);
    at.finish(wire);
    Some(Fault {
        delay: delay?,
        abort: abort?,
        headers: headers?,
    })
}

/// A share that is not set is none.
fn decode_delay(mut wire: FaultDelay, at: &At<'_>) -> Option<Delay> {
    let duration = match wire.fault_delay_secifier.take() {
        Some(FaultDelaySecifier::FixedDelay(duration)) => {
            decode::positive(duration, &at.field("fixed_delay"))
        }
        Some(FaultDelaySecifier::HeaderDelay(_)) => at
            .field("header_delay")
            .refuse("this proxy does not execute it"),
        None => at.field("fault_delay_secifier").refuse("must be set"),
    };
    let share = wire.percentage.take().unwrap_or_default();
    let fraction = matcher::decode_share(share, &at.field("percentage"));
    at.finish(wire);
    Some(Delay {
        duration: duration?,
        fraction: fraction?,
    })
}

fn decode_abort(mut wire: FaultAbort, at: &At<'_>) -> Option<Abort> {
    let status = match wire.error_type.take() {
        Some(ErrorType::HttpStatus(status @ 200..=599)) => {
            u16::try_from(status).ok().map(AbortStatus::Http)
        }
        Some(ErrorType::HttpStatus(other)) => at
            .field("http_status")
            .refuse(format!("{other} is no status to answer with")),
        Some(ErrorType::GrpcStatus(status)) => Some(AbortStatus::Grpc(status)),
        Some(ErrorType::HeaderAbort(_)) => at
            .field("header_abort")
            .refuse("this proxy does not execute it"),
        None => at.field("error_type").refuse("must be set"),
    };
    let share = wire.percentage.take().unwrap_or_default();
    let fraction = matcher::decode_share(share, &at.field("percentage"));
    at.finish(wire);
    Some(Abort {
        status: status?,
        fraction: fraction?,
    })
}
