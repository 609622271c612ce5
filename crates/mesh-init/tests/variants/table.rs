//! The variants of the capture that tests go through: their golden files, and the same rules in a real namespace.

/// The arguments of the injected init container.
pub(crate) const ARTICLE: &[&str] = &include!("../article/arguments.in");

/// A variant: its file, what is added to the article's arguments (later flags win), and the environment.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) args: &'static [&'static str],
    pub(crate) env: &'static [(&'static str, &'static str)],
    pub(crate) addresses: &'static [&'static str],
    pub(crate) nameservers: &'static [&'static str],
}

pub(crate) const PLAIN: Variant = Variant {
    name: "article",
    args: &[],
    env: &[],
    addresses: &["10.244.0.73"],
    nameservers: &["10.96.0.10"],
};

const fn variant(name: &'static str, args: &'static [&'static str]) -> Variant {
    Variant {
        name,
        args,
        ..PLAIN
    }
}

const fn both_families(name: &'static str, args: &'static [&'static str]) -> Variant {
    Variant {
        name,
        args,
        addresses: &["fd00::73", "10.244.0.73"],
        nameservers: &["10.96.0.10", "fd00:96::a"],
        ..PLAIN
    }
}

const fn by_environment(
    name: &'static str,
    env: &'static [(&'static str, &'static str)],
) -> Variant {
    Variant { name, env, ..PLAIN }
}

#[rustfmt::skip] // a table
pub(crate) const VARIANTS: &[Variant] = &[
    PLAIN,
    both_families("ipv6", &[]),
    both_families("ranges", &["-i", "10.0.0.0/8,fd00::/8,172.16.1.1/12", "-x", "10.1.0.0/16,fd00:1::/32"]),
    variant("loopback-range", &["-i", "10.0.0.0/8,127.0.0.0/8"]),
    variant("nothing", &["-i", "", "-b", ""]),
    variant("inbound-ports", &["-b", "80,443"]),
    variant("outbound-ports", &["-i", "", "-q", "80,443", "-o", "22,53"]),
    variant("other-ports", &["-p", "1", "-z", "2", "-e", "3", "-d", ""]),
    variant("several-ids", &["-u", "3,4", "-g", "1,2"]),
    variant("excluded-interfaces", &["-c", "eth1,not+"]),
    variant("virtual-machines", &["-k", "vnet0,vnet1"]),
    both_families("virtual-machines-ranges", &["-k", "vnet0,vnet1", "-i", "10.0.0.0/8,10.64.0.0/16,fd00::/8"]),
    both_families("drop-invalid", &["--drop-invalid"]),
    both_families("tproxy", &["-m", "TPROXY"]),
    variant("tproxy-ports", &["-m", "TPROXY", "-b", "80,443", "-t", "0x40", "-r", "9", "-u", "3,4"]),
    variant("tproxy-everything", &["-m", "TPROXY", "-c", "eth1", "-k", "vnet0", "--drop-invalid", "--redirect-dns"]),
    variant("tproxy-nothing-inbound", &["-m", "TPROXY", "-b", ""]),
    variant("dns", &["--redirect-dns"]),
    both_families("dns-both-families", &["--redirect-dns"]),
    Variant { nameservers: &["10.96.0.10"], ..both_families("dns-one-family", &["--redirect-dns"]) },
    both_families("dns-any-server", &["--redirect-dns", "--capture-all-dns", "-u", "3,4", "-g", "1,2"]),
    by_environment("groups", &[("ISTIO_OUTBOUND_OWNER_GROUPS", "java,202")]),
    by_environment("groups-excluded", &[("ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", "java,202")]),
    by_environment("no-groups", &[("ISTIO_OUTBOUND_OWNER_GROUPS", ",")]),
    by_environment("loopback-cidr", &[("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "127.0.0.1/8")]),
    both_families("cleanup", &["--cleanup-only", "-m", "TPROXY", "-c", "eth1"]),
    variant("rules-left-alone", &["--skip-rule-apply"]),
];
