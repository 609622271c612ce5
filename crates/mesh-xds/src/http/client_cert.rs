//! What is done with `x-forwarded-client-cert`, by which an application learns who calls it.

use crate::{
    decode::{self, At, Wrapped},
    pb::{
        envoy::extensions::filters::network::http_connection_manager::v3::{
            HttpConnectionManager as Wire,
            http_connection_manager::{
                ForwardClientCertDetails as Forward, SetCurrentClientCertDetails,
            },
        },
        google::protobuf::BoolValue,
    },
};
use mesh_model::http::{ClientCertDetails, ForwardClientCert};
use std::mem::take;

pub(super) fn encode(forward: ForwardClientCert) -> (Forward, Option<SetCurrentClientCertDetails>) {
    match forward {
        ForwardClientCert::Sanitize => (Forward::Sanitize, None),
        ForwardClientCert::ForwardOnly => (Forward::ForwardOnly, None),
        ForwardClientCert::AppendForward(details) => {
            (Forward::AppendForward, Some(encode_details(details)))
        }
        ForwardClientCert::SanitizeSet(details) => {
            (Forward::SanitizeSet, Some(encode_details(details)))
        }
    }
}

fn encode_details(details: ClientCertDetails) -> SetCurrentClientCertDetails {
    SetCurrentClientCertDetails {
        subject: details.subject.then(|| BoolValue::wrap(true)),
        dns: details.dns,
        uri: details.uri,
        ..Default::default()
    }
}

/// Takes its fields out of `wire`.
pub(super) fn decode(wire: &mut Wire, at: &At<'_>) -> Option<ForwardClientCert> {
    let details = wire.set_current_client_cert_details.take();
    let any = details.is_some();
    let details_at = at.field("set_current_client_cert_details");
    let details = decode_details(details.unwrap_or_default(), &details_at);
    let forward = take(&mut wire.forward_client_cert_details);
    let at = at.field("forward_client_cert_details");
    let forward = match decode::variant(forward, &at)? {
        Forward::AppendForward => return Some(ForwardClientCert::AppendForward(details)),
        Forward::SanitizeSet => return Some(ForwardClientCert::SanitizeSet(details)),
        Forward::Sanitize => ForwardClientCert::Sanitize,
        Forward::ForwardOnly => ForwardClientCert::ForwardOnly,
        Forward::AlwaysForwardOnly => {
            return at.refuse("would pass on what a client without a certificate claims");
        }
    };
    match any {
        true => details_at.refuse("says what to write into a header that is not written"),
        false => Some(forward),
    }
}

fn decode_details(mut wire: SetCurrentClientCertDetails, at: &At<'_>) -> ClientCertDetails {
    let details = ClientCertDetails {
        subject: wire.subject.take().is_some_and(Wrapped::inner),
        dns: take(&mut wire.dns),
        uri: take(&mut wire.uri),
    };
    at.finish(wire);
    details
}
