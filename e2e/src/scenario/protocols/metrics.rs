//! Sums of a proxy's series, in the text form of Prometheus.

/// The sum of the series `name` that have all of `labels`.
pub(super) fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let series = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (found, rest) = series.split_once('{')?;
        let all = labels.iter().all(|(key, value)| has(rest, key, value));
        (found == name && all).then(|| value.parse::<f64>().ok())?
    });
    series.sum()
}

/// The labels of the series `name`, for messages.
pub(super) fn series<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines()
        .filter(|line| line.split('{').next() == Some(name))
        .collect()
}

fn has(labels: &str, key: &str, value: &str) -> bool {
    let wanted = format!("{key}=\"{value}\"");
    labels.match_indices(&wanted).any(|(at, _)| {
        // Not the end of another key.
        at == 0 || labels.as_bytes()[at - 1] == b','
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_what_has_the_labels() {
        let text = "# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{y=\"2\",x=\"1\"} 4\na{yx=\"1\",y=\"2\"} 5\nab{x=\"1\",y=\"2\"} 6\n";
        assert_eq!(sum(text, "a", &[("x", "1"), ("y", "2")]), 7.0);
        assert_eq!(series(text, "ab").len(), 1);
    }
}
