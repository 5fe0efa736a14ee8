//! Whether a new version does as well as the old one.

use wattle_types::control::Reading;

use super::Canary;

/// Calls of the old version from which its latency is something to compare with.
const OLD_CALLS_MIN: u64 = 20;
/// What latency may grow by at any rate, in microseconds: below, it is noise.
const LATENCY_SLACK_US: f64 = 5_000.0;

/// Returns why a new version is worse than is allowed, in words, or `None`.
#[must_use]
pub fn judge(limits: &Canary, old: &Reading, new: &Reading) -> Option<String> {
    let (was, is) = (error_percent(old), error_percent(new));
    if is > was + limits.max_error_percent {
        return Some(format!(
            "{is:.1}% of its {} calls failed, {was:.1}% with the old version; {:.1} points more are allowed",
            new.calls, limits.max_error_percent
        ));
    }
    let (before, after) = (as_f64(old.p99_us), as_f64(new.p99_us));
    let is_slow = after > before * limits.max_latency_factor + LATENCY_SLACK_US;
    (is_slow && old.calls >= OLD_CALLS_MIN && new.calls > 0).then(|| {
        format!(
            "99 of 100 calls took up to {:.1} ms, {:.1} ms with the old version; {} times that is allowed",
            after / 1000.0,
            before / 1000.0,
            limits.max_latency_factor
        )
    })
}

fn error_percent(reading: &Reading) -> f64 {
    if reading.calls == 0 { 0.0 } else { as_f64(reading.failed) * 100.0 / as_f64(reading.calls) }
}

#[expect(clippy::cast_precision_loss, reason = "counts and microseconds beyond 2^52 do not matter here")]
const fn as_f64(number: u64) -> f64 {
    number as f64
}
