//! Medians, and how far to trust them.

/// A median with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Median {
    pub value: f64,
    /// Of the true median, with a probability of at least 90 % if there are five values or more; else the extremes.
    pub low: f64,
    pub high: f64,
}

/// How often the interval may miss the true median.
const MISSES_MAX: f64 = 0.1;

/// The median of some values; nothing is assumed about how they are distributed.
pub fn median(values: &[f64]) -> Median {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    assert!(count > 0, "a median of nothing");
    let value = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0;
    let cut = cut(count);
    Median {
        value,
        low: sorted[cut],
        high: sorted[count - 1 - cut],
    }
}

/// The value that this share of some values does not exceed, such as 0.99 of them; `None` of nothing.
pub fn percentile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length that fits memory"
    )]
    let place = (values.len() as f64 * share).ceil() as usize;
    values.get(place.saturating_sub(1)).copied()
}

/// How many values may be left out at either end: each value is on either side of the true median like a coin.
fn cut(count: usize) -> usize {
    let coins = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let (mut cut, mut ways, mut missed) = (0, 1.0, coins);
    loop {
        // `missed`: at most `cut` of the values are on one side.
        ways *= (count - cut) as f64 / (cut + 1) as f64;
        let more = missed + ways * coins;
        if 2.0 * more > MISSES_MAX || 2 * (cut + 2) > count {
            return cut;
        }
        missed = more;
        cut += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_as_many_values_as_the_binomial_says() {
        // 5: 2/32 miss with all values; 7: 16/128 would miss without the extremes; 8: 18/256 do.
        let cuts: Vec<_> = [1, 2, 5, 7, 8, 11, 20].map(cut).to_vec();
        assert_eq!(cuts, [0, 0, 0, 0, 1, 2, 5]);
    }

    #[test]
    fn a_percentile_is_the_least_value_that_as_many_do_not_exceed() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 0.99), Some(198.0));
        assert_eq!(percentile(&mut [7.0], 0.99), Some(7.0));
        assert_eq!(percentile(&mut [], 0.99), None);
    }

    #[test]
    fn a_median_is_in_the_middle_whatever_the_order() {
        let odd = median(&[3.0, 1.0, 2.0]);
        assert_eq!((odd.value, odd.low, odd.high), (2.0, 1.0, 3.0));
        assert_eq!(median(&[4.0, 1.0]).value, 2.5);
    }
}
