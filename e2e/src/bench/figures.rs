//! Figures of several rounds: the median, how far they lie apart, and the ratio of two subjects.

use serde::Serialize;

/// What several rounds say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// Their median.
    pub(crate) median: f64,
    /// Half of what lies between the lowest and the highest, as a share of the median.
    pub(crate) spread: f64,
}

impl Figure {
    /// Of one value a round; `None` of none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (lowest, highest) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        let spread = if median == 0.0 {
            0.0
        } else {
            (highest - lowest) / 2.0 / median
        };
        Some(Self { median, spread })
    }
}

/// Ratio of two subjects, round by round: what disturbs a round disturbs both.
pub(crate) fn ratio(
    above: impl IntoIterator<Item = f64>,
    below: impl IntoIterator<Item = f64>,
) -> Option<Figure> {
    Figure::of(
        above
            .into_iter()
            .zip(below)
            .map(|(above, below)| above / below),
    )
}

/// Value below which `share` of the sorted `values` lie; 0 of none.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let rank = (values.len() as f64 * share).ceil() as usize;
    values
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_spread() {
        let figure = |values: &[f64]| Figure::of(values.iter().copied());
        let want = |median, spread| Some(Figure { median, spread });
        assert_eq!(figure(&[]), None);
        assert_eq!(figure(&[3.0]), want(3.0, 0.0));
        assert_eq!(figure(&[12.0, 8.0, 10.0]), want(10.0, 0.2));
        assert_eq!(figure(&[1.0, 3.0]), want(2.0, 0.5));
    }

    #[test]
    fn a_ratio_is_taken_within_rounds() {
        // The second round ran at half speed for both.
        let found = ratio([40.0, 20.0], [20.0, 10.0]).expect("two rounds");
        assert_eq!(
            found,
            Figure {
                median: 2.0,
                spread: 0.0
            }
        );
    }

    #[test]
    fn percentiles() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.50), 100.0);
        assert_eq!(percentile(&values, 0.99), 198.0);
        assert_eq!(percentile(&[], 0.99), 0.0);
    }
}
