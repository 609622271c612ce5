use std::{io::Write, sync::Arc};

use tracing::subscriber::with_default;

use super::*;

const SCOPES: &[Scope] = &[
    Scope {
        name: "ads",
        family: Family::Istio,
        targets: &["mesh_proxy::xds"],
    },
    Scope {
        name: "upstream",
        family: Family::Envoy,
        targets: &["mesh_proxy::upstream"],
    },
    Scope {
        name: "http",
        family: Family::Envoy,
        targets: &["mesh_proxy::http", "mesh_proxy::listener"],
    },
    Scope {
        name: "misc",
        family: Family::Envoy,
        targets: &[],
    },
];

/// Collects what is written.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock())).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn started(levels: Levels, format: Format) -> (Sink, Logging, impl Subscriber) {
    let sink = Sink::default();
    let writer = sink.clone();
    let (logging, subscriber) = Logging::build(levels, format, move || writer.clone(), false);
    (sink, logging, subscriber)
}

/// Says something in each part and level, and tells what came through.
fn heard(sink: &Sink) -> Vec<String> {
    macro_rules! all {
        ($($target:literal),*) => {$(
            tracing::error!(target: $target, "E");
            tracing::warn!(target: $target, "W");
            tracing::info!(target: $target, "I");
            tracing::debug!(target: $target, "D");
            tracing::trace!(target: $target, "T");
        )*};
    }
    all!(
        "mesh_proxy::xds::stream",
        "mesh_proxy::upstream",
        "mesh_proxy::http",
        "mesh_proxy",
        "h2::codec"
    );
    let line = |line: &str| {
        let (rest, message) = line.rsplit_once(": ").unwrap();
        format!("{} {message}", rest.rsplit_once(' ').unwrap().1)
    };
    let mut lines: Vec<(String, String)> = Vec::new();
    for entry in sink.take().lines().map(line) {
        let (target, level) = entry.split_once(' ').unwrap();
        match lines.last_mut().filter(|(last, _)| last == target) {
            Some((_, levels)) => levels.push_str(level),
            None => lines.push((target.into(), level.into())),
        }
    }
    lines
        .into_iter()
        .map(|(target, levels)| format!("{target} {levels}"))
        .collect()
}

#[test]
fn flags_set_the_levels_of_their_parts() {
    let levels = Levels::new(SCOPES)
        .istio("default:info,ads:debug")
        .unwrap()
        .envoy("warning", "misc:error")
        .unwrap();
    assert!(levels.ignored().is_empty());
    let (sink, _logging, subscriber) = started(levels, Format::Text);
    let expected = [
        "mesh_proxy::xds::stream EWID",
        "mesh_proxy::upstream EW",
        "mesh_proxy::http EW",
        "mesh_proxy EWI",
        "h2::codec EW",
    ];
    with_default(subscriber, || assert_eq!(heard(&sink), expected));
}

#[test]
fn levels_change_while_it_runs() {
    let (sink, logging, subscriber) = started(Levels::new(SCOPES), Format::Text);
    with_default(subscriber, || {
        heard(&sink);
        logging.set("http", Level::Trace).unwrap();
        logging.set("ads", Level::Off).unwrap();
        assert_eq!(
            heard(&sink),
            [
                "mesh_proxy::upstream EW",
                "mesh_proxy::http EWIDT",
                "mesh_proxy EWI",
                "h2::codec EW"
            ]
        );
        logging.set_all(Family::Envoy, Level::Error);
        logging.set_all(Family::Istio, Level::Error);
        let quiet = heard(&sink);
        assert!(
            quiet.iter().all(|line| line.ends_with(" E")) && quiet.len() == 5,
            "{quiet:?}"
        );
        let expected = [
            ("ads", Level::Error),
            ("upstream", Level::Error),
            ("http", Level::Error),
            ("misc", Level::Error),
        ];
        assert_eq!(logging.levels(), expected);
        assert_eq!(
            logging.set("nothing", Level::Info),
            Err(UnknownScope("nothing".into()))
        );
    });
}

#[test]
fn a_scope_of_another_data_plane_is_listed_as_ignored() {
    let levels = Levels::new(SCOPES)
        .envoy("info", "quic:debug,upstream:debug,wasm:trace")
        .unwrap();
    assert_eq!(levels.ignored(), ["quic", "wasm"]);
    assert_eq!(levels.list().nth(1), Some(("upstream", Level::Debug)));
}

#[test]
fn levels_are_read_in_the_words_of_istio_and_envoy() {
    let rows = [
        ("off", Level::Off),
        ("none", Level::Off),
        ("critical", Level::Error),
        ("fatal", Level::Error),
        ("warn", Level::Warning),
        ("warning", Level::Warning),
        ("INFO", Level::Info),
        ("trace", Level::Trace),
    ];
    for (text, level) in rows {
        assert_eq!(text.parse(), Ok(level), "{text}");
    }
    for level in [
        Level::Off,
        Level::Error,
        Level::Warning,
        Level::Info,
        Level::Debug,
        Level::Trace,
    ] {
        assert_eq!(level.to_string().parse(), Ok(level));
    }
}

#[test]
fn a_malformed_flag_is_refused_with_its_part() {
    let refused = [
        ("default:loud", InvalidLevels::Level("loud".into())),
        ("default:info,debug", InvalidLevels::Form("debug".into())),
        (":", InvalidLevels::Level(String::new())),
    ];
    for (flag, error) in refused {
        assert_eq!(
            Levels::new(SCOPES).istio(flag).unwrap_err(),
            error,
            "{flag}"
        );
    }
    assert!(Levels::new(SCOPES).envoy("", "").is_err());
    assert!(
        Levels::new(SCOPES).istio("").is_ok(),
        "an empty list changes nothing"
    );
    assert_eq!(
        parse_levels(" a : info , b:debug,"),
        Ok(vec![("a".into(), Level::Info), ("b".into(), Level::Debug)])
    );
}

#[test]
fn json_is_one_object_a_line() {
    let (sink, _logging, subscriber) = started(Levels::new(SCOPES), Format::Json);
    with_default(
        subscriber,
        || tracing::info!(target: "mesh_proxy", port = 15001, "two\nlines"),
    );
    let text = sink.take();
    assert_eq!(text.lines().count(), 1, "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&value["message"], &value["port"]),
        (&"two\nlines".into(), &15001.into())
    );
    assert_eq!(
        (&value["level"], &value["target"]),
        (&"INFO".into(), &"mesh_proxy".into())
    );
}
