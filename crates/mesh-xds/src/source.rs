//! Bytes that stand in a message itself (Envoy `DataSource`).

use crate::{
    decode::At,
    pb::envoy::config::core::v3::{DataSource, data_source::Specifier},
};

/// The bytes, as text where they are text: so a JSON of them can be read.
pub(crate) fn encode_readable(bytes: &[u8]) -> DataSource {
    let specifier = match std::str::from_utf8(bytes) {
        Ok(text) => Specifier::InlineString(text.into()),
        Err(_) => Specifier::InlineBytes(bytes.into()),
    };
    DataSource {
        specifier: Some(specifier),
        watched_directory: None,
    }
}

/// The bytes.
pub(crate) fn encode(bytes: &[u8]) -> DataSource {
    DataSource {
        specifier: Some(Specifier::InlineBytes(bytes.into())),
        watched_directory: None,
    }
}

/// The bytes; files and variables of this machine are not for others to read.
pub(crate) fn decode(mut wire: DataSource, at: &At<'_>) -> Option<Vec<u8>> {
    let specifier = wire.specifier.take();
    at.finish(wire);
    match specifier {
        Some(Specifier::InlineBytes(bytes)) => Some(bytes),
        Some(Specifier::InlineString(text)) => Some(text.into_bytes()),
        _ => at.refuse("must be given inline"),
    }
}
