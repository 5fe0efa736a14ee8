//! Medians and their like.

use serde::{Deserialize, Serialize};

/// The middle of some values, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Returns the spread of some values; all 0 of nothing.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return Self { median: 0.0, min: 0.0, max: 0.0 } };
        let median = f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)]);
        Self { median, min: sorted[0], max: sorted[last] }
    }
}

/// Returns the value below which `percent` of the sorted values lie; 0 of nothing.
pub(crate) fn percentile(sorted: &[u32], percent: f64) -> f64 {
    let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().map_or(0.0, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of(&[]).median, 0.0);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let sorted: Vec<u32> = (1..=1000).collect();
        assert_eq!((percentile(&sorted, 50.0), percentile(&sorted, 99.9)), (500.0, 999.0));
        assert_eq!(percentile(&[], 50.0), 0.0);
    }
}
