//! Trying a new version on a share of the calls first.

use clap::Args;
use wattle_types::control::Canary;

/// How a new version is tried first.
#[derive(Debug, Args)]
pub(super) struct CanaryArgs {
    /// Try it first: on one host it gets this share of the calls, and goes back by itself if it does not do well.
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    canary: Option<u8>,
    /// How long it is watched; twice as long if it has too few calls [default: 30].
    #[arg(long, value_name = "SECONDS", requires = "canary", value_parser = clap::value_parser!(u32).range(1..=3600))]
    watch: Option<u32>,
    /// How many more of 100 calls may fail than with the old version [default: 1].
    #[arg(long, value_name = "PERCENT", requires = "canary", value_parser = percent)]
    max_errors: Option<f64>,
    /// How many times as long its slowest calls may take [default: 2].
    #[arg(long, value_name = "FACTOR", requires = "canary", value_parser = factor)]
    max_slower: Option<f64>,
}

impl CanaryArgs {
    pub(super) fn canary(&self) -> Option<Canary> {
        self.canary.map(|percent| Canary {
            percent,
            watch_secs: self.watch,
            max_error_percent: self.max_errors,
            max_latency_factor: self.max_slower,
        })
    }
}

fn share(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number.filter(|percent| (1..=100).contains(percent)).ok_or_else(|| "it is a number from 1 to 100".into())
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "it is a number from 0 to 100".into())
}

fn factor(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0);
    number.ok_or_else(|| "it is a number above 0, as in 1.5".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_factors_are_within_reason() {
        assert_eq!((share("10"), share("10%"), share("100")), (Ok(10), Ok(10), Ok(100)));
        assert_eq!((percent("0"), percent("0.5%"), factor("1.5")), (Ok(0.0), Ok(0.5), Ok(1.5)));
        for bad in ["0", "101", "-1", "ten", "", "1.5", "NaN"] {
            assert!(share(bad).is_err(), "{bad}");
        }
        for bad in ["101", "-1", "NaN", "inf"] {
            assert!(percent(bad).is_err(), "{bad}");
            assert!(bad == "101" || factor(bad).is_err(), "{bad}");
        }
        assert!(factor("0").is_err());
    }
}
