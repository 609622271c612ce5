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
/// Part of the names of tests that need a clock that lies.
const WITH_CLOCK: &str = "wrong_clock";

/// How a rung went.
enum Went {
    Passed,
    PassedBut(String),
    Failed(String),
    Skipped(String),
}

type Rung = fn(&[String]) -> Went;

/// Runs every rung that this machine can run. Tests of the netns rung are those marked `#[ignore = "netns: …"]`. With
/// `--strict`, what was skipped is a failure.
pub(crate) fn test(arguments: &[String]) -> Outcome {
    let (flags, filter): (Vec<_>, Vec<_>) = arguments
        .iter()
        .cloned()
        .partition(|argument| argument == "--strict");
    let strict = !flags.is_empty();
    println!("rungs: tidy, unit + golden + component, netns");
    let rungs: [(&str, Rung); 3] = [
        ("tidy", run_tidy),
        ("unit, golden, component", local),
        ("netns", netns),
    ];
    let mut lines = Vec::new();
    let mut failed = false;
    let mut skipped = false;
    for (name, rung) in rungs {
        println!("\n== {name}");
        let start = Instant::now();
        let went = rung(&filter);
        let seconds = start.elapsed().as_secs();
        lines.push(match &went {
            Went::Passed => format!("passed   {name} ({seconds} s)"),
            Went::PassedBut(why) => format!("passed   {name} ({seconds} s), but {why}"),
            Went::Failed(error) => format!("FAILED   {name} ({seconds} s): {error}"),
            Went::Skipped(why) => format!("skipped  {name}: {why}"),
        });
        failed |= matches!(went, Went::Failed(_));
        skipped |= matches!(went, Went::Skipped(_) | Went::PassedBut(_));
    }
    println!("\n{}", lines.join("\n"));
    if failed {
        Err("tests failed".into())
    } else if strict && skipped {
        Err("tests were skipped, and --strict does not allow it".into())
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
        .args(["test", "--workspace", "--no-fail-fast", "--quiet", "--"])
        .args(filter)))
}

fn netns(filter: &[String]) -> Went {
    if !system::is_root() {
        return Went::Skipped("needs root\nhint: sudo -E cargo xtask test".into());
    }
    if let Err(error) = system::provide(NETNS) {
        return Went::Skipped(error);
    }
    if let Err(error) = build(PROGRAMS, Profile::Dev) {
        return Went::Failed(error);
    }
    let mut tests = cargo_command();
    // One at a time: each test owns processes, namespaces and timing of its own. Each is named before it is run, so that
    // one that hangs is known.
    tests
        .args([
            "test",
            "--workspace",
            "--no-fail-fast",
            "--lib",
            "--bins",
            "--tests",
            "--",
        ])
        .args(["--ignored", "--test-threads", "1"])
        .args(filter);
    let mut missing = Vec::new();
    match envoy::provide() {
        Ok(program) => {
            tests.env("ENVOY", program);
        }
        Err(why) => missing.push((WITH_ENVOY, why)),
    }
    if let Err(why) = system::provide(CLOCK) {
        missing.push((WITH_CLOCK, why));
    }
    for (name, _) in &missing {
        tests.args(["--skip", name]);
    }
    match run(&mut tests) {
        Err(error) => Went::Failed(error),
        Ok(()) if missing.is_empty() => Went::Passed,
        Ok(()) => {
            let all = missing
                .iter()
                .map(|(name, why)| format!("{name} skipped: {why}"));
            Went::PassedBut(all.collect::<Vec<_>>().join("; "))
        }
    }
}
