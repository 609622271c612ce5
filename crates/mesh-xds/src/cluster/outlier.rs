//! Outlier detection ↔ Envoy `OutlierDetection`.

use crate::{
    decode::{self, At, Wrapped, wire_duration},
    pb::{
        envoy::config::cluster::v3::OutlierDetection as Wire,
        google::protobuf::{BoolValue, Duration as WireDuration, UInt32Value},
    },
};
use mesh_model::cluster::{Consecutive, FailurePercentage, OutlierDetection, Percent, SuccessRate};
use std::time::Duration;

/// All is written, defaults too: what is meant does not depend on who reads it.
pub(super) fn encode(model: &OutlierDetection) -> Wire {
    let number = |n: u32| Some(UInt32Value::wrap(n));
    let percent = |p: Percent| Some(UInt32Value::wrap(p.get().into()));
    let SuccessRate {
        enforcing,
        enforcing_local_origin,
        minimum_hosts,
        request_volume,
        stdev_factor,
    } = model.success_rate;
    let failures = model.failure_percentage;
    Wire {
        consecutive_5xx: number(model.consecutive_5xx.count),
        interval: Some(wire_duration(model.interval)),
        base_ejection_time: Some(wire_duration(model.base_ejection_time)),
        max_ejection_percent: percent(model.max_ejection_percent),
        enforcing_consecutive_5xx: percent(model.consecutive_5xx.enforcing),
        enforcing_success_rate: percent(enforcing),
        success_rate_minimum_hosts: number(minimum_hosts),
        success_rate_request_volume: number(request_volume),
        success_rate_stdev_factor: number(stdev_factor),
        consecutive_gateway_failure: number(model.consecutive_gateway_failure.count),
        enforcing_consecutive_gateway_failure: percent(model.consecutive_gateway_failure.enforcing),
        split_external_local_origin_errors: model.split_local_origin,
        consecutive_local_origin_failure: number(model.consecutive_local_origin_failure.count),
        enforcing_consecutive_local_origin_failure: percent(
            model.consecutive_local_origin_failure.enforcing,
        ),
        enforcing_local_origin_success_rate: percent(enforcing_local_origin),
        failure_percentage_threshold: percent(failures.threshold),
        enforcing_failure_percentage: percent(failures.enforcing),
        enforcing_failure_percentage_local_origin: percent(failures.enforcing_local_origin),
        failure_percentage_minimum_hosts: number(failures.minimum_hosts),
        failure_percentage_request_volume: number(failures.request_volume),
        max_ejection_time: model.max_ejection_time.map(wire_duration),
        max_ejection_time_jitter: Some(wire_duration(model.max_ejection_time_jitter)),
        always_eject_one_host: Some(BoolValue::wrap(model.always_eject_one_host)),
        ..Default::default()
    }
}

pub(super) fn decode(mut wire: Wire, at: &At<'_>) -> Option<OutlierDetection> {
    let default = OutlierDetection::default();
    let number =
        |wire: &mut Option<UInt32Value>, default: u32| wire.take().map_or(default, Wrapped::inner);
    let percent = |name: &str, wire: &mut Option<UInt32Value>, default: Percent| {
        let read = at.optional(name, wire.take(), decode_percent);
        read.map(|percent| percent.unwrap_or(default))
    };
    let positive = |name: &str, wire: &mut Option<WireDuration>, default: Duration| {
        let read = at.optional(name, wire.take(), decode::positive);
        read.map(|duration| duration.unwrap_or(default))
    };
    macro_rules! consecutive {
        ($count:ident, $enforcing:ident) => {{
            let count = number(&mut wire.$count, default.$count.count);
            let enforcing = percent(
                stringify!($enforcing),
                &mut wire.$enforcing,
                default.$count.enforcing,
            );
            enforcing.map(|enforcing| Consecutive { count, enforcing })
        }};
    }
    macro_rules! percent {
        ($field:ident, $default:expr) => {
            percent(stringify!($field), &mut wire.$field, $default)
        };
    }
    let interval = positive("interval", &mut wire.interval, default.interval);
    let base = &mut wire.base_ejection_time;
    let base_ejection_time = positive("base_ejection_time", base, default.base_ejection_time);
    let max = wire.max_ejection_time.take();
    let max_ejection_time = at.optional("max_ejection_time", max, decode::positive);
    let jitter = wire.max_ejection_time_jitter.take();
    let jitter = at.optional("max_ejection_time_jitter", jitter, decode::duration);
    let max_ejection_percent = percent!(max_ejection_percent, default.max_ejection_percent);
    let consecutive_5xx = consecutive!(consecutive_5xx, enforcing_consecutive_5xx);
    let consecutive_gateway_failure = consecutive!(
        consecutive_gateway_failure,
        enforcing_consecutive_gateway_failure
    );
    let consecutive_local_origin_failure = consecutive!(
        consecutive_local_origin_failure,
        enforcing_consecutive_local_origin_failure
    );
    let (rate, failures) = (default.success_rate, default.failure_percentage);
    let enforcing_rate = percent!(enforcing_success_rate, rate.enforcing);
    let enforcing_local_rate = percent!(
        enforcing_local_origin_success_rate,
        rate.enforcing_local_origin
    );
    let threshold = percent!(failure_percentage_threshold, failures.threshold);
    let enforcing_failures = percent!(enforcing_failure_percentage, failures.enforcing);
    let enforcing_local_failures = percent!(
        enforcing_failure_percentage_local_origin,
        failures.enforcing_local_origin
    );
    let success_rate = SuccessRate {
        enforcing: enforcing_rate?,
        enforcing_local_origin: enforcing_local_rate?,
        minimum_hosts: number(&mut wire.success_rate_minimum_hosts, rate.minimum_hosts),
        request_volume: number(&mut wire.success_rate_request_volume, rate.request_volume),
        stdev_factor: number(&mut wire.success_rate_stdev_factor, rate.stdev_factor),
    };
    let failure_percentage = FailurePercentage {
        threshold: threshold?,
        enforcing: enforcing_failures?,
        enforcing_local_origin: enforcing_local_failures?,
        minimum_hosts: number(
            &mut wire.failure_percentage_minimum_hosts,
            failures.minimum_hosts,
        ),
        request_volume: number(
            &mut wire.failure_percentage_request_volume,
            failures.request_volume,
        ),
    };
    let always_eject_one_host = wire.always_eject_one_host.take();
    let split_local_origin = std::mem::take(&mut wire.split_external_local_origin_errors);
    at.finish(wire);
    let model = OutlierDetection {
        interval: interval?,
        base_ejection_time: base_ejection_time?,
        max_ejection_time: max_ejection_time?,
        max_ejection_time_jitter: jitter?.unwrap_or_default(),
        max_ejection_percent: max_ejection_percent?,
        always_eject_one_host: always_eject_one_host.is_some_and(Wrapped::inner),
        split_local_origin,
        consecutive_5xx: consecutive_5xx?,
        consecutive_gateway_failure: consecutive_gateway_failure?,
        consecutive_local_origin_failure: consecutive_local_origin_failure?,
        success_rate,
        failure_percentage,
    };
    if model
        .max_ejection_time
        .is_some_and(|max| max < model.base_ejection_time)
    {
        return at
            .field("max_ejection_time")
            .refuse("is shorter than base_ejection_time");
    }
    Some(model)
}

fn decode_percent(wire: UInt32Value, at: &At<'_>) -> Option<Percent> {
    let value = wire.inner();
    let percent = u8::try_from(value).ok().and_then(Percent::new);
    percent.or_else(|| at.refuse(format!("{value} is over 100")))
}
