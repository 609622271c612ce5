//! How an endpoint is picked ↔ Envoy `lb_policy` and its configurations.

use crate::{
    decode::{self, At, Wrapped},
    pb::{
        envoy::config::cluster::v3::{
            Cluster as Wire,
            cluster::{
                LbConfig, LbPolicy as WirePolicy, MaglevLbConfig, RingHashLbConfig,
                ring_hash_lb_config::HashFunction as WireFunction,
            },
        },
        google::protobuf::UInt64Value,
    },
};
use mesh_model::cluster::{
    DEFAULT_MAGLEV_TABLE, HashFunction, LARGEST_MAGLEV_TABLE, LARGEST_RING, LbPolicy, RingHash,
};
use std::mem::take;

pub(super) fn encode(policy: LbPolicy) -> WirePolicy {
    match policy {
        LbPolicy::RoundRobin => WirePolicy::RoundRobin,
        LbPolicy::LeastRequest => WirePolicy::LeastRequest,
        LbPolicy::Random => WirePolicy::Random,
        LbPolicy::RingHash(_) => WirePolicy::RingHash,
        LbPolicy::Maglev { .. } => WirePolicy::Maglev,
        LbPolicy::ClusterProvided => WirePolicy::ClusterProvided,
    }
}

/// What Envoy assumes anyway is not written, but for a ring's least size, which Istio writes.
pub(super) fn encode_config(policy: LbPolicy) -> Option<LbConfig> {
    let number = |n: u32| Some(UInt64Value::wrap(n.into()));
    match policy {
        LbPolicy::RingHash(ring) => Some(LbConfig::RingHashLbConfig(RingHashLbConfig {
            minimum_ring_size: number(ring.minimum_size),
            maximum_ring_size: number(ring.maximum_size)
                .filter(|_| ring.maximum_size != LARGEST_RING),
            hash_function: match ring.function {
                HashFunction::XxHash => WireFunction::XxHash,
                HashFunction::MurmurHash2 => WireFunction::MurmurHash2,
            }
            .into(),
        })),
        LbPolicy::Maglev { table_size } => Some(LbConfig::MaglevLbConfig(MaglevLbConfig {
            table_size: number(table_size),
        })),
        LbPolicy::RoundRobin
        | LbPolicy::LeastRequest
        | LbPolicy::Random
        | LbPolicy::ClusterProvided => None,
    }
}

/// Takes the fields of the policy out of `wire`.
pub(super) fn decode(wire: &mut Wire, at: &At<'_>) -> Option<LbPolicy> {
    let policy = decode::variant(take(&mut wire.lb_policy), &at.field("lb_policy"))?;
    match policy {
        WirePolicy::RoundRobin => Some(LbPolicy::RoundRobin),
        WirePolicy::LeastRequest => Some(LbPolicy::LeastRequest),
        WirePolicy::Random => Some(LbPolicy::Random),
        WirePolicy::ClusterProvided => Some(LbPolicy::ClusterProvided),
        WirePolicy::RingHash => {
            let config = wire
                .lb_config
                .take_if(|c| matches!(c, LbConfig::RingHashLbConfig(_)));
            let Some(LbConfig::RingHashLbConfig(config)) = config else {
                return Some(LbPolicy::RingHash(RingHash::default()));
            };
            decode_ring(config, &at.field("ring_hash_lb_config")).map(LbPolicy::RingHash)
        }
        WirePolicy::Maglev => {
            let config = wire
                .lb_config
                .take_if(|c| matches!(c, LbConfig::MaglevLbConfig(_)));
            let Some(LbConfig::MaglevLbConfig(config)) = config else {
                let table_size = DEFAULT_MAGLEV_TABLE;
                return Some(LbPolicy::Maglev { table_size });
            };
            decode_maglev(config, &at.field("maglev_lb_config"))
        }
        other => at.field("lb_policy").refuse(format!(
            "this proxy does not execute {}",
            other.as_str_name()
        )),
    }
}

fn decode_ring(mut wire: RingHashLbConfig, at: &At<'_>) -> Option<RingHash> {
    let default = RingHash::default();
    let minimum = wire.minimum_ring_size.take();
    let minimum = at.optional("minimum_ring_size", minimum, decode_size);
    let maximum = wire.maximum_ring_size.take();
    let maximum = at.optional("maximum_ring_size", maximum, decode_size);
    let function = decode::variant(take(&mut wire.hash_function), &at.field("hash_function"));
    at.finish(wire);
    let ring = RingHash {
        minimum_size: minimum?.unwrap_or(default.minimum_size),
        maximum_size: maximum?.unwrap_or(default.maximum_size),
        function: match function? {
            WireFunction::XxHash => HashFunction::XxHash,
            WireFunction::MurmurHash2 => HashFunction::MurmurHash2,
        },
    };
    match ring.minimum_size <= ring.maximum_size {
        true => Some(ring),
        false => at
            .field("maximum_ring_size")
            .refuse("is less than minimum_ring_size"),
    }
}

fn decode_size(wire: UInt64Value, at: &At<'_>) -> Option<u32> {
    match u32::try_from(wire.value) {
        Ok(size @ 1..=LARGEST_RING) => Some(size),
        _ => at.refuse(format!("is not between 1 and {LARGEST_RING}")),
    }
}

fn decode_maglev(mut wire: MaglevLbConfig, at: &At<'_>) -> Option<LbPolicy> {
    let size = wire.table_size.take();
    let size = at.optional(
        "table_size",
        size,
        |wire: UInt64Value, at| match u32::try_from(wire.value) {
            Ok(size) if size > LARGEST_MAGLEV_TABLE => {
                at.refuse(format!("is over {LARGEST_MAGLEV_TABLE}"))
            }
            Ok(size) if is_prime(size) => Some(size),
            _ => at.refuse(format!("{} is no prime", wire.value)),
        },
    );
    at.finish(wire);
    Some(LbPolicy::Maglev {
        table_size: size?.unwrap_or(DEFAULT_MAGLEV_TABLE),
    })
}

/// Whether a Maglev table may have that many entries: with another number filling it might never end.
fn is_prime(number: u32) -> bool {
    let mut divisors = (2u32..).take_while(|d| u64::from(*d) * u64::from(*d) <= number.into());
    number >= 2 && divisors.all(|divisor| !number.is_multiple_of(divisor))
}
