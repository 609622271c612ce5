use super::*;

fn conn(destination: &str) -> Inspected {
    Inspected {
        destination: destination.parse().expect("address"),
        source: "10.0.0.9:4000".parse().expect("address"),
        transport: TransportProtocol::RawBuffer,
        server_name: None,
        application_protocols: vec![],
    }
}

fn tls(alpn: &[&str]) -> Inspected {
    let application_protocols = alpn.iter().map(ToString::to_string).collect();
    Inspected {
        transport: TransportProtocol::Tls,
        application_protocols,
        ..conn("10.0.0.1:80")
    }
}

fn port(port: u16) -> FilterChainMatch {
    FilterChainMatch {
        destination_port: Some(port),
        ..Default::default()
    }
}

fn transport(transport: TransportProtocol, protocols: &[&str]) -> FilterChainMatch {
    let application_protocols = protocols.iter().map(ToString::to_string).collect();
    FilterChainMatch {
        transport_protocol: Some(transport),
        application_protocols,
        ..port(80)
    }
}

fn pick(matches: &[FilterChainMatch], conn: &Inspected) -> Option<usize> {
    ChainTable::new(matches).expect("distinct").pick(conn)
}

#[test]
fn port_is_judged_first_and_never_reopened() {
    let udp_like = FilterChainMatch {
        transport_protocol: Some(TransportProtocol::Tls),
        ..port(80)
    };
    let all = [FilterChainMatch::default(), port(81), udp_like];
    assert_eq!(pick(&all, &conn("10.0.0.1:81")), Some(1));
    assert_eq!(pick(&all, &conn("10.0.0.1:82")), Some(0));
    // Port 80 leads to the TLS chain alone; that plaintext does not fit it does not bring the first chain back.
    assert_eq!(pick(&all, &conn("10.0.0.1:80")), None);
}

#[test]
fn the_longest_prefix_wins() {
    let prefix = |text: &str| FilterChainMatch {
        prefix_ranges: vec![text.parse().expect("prefix")],
        ..Default::default()
    };
    let all = [prefix("0.0.0.0/0"), prefix("10.0.0.0/8"), prefix("::/0")];
    assert_eq!(pick(&all, &conn("10.0.0.1:80")), Some(1));
    assert_eq!(pick(&all, &conn("192.0.2.1:80")), Some(0));
    assert_eq!(pick(&all, &conn("[2001:db8::1]:80")), Some(2));
}

#[test]
fn exact_server_name_before_longest_suffix_before_none() {
    let names = |names: &[&str]| FilterChainMatch {
        server_names: names.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let all = [
        names(&[]),
        names(&["*.example.com"]),
        names(&["*.a.example.com"]),
        names(&["b.a.example.com"]),
    ];
    for (name, want) in [
        ("b.a.example.com", Some(3)),
        ("c.a.example.com", Some(2)),
        ("a.example.com", Some(1)),
        ("example.com", Some(0)),
        ("xexample.com", Some(0)),
    ] {
        assert_eq!(
            pick(
                &all,
                &Inspected {
                    server_name: Some(name.into()),
                    ..conn("10.0.0.1:443")
                }
            ),
            want,
            "{name}"
        );
    }
    assert_eq!(pick(&all[1..], &conn("10.0.0.1:443")), None);
}

/// The five chains of a port whose protocol is sniffed, in permissive mode.
#[test]
fn the_permissive_matrix() {
    use TransportProtocol::{RawBuffer, Tls};
    let all = [
        transport(Tls, &["istio-http/1.0", "istio-http/1.1", "istio-h2"]),
        transport(RawBuffer, &["http/1.1", "h2c"]),
        transport(Tls, &["istio-peer-exchange", "istio"]),
        transport(RawBuffer, &[]),
        transport(Tls, &[]),
    ];
    assert_eq!(
        pick(&all, &tls(&["istio-http/1.1", "istio", "http/1.1"])),
        Some(0)
    );
    assert_eq!(pick(&all, &tls(&["istio-peer-exchange", "istio"])), Some(2));
    assert_eq!(
        pick(&all, &tls(&["istio", "istio-h2"])),
        Some(2),
        "the client's first choice"
    );
    assert_eq!(pick(&all, &tls(&["h2"])), Some(4));
    assert_eq!(pick(&all, &tls(&[])), Some(4));
    let http = Inspected {
        application_protocols: vec!["http/1.1".into()],
        ..conn("10.0.0.1:80")
    };
    assert_eq!(pick(&all, &http), Some(1));
    assert_eq!(pick(&all, &conn("10.0.0.1:80")), Some(3));
}

#[test]
fn source_is_judged_last() {
    let from = |text: &str| FilterChainMatch {
        source_prefix_ranges: vec![text.parse().expect("prefix")],
        ..port(80)
    };
    let from_port = FilterChainMatch {
        source_ports: vec![4000],
        ..from("10.0.0.0/24")
    };
    let all = [port(80), from("10.0.0.0/24"), from_port];
    assert_eq!(pick(&all, &conn("10.0.0.1:80")), Some(2));
    assert_eq!(pick(&all[..2], &conn("10.0.0.1:80")), Some(1));
}

#[test]
fn the_same_match_twice_is_refused() {
    assert_eq!(
        ChainTable::new(&[port(1), port(2), port(1)]).err(),
        Some(SameMatch {
            first: 0,
            second: 2
        })
    );
}
