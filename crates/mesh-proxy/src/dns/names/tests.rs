use super::*;
use mesh_model::name_table::{NameInfo, ServiceName};

fn info(addresses: &[&str], service: Option<(&str, &str)>) -> NameInfo {
    NameInfo {
        addresses: addresses
            .iter()
            .map(|a| a.parse().expect("an address"))
            .collect(),
        service: service.map(|(name, namespace)| ServiceName {
            name: name.into(),
            namespace: namespace.into(),
        }),
    }
}

fn table() -> Table {
    let names = [
        (
            "nginx.test.svc.cluster.local",
            info(&["10.0.0.1"], Some(("nginx", "test"))),
        ),
        (
            "nginx.other.svc.cluster.local",
            info(&["10.0.0.2"], Some(("nginx", "other"))),
        ),
        (
            "db-0.db.test.svc.cluster.local",
            info(&["10.0.0.3"], Some(("db-0.db", "test"))),
        ),
        ("Api.example.com", info(&["10.0.0.4"], None)),
        ("outer.test.svc.cluster.local", info(&["10.0.0.5"], None)),
        ("*.wild.example.com", info(&["10.0.0.6"], None)),
        ("*.deep.wild.example.com", info(&["10.0.0.7"], None)),
    ];
    let names = names.map(|(name, info)| (name.into(), info));
    Table::new(&NameTable {
        names: names.into(),
    })
}

fn domains() -> Domains {
    let search = [
        "test.svc.cluster.local",
        "svc.cluster.local",
        "cluster.local",
        "corp.example",
    ];
    Domains::new("test.svc.cluster.local.", search.map(str::to_owned).into())
}

/// The address of what is found, and what it is an alias of.
fn find(table: &Table, name: &Name) -> Option<(String, Option<String>)> {
    let found = table.find(name, &domains())?;
    let address = found.host.v4().next().expect("an address").to_string();
    Some((address, found.alias_of.map(|name| name.to_ascii())))
}

#[test]
fn names_are_found_in_all_their_forms() {
    let table = table();
    for (name, want) in [
        ("nginx.test.svc.cluster.local.", Some(("10.0.0.1", None))),
        ("NGINX.Test.svc.Cluster.local.", Some(("10.0.0.1", None))),
        ("nginx.", Some(("10.0.0.1", None))),
        ("nginx.test.", Some(("10.0.0.1", None))),
        ("nginx.test.svc.", Some(("10.0.0.1", None))),
        ("nginx.other.", Some(("10.0.0.2", None))),
        ("nginx.other.svc.", Some(("10.0.0.2", None))),
        ("db-0.db.", Some(("10.0.0.3", None))),
        ("api.example.com.", Some(("10.0.0.4", None))),
        // Only Services have short names.
        ("outer.", None),
        ("api.", None),
        // Behind a search domain.
        (
            "nginx.test.svc.cluster.local.test.svc.cluster.local.",
            Some(("10.0.0.1", Some("nginx.test.svc.cluster.local."))),
        ),
        (
            "nginx.other.test.svc.cluster.local.",
            Some(("10.0.0.2", Some("nginx.other.svc.cluster.local."))),
        ),
        (
            "api.example.com.svc.cluster.local.",
            Some(("10.0.0.4", Some("api.example.com."))),
        ),
        (
            "API.example.com.corp.example.",
            Some(("10.0.0.4", Some("api.example.com."))),
        ),
        ("nginx.svc.cluster.local.", None),
        ("nginx.corp.example.", None),
        // Wildcards.
        ("a.wild.example.com.", Some(("10.0.0.6", None))),
        ("b.a.wild.example.com.", Some(("10.0.0.6", None))),
        ("a.deep.wild.example.com.", Some(("10.0.0.7", None))),
        ("wild.example.com.", None),
        (
            "a.wild.example.com.test.svc.cluster.local.",
            Some(("10.0.0.6", Some("a.wild.example.com."))),
        ),
        // Nobody's.
        ("example.com.", None),
        ("test.svc.cluster.local.", None),
        (".", None),
    ] {
        let want = want.map(|(a, alias): (&str, Option<&str>)| (a.into(), alias.map(Into::into)));
        let asked = Name::from_ascii(name).expect("a name");
        assert_eq!(find(&table, &asked), want, "{name}");
    }
}

#[test]
fn a_dot_inside_a_label_makes_another_name() {
    let name =
        Name::from_labels([&b"nginx.test"[..], b"svc", b"cluster", b"local"]).expect("labels");
    assert_eq!(find(&table(), &name), None);
}

#[test]
fn every_address_has_its_turn_to_be_first() {
    let host = Host::new(
        &info(&["10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"], None).addresses,
        false,
    );
    // A resolver asks for both families each time.
    let firsts: Vec<_> = (0..6)
        .map(|_| (host.v4().next(), host.v6().next()))
        .collect();
    for pair in firsts.windows(2) {
        assert_ne!(pair[0].0, pair[1].0);
        assert_ne!(pair[0].1, pair[1].1);
    }
    assert_eq!(host.v4().count(), 2);
    assert_eq!(Host::new(&[], false).v6().next(), None);
}

#[tokio::test]
async fn the_first_table_is_waited_for() {
    let names = Names::default();
    assert!(names.current().is_none());
    let (_, ()) = tokio::join!(names.come(), async { names.apply(&NameTable::default()) });
    assert!(names.current().is_some());
}
