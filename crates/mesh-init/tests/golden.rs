//! The rules of every variant, as `--dry-run` prints them, against the files in `tests/golden`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p mesh-init --test golden` rewrites the files; the difference is then read in review.

use mesh_init::config::Config;
use mesh_init::dry_run;
use mesh_init::flags::Settings;
use mesh_init::host::Host;
use std::ffi::OsString;
use std::path::PathBuf;

#[path = "variants/table.rs"]
mod table;
use table::{ARTICLE, PLAIN, VARIANTS, Variant};

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
