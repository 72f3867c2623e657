//! The figures of several turns.

use serde::Serialize;

/// One figure, measured once each turn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Sample {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// In the order of the turns.
    pub(super) values: Vec<f64>,
}

impl Sample {
    /// Of no figures: all NaN, which meets no target.
    pub(super) fn of(values: Vec<f64>) -> Self {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(at(middle.wrapping_sub(1)), at(middle)),
            _ => at(middle),
        };
        Self {
            median,
            min: at(0),
            max: at(sorted.len().wrapping_sub(1)),
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!(Sample::of(Vec::new()).median.is_nan());
        assert_eq!(Sample::of(vec![7.0]).median, 7.0);
        assert_eq!(Sample::of(vec![4.0, 1.0]).median, 2.5);
        let sample = Sample::of(vec![3.0, 9.0, 1.0]);
        assert_eq!((sample.median, sample.min, sample.max), (3.0, 1.0, 9.0));
    }
}
