//! How long to wait before trying again.

use std::time::Duration;

/// The longest time between two attempts.
pub const LONGEST: Duration = Duration::from_secs(15 * 60);
const FIRST: Duration = Duration::from_millis(500);

/// The wait after attempt number `attempt` (from 1): exponential with full jitter, which
/// is `random`, evenly spread over [0, 1). What the other side asked for is kept to, but
/// not beyond [`LONGEST`], and gets a little jitter on top.
///
/// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
pub fn wait(attempt: u32, asked: Option<Duration>, random: f64) -> Duration {
    let exponential = FIRST
        .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1).min(20)))
        .min(LONGEST);
    match asked {
        Some(asked) => asked.min(LONGEST) + FIRST.mul_f64(random),
        None => exponential.mul_f64(random),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_are_spread_and_bounded() {
        let seconds = |attempt, random| wait(attempt, None, random).as_secs_f64();
        let upper: Vec<f64> = (1..=4).map(|attempt| seconds(attempt, 1.0)).collect();
        assert_eq!(upper, [0.5, 1.0, 2.0, 4.0]);
        assert_eq!(seconds(3, 0.0), 0.0);
        assert_eq!(seconds(u32::MAX, 1.0), 900.0);
        assert_eq!(seconds(0, 1.0), 0.5);
    }

    #[test]
    fn what_was_asked_for_is_kept_to_up_to_a_quarter_of_an_hour() {
        let asked = |seconds| wait(1, Some(Duration::from_secs(seconds)), 0.0);
        assert_eq!(asked(2), Duration::from_secs(2));
        assert_eq!(asked(1_000_000_000), LONGEST);
    }
}
