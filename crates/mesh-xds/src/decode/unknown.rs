//! Finds fields that the generated types do not know: a newer Envoy's, or none.
//!
//! Decoding into a generated type drops them without a word. Whatever is dropped is missing when the message is encoded
//! again, so that equal lengths prove that there was nothing; only a message that fails this is looked at by
//! descriptors, which costs milliseconds and megabytes. (Lengths may differ for no reason, as by a map entry with an
//! empty value.)

use super::At;
use crate::json::Pool;
use prost::{Message, Name};
use prost_reflect::{DynamicMessage, MapKey, Value};

/// Refuses the fields in `bytes` that are not in `message`, which was decoded from them.
pub(super) fn refuse<M: Message + Name>(message: &M, bytes: &[u8], at: &At<'_>) -> Option<()> {
    match message.encoded_len() == bytes.len() {
        true => Some(()),
        false => look(&M::full_name(), bytes, at),
    }
}

fn look(full_name: &str, bytes: &[u8], at: &At<'_>) -> Option<()> {
    let pool = Pool::load();
    let descriptor = pool.descriptors().get_message_by_name(full_name);
    let message = descriptor.and_then(|d| DynamicMessage::decode(d, bytes).ok());
    match message {
        Some(message) => search(&message, at),
        None => at.refuse(format!(
            "is a {full_name} with something in it that is not known"
        )),
    }
}

/// `None` if there was an unknown field, which is then reported.
fn search(message: &DynamicMessage, at: &At<'_>) -> Option<()> {
    let mut clean = Some(());
    for unknown in message.unknown_fields() {
        let what = format!(
            "has a field {} that this proxy does not know",
            unknown.number()
        );
        clean = at.refuse(what);
    }
    for (field, value) in message.fields() {
        clean = search_value(value, &at.field(field.name())).and(clean);
    }
    clean
}

fn search_value(value: &Value, at: &At<'_>) -> Option<()> {
    match value {
        Value::Message(message) => search(message, at),
        Value::List(list) => {
            let found = list.iter().enumerate();
            let found = found.map(|(i, value)| search_value(value, &at.index(i)));
            found.fold(Some(()), Option::and)
        }
        Value::Map(map) => {
            let found = map.iter().map(|(key, value)| match key {
                MapKey::String(key) => search_value(value, &at.key(key)),
                _ => search_value(value, at),
            });
            found.fold(Some(()), Option::and)
        }
        _ => Some(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use crate::pb::envoy::config::{core::v3 as core, listener::v3 as listener};

    /// What decoding `bytes` as a `M` finds wrong.
    fn errors<M: Message + Name + Default>(bytes: &[u8]) -> Option<String> {
        let result = decode::decode::<M, ()>(bytes, |_, _| Some(()));
        result.err().map(|invalid| invalid.to_string())
    }

    /// Field 1000 of bytes, holding one.
    const UNKNOWN: [u8; 4] = [0xc2, 0x3e, 1, b'x'];

    #[test]
    fn an_unknown_field_is_refused() {
        let unknown = "has a field 1000 that this proxy does not know";
        assert_eq!(errors::<core::Address>(&UNKNOWN).as_deref(), Some(unknown));
    }

    #[test]
    fn an_unknown_field_far_inside_is_refused_with_its_place() {
        let mut chain = listener::FilterChain {
            name: "c".into(),
            ..Default::default()
        }
        .encode_to_vec();
        chain.extend(UNKNOWN);
        let mut bytes = listener::Listener {
            filter_chains: vec![listener::FilterChain::default()],
            ..Default::default()
        }
        .encode_to_vec();
        // Another element of the list: field 3, then its length.
        bytes.extend([0x1a, u8::try_from(chain.len()).expect("short")]);
        bytes.extend(chain);
        let unknown = "filter_chains[1]: has a field 1000 that this proxy does not know";
        assert_eq!(
            errors::<listener::Listener>(&bytes).as_deref(),
            Some(unknown)
        );
    }

    #[test]
    fn what_is_only_written_at_length_is_not_unknown() {
        // An entry of `filter_metadata` with an empty struct, written out.
        let spelled = [0x0a, 5, 0x0a, 1, b'x', 0x12, 0];
        let message = core::Metadata::decode(spelled.as_slice()).expect("metadata");
        assert_ne!(message.encoded_len(), spelled.len(), "reaches the slow way");
        assert_eq!(errors::<core::Metadata>(&spelled), None);
    }
}
