use super::*;
use crate::arbitrary;
use proptest::prelude::*;
use std::collections::BTreeMap;

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(table in arbitrary::name_table::table()) {
        let bytes = table.encode();
        prop_assert_eq!(&bytes, &table.clone().encode());
        let decoded = NameTable::decode(&bytes).expect("our own encoding");
        prop_assert_eq!(decoded, Decoded { value: table, ignored: vec![] });
    }
}

fn info(registry: &str, shortname: &str, ips: &[&str]) -> wire::name_table::NameInfo {
    wire::name_table::NameInfo {
        ips: ips.iter().map(|ip| (*ip).into()).collect(),
        registry: registry.into(),
        shortname: shortname.into(),
        namespace: "test".into(),
    }
}

fn decoded(table: &[(&str, wire::name_table::NameInfo)]) -> Decoded<NameTable> {
    let table = wire::NameTable {
        table: BTreeMap::from_iter(table.iter().map(|(n, i)| ((*n).into(), i.clone()))),
        name_info: None,
    };
    NameTable::decode(&table.encode_to_vec()).expect("valid")
}

#[test]
fn what_is_no_address_is_named_and_left_out() {
    let table = decoded(&[
        ("a.test", info("External", "", &["10.0.0.1", "10.0.0.0/8"])),
        ("b.test", info("External", "", &["2001:db8::1"])),
    ]);
    let ignored: Vec<_> = table.ignored.iter().map(ToString::to_string).collect();
    assert_eq!(ignored, [r#"table["a.test"].ips[1]: it is no IP address"#]);
    let names = table.value.names;
    assert_eq!(
        names["a.test"].addresses,
        ["10.0.0.1".parse::<IpAddr>().unwrap()]
    );
    assert_eq!(names["b.test"].addresses.len(), 1);
}

#[test]
fn only_services_of_kubernetes_have_short_names() {
    let table = decoded(&[
        ("service", info("Kubernetes", "nginx", &[])),
        ("set", info("Kubernetes", "", &[])),
        ("external", info("External", "nginx", &[])),
        ("unknown", info("", "nginx", &[])),
    ]);
    let named: Vec<_> = table
        .value
        .names
        .iter()
        .filter(|(_, i)| i.service.is_some())
        .collect();
    assert_eq!(named.len(), 1);
    assert_eq!(&**named[0].0, "service");
}

#[test]
fn a_resource_for_each_name_is_refused() {
    let single = wire::NameTable {
        name_info: Some(info("External", "", &["10.0.0.1"])),
        ..Default::default()
    };
    let refused = NameTable::decode(&single.encode_to_vec()).expect_err("refused");
    assert!(refused.to_string().starts_with("name_info: "), "{refused}");
    assert!(NameTable::decode(b"\x0a\xff").is_err(), "no message");
}
