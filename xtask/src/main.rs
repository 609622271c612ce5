//! `cargo xtask`: one verb for each chore.
//!
//! Stands on the standard library alone, so that its first line comes within seconds on a bare machine; whatever a chore
//! needs is built by cargo, whose progress is shown.

mod cache; // the folder for what is fetched or built once
mod chore; // running commands and saying how they went
mod demo; // the mesh's main job on this machine
mod deny; // licences, origins and versions of dependencies
mod e2e; // scenarios on a cluster
mod envoy; // a real Envoy, as peer and oracle
mod image; // the mesh's image
mod kubernetes; // the binaries of Kubernetes
mod manifests; // what is installed on a cluster
mod rungs; // the tests, rung by rung
mod system; // what the machine has, and installing what it lacks
mod tidy; // the edges between crates

use chore::Outcome;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask VERB

  demo [--once] [--json]   run the mesh's main job here: namespaces, iptables, certificates, mutual TLS
  test [--strict] [FILTER] run every rung of the tests that this machine can run
                           (--strict: a rung that is skipped is a failure)
  bench [ARG ...]          measure the proxy beside Envoy
  e2e [--provider node|kind|kubeconfig|netns] [--keep] [--long] [FILTER]
                           play the scenarios on a cluster; without --provider: on the first that works here
  kubernetes               build what the provider `node` runs, into a cache folder (e2e does it by itself)
  image [--dev] [--output FILE] [--name NAME]
                           pack the mesh's image (OCI archive; no container engine is needed)
  codegen [--check]        write descriptors and generated code (--check: fail if they are stale)
  manifests [--check]      write manifests/ (--check: fail if they are stale)
  tidy                     check the edges between crates, the lockfile and the form of the tree
  deny [--fetch|--build]   check licences, origins, versions and advisories of dependencies; builds cargo-deny once
                           (--fetch: get RustSec's database first; --build: do nothing but that)
  help                     print this

Each verb that needs something of the system says so first. As root, on a machine with apt, it is installed.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (verb, rest) = arguments
        .split_first()
        .map_or(("help", &[][..]), |(verb, rest)| (verb.as_str(), rest));
    let outcome = match verb {
        "demo" => demo::demo(rest),
        "test" => rungs::test(rest),
        "bench" => demo::bench(rest),
        "e2e" => e2e::e2e(rest),
        "kubernetes" => kubernetes::provide().map(drop),
        "image" => image::image(rest),
        "codegen" => chore::cargo(&["run", "--quiet", "--package", "mesh-codegen", "--"], rest),
        "manifests" => manifests::manifests(rest),
        "deny" => deny::deny(rest),
        "tidy" => tidy::tidy(),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("`{other}` is no verb\nhint: cargo xtask help")),
    };
    report(outcome)
}

fn report(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
