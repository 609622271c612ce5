//! The log of a whole process: installed once, on standard error, panics included.

use std::{env, process::Command};

use mesh_runtime::log::{Format, Levels, Logging};

const CHILD: &str = "MESH_TEST_CHILD";

/// What the child does; nothing in the parent.
#[test]
fn child() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let _logging = Logging::install(Levels::new(&[]), Format::Json).unwrap();
    let again = Logging::install(Levels::new(&[]), Format::Text).unwrap_err();
    assert_eq!(again.to_string(), "a log is installed already");
    let thread = std::thread::Builder::new().name("worker".into());
    let panicked = thread.spawn(|| panic!("on {}", "purpose")).unwrap().join();
    assert!(panicked.is_err());
}

#[test]
fn a_panic_is_a_log_line_with_its_place() {
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, "1")
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    let text = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success(), "{text}");
    let lines: Vec<serde_json::Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let [line] = lines.as_slice() else {
        panic!("one line expected: {text}")
    };
    assert_eq!(
        (&line["message"], &line["level"]),
        (&"panic: on purpose".into(), &"ERROR".into())
    );
    assert_eq!(line["thread"], "worker");
    assert!(
        line["place"]
            .as_str()
            .is_some_and(|place| place.contains("install.rs")),
        "{line}"
    );
    assert!(
        line.get("backtrace").is_none(),
        "only where it was asked for"
    );
}
