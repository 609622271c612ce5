//! Takes from a descriptor what has no bearing on JSON: comments, services, options, extensions, reserved ranges.

use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, FieldDescriptorProto, FieldOptions,
    FileDescriptorProto, MessageOptions,
};

pub(super) fn file(file: &mut FileDescriptorProto) {
    file.source_code_info = None;
    file.options = None;
    file.service.clear();
    file.extension.clear();
    // Imports are found anew by the types in use, so that neither kind of index has a meaning.
    file.public_dependency.clear();
    file.weak_dependency.clear();
    file.message_type.iter_mut().for_each(message);
    file.enum_type.iter_mut().for_each(enumeration);
}

fn message(message: &mut DescriptorProto) {
    message.extension.clear();
    message.extension_range.clear();
    message.reserved_range.clear();
    message.reserved_name.clear();
    message.options = message
        .options
        .take()
        .filter(MessageOptions::map_entry)
        .map(|_| MessageOptions {
            map_entry: Some(true),
            ..Default::default()
        });
    message.oneof_decl.iter_mut().for_each(|o| o.options = None);
    message.field.iter_mut().for_each(field);
    message.enum_type.iter_mut().for_each(enumeration);
    message.nested_type.iter_mut().for_each(self::message);
}

fn field(field: &mut FieldDescriptorProto) {
    // Whether a list is packed shows in the bytes that reading JSON makes.
    let packed = field.options.as_ref().and_then(|o| o.packed);
    field.options = packed.map(|p| FieldOptions {
        packed: Some(p),
        ..Default::default()
    });
    if field.json_name() == lower_camel(field.name()) {
        field.json_name = None;
    }
}

fn enumeration(e: &mut EnumDescriptorProto) {
    e.reserved_range.clear();
    e.reserved_name.clear();
    e.options = e
        .options
        .take()
        .filter(EnumOptions::allow_alias)
        .map(|_| EnumOptions {
            allow_alias: Some(true),
            ..Default::default()
        });
    e.value.iter_mut().for_each(|v| v.options = None);
}

/// The JSON name that a field has when none is given: underscores go, and the letter after one is upper case.
fn lower_camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::lower_camel;

    #[test]
    fn json_names() {
        for (name, json) in [
            ("name", "name"),
            ("filter_chain_match", "filterChainMatch"),
            ("_leading", "Leading"),
            ("a__b", "aB"),
            ("port_8080", "port8080"),
            ("x_", "x"),
        ] {
            assert_eq!(lower_camel(name), json);
        }
    }
}
