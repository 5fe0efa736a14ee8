//! The story in one table.

use super::story::Act;
use crate::process::say;

/// Shows every act.
pub(super) fn show(acts: &[Act]) {
    say(&render(acts));
}

fn render(acts: &[Act]) -> String {
    let width = acts.iter().map(|act| act.name.len()).max().unwrap_or(0);
    let mut lines = vec![format!(
        "\n{:width$}  {:>9}  {:>7}  {:>7}  {:>9}  {:>9}  {:>9}",
        "phase", "requests", "failed", "refused", "p50", "p99", "max"
    )];
    lines.extend(acts.iter().map(|act| {
        let refused = act.seen.others.get("status 503").copied().unwrap_or(0);
        format!(
            "{:width$}  {:>9}  {:>7}  {:>7}  {:>9}  {:>9}  {:>9}",
            act.name,
            act.seen.requests,
            act.seen.failed() - refused,
            refused,
            millis(act.seen.p50_us),
            millis(act.seen.p99_us),
            millis(act.seen.max_us),
        )
    }));
    lines.push(String::new());
    for act in acts {
        let failures = act.seen.named.iter().map(|(name, count)| format!("{count} x {name}"));
        lines.extend(failures.chain(act.notes.iter().cloned()).map(|line| format!("    {}: {line}", act.name)));
        let checks = act.checks.iter();
        lines.extend(checks.map(|(what, kept)| format!("{} {}: {what}", if *kept { "ok " } else { "NOT" }, act.name)));
    }
    lines.join("\n")
}

fn millis(us: u32) -> String {
    format!("{:.2} ms", f64::from(us) / 1e3)
}
