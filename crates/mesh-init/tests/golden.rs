//! The rules of every variant, as `--dry-run` prints them, against the files in `tests/golden`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p mesh-init --test golden` rewrites the files; the difference is then read in review.

use mesh_init::config::Config;
use mesh_init::dry_run;
use mesh_init::flags::Settings;
use mesh_init::host::Host;
use std::ffi::OsString;
use std::path::PathBuf;

/// The arguments of the injected init container.
const ARTICLE: &[&str] = &[
    "-p",
    "15001",
    "-z",
    "15006",
    "-u",
    "1337",
    "-m",
    "REDIRECT",
    "-i",
    "*",
    "-x",
    "",
    "-b",
    "*",
    "-d",
    "15090,15021,15020",
    "--log_output_level=default:info",
];

/// A variant: its file, what is added to the article's arguments (later flags win), and the environment.
struct Variant {
    name: &'static str,
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    addresses: &'static [&'static str],
    nameservers: &'static [&'static str],
}

const PLAIN: Variant = Variant {
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
const VARIANTS: &[Variant] = &[
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

fn dry_run(variant: &Variant) -> String {
    let args = ["istio-iptables"].iter().chain(ARTICLE).chain(variant.args);
    let settings = Settings::parse(args.map(OsString::from), |name| {
        let value = variant.env.iter().find(|(key, _)| *key == name);
        value.map(|(_, value)| (*value).to_owned())
    });
    let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let host = Host {
        addresses: addresses(variant.addresses),
        nameservers: addresses(variant.nameservers),
        user: |_| None,
        group: |name| (name == "java").then_some(55),
    };
    dry_run::text(&Config::new(&settings.unwrap(), &host).unwrap())
}

fn golden(name: &str) -> PathBuf {
    [
        env!("CARGO_MANIFEST_DIR"),
        "tests",
        "golden",
        &format!("{name}.txt"),
    ]
    .iter()
    .collect()
}

#[test]
fn every_variant_is_as_recorded() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut different = Vec::new();
    for variant in VARIANTS {
        let (path, text) = (golden(variant.name), dry_run(variant));
        if update {
            std::fs::write(&path, &text).unwrap();
        }
        let recorded = std::fs::read_to_string(&path).unwrap_or_default();
        if recorded != text {
            different.push(format!("{}:\n{text}", path.display()));
        }
    }
    assert!(
        different.is_empty(),
        "not as recorded (UPDATE_GOLDEN=1 rewrites):\n{}",
        different.join("\n")
    );
}

#[test]
fn every_file_belongs_to_a_variant() {
    for entry in std::fs::read_dir(golden("x").parent().unwrap()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".txt").unwrap_or(&name);
        let known =
            name == "article-iptables-save" || VARIANTS.iter().any(|variant| variant.name == name);
        assert!(known, "{name} is nobody's");
    }
}

/// The origin article prints the `iptables-save` of an injected pod. Its arguments must give its rules, in its order.
#[test]
fn the_articles_arguments_give_the_articles_rules() {
    let article = std::fs::read_to_string(golden("article-iptables-save")).unwrap();
    let ours = dry_run(&PLAIN).replace(" [0:0]", "");
    let kernels_own = |line: &&str| line.starts_with(':') && line.ends_with("ACCEPT");
    let comment = |line: &&str| line.starts_with('#');
    let expected: Vec<&str> = article.lines().filter(|line| !kernels_own(line)).collect();
    let found: Vec<&str> = ours.lines().filter(|line| !comment(line)).collect();
    assert_eq!(found, expected);
}
