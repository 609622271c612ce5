//! Prometheus' text exposition format.

use super::{Counter, Histogram};
use std::{
    fmt::{Display, Write},
    sync::atomic::Ordering::Relaxed,
};

/// Text under construction.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// The lines before a metric's samples; without `help`, only that of its type.
    pub fn header(&mut self, name: &str, help: &str, kind: &str) {
        if !help.is_empty() {
            self.line(format_args!("# HELP {name} {help}"));
        }
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// One sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
            .collect::<Vec<_>>()
            .join(",");
        let braces = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        self.line(format_args!("{name}{braces} {value}"));
    }

    /// A metric of one sample.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: u64) {
        self.header(name, help, "gauge");
        self.sample(name, labels, value);
    }

    /// As [`Text::gauge`], a counter.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: u64) {
        self.header(name, help, "counter");
        self.sample(name, labels, value);
    }

    /// A counter for each value of `label` that has counted. Values must be of a closed set, lest a client grow the page.
    pub fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        all: impl Iterator<Item = (impl AsRef<str>, &'a Counter)>,
    ) {
        self.header(name, help, "counter");
        for (value, counter) in all.filter(|(_, counter)| counter.get() > 0) {
            self.sample(name, &[(label, value.as_ref())], counter.get());
        }
    }

    /// A histogram.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.header(name, help, "histogram");
        self.buckets(name, &[], histogram);
    }

    /// As [`Text::counters`], histograms.
    pub fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        all: impl Iterator<Item = (impl AsRef<str>, &'a Histogram)>,
    ) {
        self.header(name, help, "histogram");
        for (value, histogram) in all.filter(|(_, histogram)| histogram.count() > 0) {
            self.buckets(name, &[(label, value.as_ref())], histogram);
        }
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }

    fn buckets(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let bounds = histogram
            .bounds
            .iter()
            .map(ToString::to_string)
            .chain(["+Inf".to_owned()]);
        let mut cumulative = 0;
        for (bound, bucket) in bounds.zip(&histogram.buckets) {
            cumulative += bucket.load(Relaxed);
            let labels: Vec<_> = labels
                .iter()
                .copied()
                .chain([("le", bound.as_str())])
                .collect();
            self.sample(&format!("{name}_bucket"), &labels, cumulative);
        }
        let sum = histogram.sum_micros.load(Relaxed) as f64 / 1e6;
        self.sample(&format!("{name}_sum"), labels, sum);
        self.sample(&format!("{name}_count"), labels, cumulative);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
