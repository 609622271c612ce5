use super::*;

#[test]
fn histograms_are_cumulative() {
    let metrics = Metrics::default();
    for ms in [5, 50, 50, 60_000] {
        metrics.debounce_time.record(Duration::from_millis(ms));
    }
    let text = metrics.write("1");
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
    let text = metrics.write("a\"b");
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
