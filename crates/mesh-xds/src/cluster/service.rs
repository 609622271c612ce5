//! The services that a cluster stands for, in Istio's metadata.

use crate::{
    decode::{At, Fields},
    sorted,
};
use mesh_model::cluster::ServiceRef;
use prost_types::{Struct, Value};

pub(super) fn encode(services: &[ServiceRef]) -> Struct {
    match services.is_empty() {
        true => Struct::default(),
        false => sorted::object([(
            "services",
            sorted::list(services.iter().map(encode_service)),
        )]),
    }
}

fn encode_service(service: &ServiceRef) -> Value {
    sorted::nested(sorted::object([
        ("host", sorted::text(&service.host)),
        ("name", sorted::text(&service.name)),
        ("namespace", sorted::text(&service.namespace)),
    ]))
}

pub(super) fn decode(mut fields: Fields, at: &At<'_>) -> Option<Vec<ServiceRef>> {
    let services = fields.messages("services", at, decode_service);
    fields.finish("istio metadata of a cluster", at);
    services
}

fn decode_service(mut fields: Fields, at: &At<'_>) -> Option<ServiceRef> {
    let (host, name, namespace) = (
        fields.text("host", at),
        fields.text("name", at),
        fields.text("namespace", at),
    );
    fields.finish("istio metadata of a cluster: service", at);
    Some(ServiceRef {
        host: host?,
        name: name?,
        namespace: namespace?,
    })
}
