//! Prometheus' text exposition format.

use super::{Counter, Histogram};
use mesh_xds::ads::ResourceType;
use std::{
    fmt::{Display, Write},
    sync::atomic::Ordering::Relaxed,
};

/// Text under construction.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// The first two lines of a metric.
    pub fn header(&mut self, name: &str, help: &str, kind: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
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

    /// A counter for each type that has counted.
    pub fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        all: impl Iterator<Item = (ResourceType, &'a Counter)>,
    ) {
        self.header(name, help, "counter");
        for (kind, counter) in all.filter(|(_, counter)| counter.get() > 0) {
            self.sample(name, &[("type", &label(kind))], counter.get());
        }
    }

    /// A histogram.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.header(name, help, "histogram");
        self.buckets(name, &[], histogram);
    }

    /// A histogram for each type that has recorded.
    pub fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        all: impl Iterator<Item = (ResourceType, &'a Histogram)>,
    ) {
        self.header(name, help, "histogram");
        for (kind, histogram) in all.filter(|(_, histogram)| histogram.count() > 0) {
            self.buckets(name, &[("type", &label(kind))], histogram);
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

/// Istio's value of the label `type`.
fn label(kind: ResourceType) -> String {
    kind.short().to_ascii_lowercase()
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
