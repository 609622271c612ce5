use super::*;
use crate::pb::{
    envoy::config::{cluster::v3 as cluster, core::v3 as core},
    google::protobuf::BoolValue,
};

fn decoded<M: Message + Name + Default>(
    bytes: &[u8],
    decoder: impl FnOnce(M, &At<'_>) -> Option<()>,
) -> Result<Vec<Ignored>, String> {
    match decode(bytes, decoder) {
        Ok(decoded) => Ok(decoded.ignored),
        Err(invalid) => Err(invalid.to_string()),
    }
}

fn finish<M: Message + Name + Default + PartialEq + fmt::Debug>(
    rest: M,
) -> Result<Vec<Ignored>, String> {
    decoded::<M>(&rest.encode_to_vec(), |wire, at| {
        at.finish(wire);
        Some(())
    })
}

#[test]
fn a_field_that_nobody_took_is_refused_by_its_name() {
    let rest = core::SocketAddress {
        resolver_name: "secret\n    address: x".into(),
        ipv4_compat: true,
        ..Default::default()
    };
    let refused = "is set, and this proxy does not execute it";
    assert_eq!(
        finish(rest),
        Err(format!("resolver_name: {refused}; ipv4_compat: {refused}"))
    );
}

#[test]
fn a_field_of_the_table_is_listed() {
    let rest = cluster::Cluster {
        alt_stat_name: "x;".into(),
        ..Default::default()
    };
    let ignored = finish(rest).expect("nothing refused");
    assert_eq!(ignored[0].path, "alt_stat_name");
    assert_eq!(ignored.len(), 1);
}

#[test]
fn a_default_leaves_nothing() {
    assert_eq!(finish(cluster::Cluster::default()), Ok(vec![]));
    let set_to_false = cluster::Cluster {
        wait_for_warm_on_init: Some(BoolValue { value: false }),
        ..Default::default()
    };
    assert!(
        finish(set_to_false).is_err(),
        "false is not the same as unset"
    );
}

#[test]
fn places_read_like_paths() {
    let refused = decoded::<cluster::Cluster>(&[], |_, at| {
        let routes = at
            .field("virtual_hosts")
            .index(1)
            .field("routes")
            .index(2)
            .key("a.b")
            .refuse("no");
        routes.or_else(|| at.refuse("neither"))
    });
    assert_eq!(
        refused,
        Err("virtual_hosts[1].routes[2][\"a.b\"]: no; neither".into())
    );
}

#[test]
fn errors_are_bounded() {
    let refused = decoded::<cluster::Cluster>(&[], |_, at| {
        at.list("x", 0..100, |_, at| at.refuse::<()>("no"))
            .map(|_| ())
    });
    let text = refused.expect_err("all of them");
    assert!(text.ends_with("x[31]: no; and 68 more"), "{text}");
}

#[test]
fn a_decoder_that_gives_up_without_a_word_refuses_all_the_same() {
    let refused = decoded::<cluster::Cluster>(&[], |_, _| None);
    assert_eq!(refused, Err("cannot be executed".into()));
}

#[test]
fn garbage_is_refused_as_such() {
    for bytes in [&[0xff; 5][..], &[0x0a, 200, 1], b"not protobuf"] {
        let refused = decoded::<cluster::Cluster>(bytes, |_, _| Some(()));
        let text = refused.expect_err("garbage");
        assert!(
            text.starts_with("is no envoy.config.cluster.v3.Cluster: "),
            "{text}"
        );
    }
}
