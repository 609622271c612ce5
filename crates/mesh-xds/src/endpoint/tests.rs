use super::*;
use crate::arbitrary;
use crate::pb::google::protobuf::{Struct, Value, value::Kind};
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(all in arbitrary::endpoint::assignment()) {
        let bytes = all.encode();
        prop_assert_eq!(&bytes, &all.clone().encode());
        let decoded = ClusterLoadAssignment::decode(&bytes).expect("our own encoding");
        prop_assert_eq!(decoded, Decoded { value: all, ignored: vec![] });
    }
}

/// One endpoint of the address `ip:port` as another control plane may send it, after `change`.
fn errors(ip: &str, port: u32, change: impl FnOnce(&mut wire::LbEndpoint)) -> Vec<String> {
    let socket = core::SocketAddress {
        address: ip.into(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port)),
        ..Default::default()
    };
    let mut endpoint = wire::LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(wire::Endpoint {
            address: Some(core::Address {
                address: Some(core::address::Address::SocketAddress(socket)),
            }),
            ..Default::default()
        })),
        ..Default::default()
    };
    change(&mut endpoint);
    let all = wire::ClusterLoadAssignment {
        cluster_name: "c".into(),
        endpoints: vec![wire::LocalityLbEndpoints {
            lb_endpoints: vec![endpoint],
            ..Default::default()
        }],
        ..Default::default()
    };
    match ClusterLoadAssignment::decode(&all.encode_to_vec()) {
        Ok(_) => vec![],
        Err(invalid) => invalid.errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn an_endpoint_is_the_address_of_a_host() {
    let at = "endpoints[0].lb_endpoints[0].endpoint.address";
    for (ip, port, want) in [
        ("10.244.0.73", 80, None),
        ("2001:db8::1", 80, None),
        ("0.0.0.0", 80, Some(": 0.0.0.0 is the address of no host")),
        ("::", 80, Some(": :: is the address of no host")),
        (
            "255.255.255.255",
            80,
            Some(": 255.255.255.255 is the address of no host"),
        ),
        ("224.0.0.1", 80, Some(": TCP knows no multicast")),
        ("ff02::1", 80, Some(": TCP knows no multicast")),
        (
            "fe80::1%eth0",
            80,
            Some(".socket_address.address: \"fe80::1%eth0\" is no IP address"),
        ),
        (
            "nginx.test",
            80,
            Some(".socket_address.address: \"nginx.test\" is no IP address"),
        ),
        ("10.244.0.73", 0, Some(": 0 is no port")),
        (
            "10.244.0.73",
            65_536,
            Some(".socket_address.port_value: 65536 is no port"),
        ),
    ] {
        let want: Vec<_> = want.iter().map(|what| format!("{at}{what}")).collect();
        assert_eq!(errors(ip, port, |_| {}), want, "{ip} {port}");
    }
}

#[test]
fn an_endpoint_without_an_ip_address_is_refused() {
    for (address, want) in [
        (
            core::address::Address::Pipe(core::Pipe {
                path: "/run/app.sock".into(),
                mode: 0,
            }),
            "pipe: Unix sockets are not served",
        ),
        (
            core::address::Address::EnvoyInternalAddress(Default::default()),
            "envoy_internal_address: there are no internal listeners",
        ),
    ] {
        let found = errors("10.0.0.1", 80, |endpoint| {
            endpoint.host_identifier = Some(HostIdentifier::Endpoint(wire::Endpoint {
                address: Some(core::Address {
                    address: Some(address),
                }),
                ..Default::default()
            }));
        });
        assert_eq!(
            found,
            [format!(
                "endpoints[0].lb_endpoints[0].endpoint.address.{want}"
            )]
        );
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let found = errors("nowhere", 0, |endpoint| {
        endpoint.health_status = 77;
        endpoint.load_balancing_weight = Some(UInt32Value::wrap(0));
    });
    let at = "endpoints[0].lb_endpoints[0]";
    assert_eq!(
        found,
        [
            format!("{at}.endpoint.address.socket_address.address: \"nowhere\" is no IP address"),
            format!("{at}.health_status: 77 is no value of this enumeration"),
            format!("{at}.load_balancing_weight: must be at least 1"),
        ]
    );
}

#[test]
fn a_transport_label_that_is_no_text_is_refused() {
    let found = errors("10.0.0.1", 80, |endpoint| {
        let value = Value {
            kind: Some(Kind::BoolValue(true)),
        };
        let fields = Struct {
            fields: [("tlsMode".to_owned(), value)].into(),
        };
        endpoint.metadata = Some(core::Metadata {
            filter_metadata: [(TRANSPORT_SOCKET_MATCH.to_owned(), fields)].into(),
            ..Default::default()
        });
    });
    assert_eq!(
        found,
        [
            "endpoints[0].lb_endpoints[0].metadata.filter_metadata[\"envoy.transport_socket_match\"][\"tlsMode\"]: is not a string"
        ]
    );
}
