//! Statistics that noise cannot fool: medians, and the range they come from.

use serde::{Deserialize, Serialize};

/// The middle of some samples and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` without samples.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { median, min, max })
    }

    /// The spread of `samples[i] / references[i]`: what was measured in the same round is
    /// compared, so that what slows a whole round down cancels out.
    pub fn of_ratios(samples: &[f64], references: &[f64]) -> Option<Self> {
        Self::of(samples.iter().zip(references).map(|(sample, reference)| sample / reference))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread, Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        let spread = Spread::of([9.0, 1.0, 3.0]);
        assert_eq!(spread, Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_round_that_is_slow_for_both_does_not_show_in_the_ratio() {
        let ratio = Spread::of_ratios(&[2.0, 20.0, 2.2], &[1.0, 10.0, 1.0]);
        assert_eq!(ratio, Some(Spread { median: 2.0, min: 2.0, max: 2.2 }));
    }
}
