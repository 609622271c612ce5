//! The tests, rung by rung, and which rungs were skipped and why.

use crate::{
    chore::{Outcome, Profile, build, cargo_command, run},
    demo::PROGRAMS,
    envoy,
    system::{self, CLOCK, NETNS},
    tidy,
};
use std::time::Instant;

/// Part of the names of tests that need a real Envoy.
const WITH_ENVOY: &str = "plain_envoy";

/// How a rung went.
enum Went {
    Passed,
    PassedBut(String),
    Failed(String),
    Skipped(String),
}

type Rung = fn(&[String]) -> Went;

/// Runs every rung that this machine can run. Tests of the netns rung are those marked `#[ignore = "netns: …"]`.
pub(crate) fn test(filter: &[String]) -> Outcome {
    println!("rungs: tidy, unit + golden + component, netns");
    let rungs: [(&str, Rung); 3] = [
        ("tidy", run_tidy),
        ("unit, golden, component", local),
        ("netns", netns),
    ];
    let mut lines = Vec::new();
    let mut failed = false;
    for (name, rung) in rungs {
        println!("\n== {name}");
        let start = Instant::now();
        let went = rung(filter);
        let seconds = start.elapsed().as_secs();
        lines.push(match &went {
            Went::Passed => format!("passed   {name} ({seconds} s)"),
            Went::PassedBut(why) => format!("passed   {name} ({seconds} s), but {why}"),
            Went::Failed(error) => format!("FAILED   {name} ({seconds} s): {error}"),
            Went::Skipped(why) => format!("skipped  {name}: {why}"),
        });
        failed |= matches!(went, Went::Failed(_));
    }
    println!("\n{}", lines.join("\n"));
    if failed {
        Err("tests failed".into())
    } else {
        Ok(())
    }
}

fn went(outcome: Outcome) -> Went {
    outcome.map_or_else(Went::Failed, |()| Went::Passed)
}

fn run_tidy(_: &[String]) -> Went {
    went(tidy::tidy())
}

fn local(filter: &[String]) -> Went {
    went(run(cargo_command()
        .args(["test", "--workspace", "--quiet", "--"])
        .args(filter)))
}

fn netns(filter: &[String]) -> Went {
    if !system::is_root() {
        return Went::Skipped("needs root\nhint: sudo -E cargo xtask test".into());
    }
    if let Err(error) = system::provide(NETNS).and_then(|()| system::provide(CLOCK)) {
        return Went::Skipped(error);
    }
    if let Err(error) = build(PROGRAMS, Profile::Dev) {
        return Went::Failed(error);
    }
    let mut tests = cargo_command();
    // One at a time: each test owns processes, namespaces and timing of its own.
    tests
        .args([
            "test",
            "--workspace",
            "--quiet",
            "--",
            "--ignored",
            "--test-threads",
            "1",
        ])
        .args(filter);
    match envoy::provide() {
        Ok(program) => went(run(tests.env("ENVOY", program))),
        Err(why) => match run(tests.args(["--skip", WITH_ENVOY])) {
            Ok(()) => Went::PassedBut(format!("{WITH_ENVOY} skipped: {why}")),
            Err(error) => Went::Failed(error),
        },
    }
}
