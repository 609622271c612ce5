use super::*;
use std::time::Duration;

#[test]
fn histograms_are_cumulative() {
    let metrics = Metrics::default();
    for ms in [5, 50, 50, 60_000] {
        metrics.debounce_time.record(Duration::from_millis(ms));
    }
    let text = metrics.write("1", &[]);
    for line in [
        "# TYPE pilot_debounce_time histogram",
        "pilot_debounce_time_bucket{le=\"0.01\"} 1",
        "pilot_debounce_time_bucket{le=\"0.1\"} 3",
        "pilot_debounce_time_bucket{le=\"30\"} 3",
        "pilot_debounce_time_bucket{le=\"+Inf\"} 4",
        "pilot_debounce_time_sum 60.105",
        "pilot_debounce_time_count 4",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
}

#[test]
fn types_are_labels_and_unused_ones_are_left_out() {
    let metrics = Metrics::default();
    metrics.xds_pushes.of(ResourceType::Cluster).increment();
    metrics.triggered(Trigger::Endpoint);
    let text = metrics.write("a\"b", &[]);
    assert!(
        text.contains("pilot_xds_pushes{type=\"cds\"} 1\n"),
        "{text}"
    );
    assert!(!text.contains("pilot_xds_pushes{type=\"eds\"}"), "{text}");
    assert!(
        text.contains("pilot_push_triggers{type=\"endpoint\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("pilot_info{version=\"a\\\"b\"} 1\n"),
        "{text}"
    );
}

#[test]
fn sec_49_places_are_named_up_to_a_limit_and_cannot_break_a_line() {
    use crate::watch::{Effect, Problem};
    let problem = |place: String| Problem {
        place,
        line: None,
        reason: "never a label".into(),
        effect: Effect::ObjectIgnored,
        hint: None,
    };
    let all: Vec<_> = (0..100_000)
        .map(|n| problem(format!("VirtualService test/v{n:06}")))
        .chain([problem("A \"\n\\".into()), problem("A \"\n\\".into())])
        .collect();
    let text = Metrics::default().write("1", &all);
    let lines: Vec<_> = text
        .lines()
        .filter(|l| l.starts_with("pilot_config_problems{"))
        .collect();
    assert_eq!(lines.len(), 101);
    let first = r#"pilot_config_problems{place="A \"\n\\",effect="object_ignored"} 2"#;
    assert_eq!(lines[0], first);
    assert_eq!(
        lines[100],
        r#"pilot_config_problems{place="others",effect="any"} 99901"#
    );
    assert!(text.contains("pilot_config_errors 100002\n") && !text.contains("never a label"));
}
