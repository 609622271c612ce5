//! What is done with escaped slashes in a path.

use crate::{
    decode::{self, At},
    pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::PathWithEscapedSlashesAction as Wire,
};
use mesh_model::http::EscapedSlashes;

pub(super) fn encode(action: EscapedSlashes) -> Wire {
    match action {
        EscapedSlashes::KeepUnchanged => Wire::KeepUnchanged,
        EscapedSlashes::RejectRequest => Wire::RejectRequest,
        EscapedSlashes::UnescapeAndRedirect => Wire::UnescapeAndRedirect,
        EscapedSlashes::UnescapeAndForward => Wire::UnescapeAndForward,
    }
}

pub(super) fn decode(wire: i32, at: &At<'_>) -> Option<EscapedSlashes> {
    Some(match decode::variant(wire, at)? {
        Wire::ImplementationSpecificDefault | Wire::KeepUnchanged => EscapedSlashes::KeepUnchanged,
        Wire::RejectRequest => EscapedSlashes::RejectRequest,
        Wire::UnescapeAndRedirect => EscapedSlashes::UnescapeAndRedirect,
        Wire::UnescapeAndForward => EscapedSlashes::UnescapeAndForward,
    })
}
