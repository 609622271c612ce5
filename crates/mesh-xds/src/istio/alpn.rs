//! `istio.alpn`: which protocols are offered upstream, by what is spoken downstream.

use crate::{
    decode::{At, Extension, variant},
    pb::{
        google::protobuf::Any,
        istio::alpn::{
            FilterConfig,
            filter_config::{AlpnOverride, Protocol},
        },
        pack_any,
    },
};
use mesh_model::http::Alpn;
use std::mem::take;

pub(crate) fn encode(alpn: &Alpn) -> Any {
    let overrides = [
        (Protocol::Http10, &alpn.http10),
        (Protocol::Http11, &alpn.http11),
        (Protocol::Http2, &alpn.http2),
    ];
    let written = overrides.into_iter().filter(|(_, offer)| !offer.is_empty());
    pack_any(FilterConfig {
        alpn_override: written
            .map(|(protocol, offer)| AlpnOverride {
                upstream_protocol: protocol.into(),
                alpn_override: offer.clone(),
            })
            .collect(),
    })
}

pub(crate) fn decode(config: Extension, at: &At<'_>) -> Option<Alpn> {
    let mut wire: FilterConfig = config.message(at)?;
    let overrides = at.list(
        "alpn_override",
        take(&mut wire.alpn_override),
        decode_override,
    );
    at.finish(wire);
    let mut alpn = Alpn::default();
    for (protocol, offer) in overrides? {
        let place = match protocol {
            Protocol::Http10 => &mut alpn.http10,
            Protocol::Http11 => &mut alpn.http11,
            Protocol::Http2 => &mut alpn.http2,
        };
        if !place.is_empty() {
            let what = format!("{} is given twice", protocol.as_str_name());
            return at.field("alpn_override").refuse(what);
        }
        *place = offer;
    }
    Some(alpn)
}

fn decode_override(wire: AlpnOverride, at: &At<'_>) -> Option<(Protocol, Vec<String>)> {
    let protocol = variant(wire.upstream_protocol, &at.field("upstream_protocol"))?;
    match wire.alpn_override.is_empty() {
        true => at.field("alpn_override").refuse("must be set"),
        false => Some((protocol, wire.alpn_override)),
    }
}
