//! The story in one table.

use super::story::{Act, Kind};
use crate::process::say;

/// Shows every act, and all live updates together.
pub(super) fn show(acts: &[Act]) {
    say(&render(acts));
}

fn render(acts: &[Act]) -> String {
    let width = acts.iter().map(|act| act.name.len()).max().unwrap_or(0).max("all live updates".len());
    let mut lines = vec![format!(
        "\n{:width$}  {:>9}  {:>7}  {:>7}  {:>9}  {:>9}  {:>12}",
        "phase", "requests", "failed", "refused", "p50", "p99", "p99 in change"
    )];
    lines.extend(acts.iter().map(|act| {
        let refused = act.seen.others.get("status 503").copied().unwrap_or(0);
        let expected = if matches!(act.kind, Kind::Refusing | Kind::Restored) { refused } else { 0 };
        format!(
            "{:width$}  {:>9}  {:>7}  {:>7}  {:>9}  {:>9}  {:>12}",
            act.name,
            act.seen.requests,
            act.seen.failed() - expected,
            expected,
            millis(act.seen.p50_us),
            millis(act.seen.p99_us),
            if act.kind == Kind::Live { millis(act.second.p99_us) } else { "-".into() },
        )
    }));
    let live: Vec<_> = acts.iter().filter(|act| act.kind == Kind::Live).collect();
    lines.push(format!(
        "{:width$}  {:>9}  {:>7}",
        "all live updates",
        live.iter().map(|act| act.seen.requests).sum::<usize>(),
        live.iter().map(|act| act.seen.failed()).sum::<usize>(),
    ));
    let checks = acts.iter().flat_map(|act| act.checks.iter().map(|(what, kept)| (act.name.as_str(), what, *kept)));
    lines.push(String::new());
    lines.extend(checks.map(|(act, what, kept)| format!("{} {act}: {what}", if kept { "ok " } else { "NOT" })));
    lines.join("\n")
}

fn millis(us: u32) -> String {
    format!("{:.2} ms", f64::from(us) / 1e3)
}
