//! Two runs, figure by figure.

use std::fmt::Write as _;

use crate::{
    record::Record,
    report::{Series, figure, spread},
};

/// Writes what both runs measured: both spreads, and how many times as much the second shows.
///
/// A line is marked when the spreads do not touch: then noise alone is unlikely to be the reason.
pub(crate) fn compare(first: &Record, second: &Record) -> String {
    let mut text = format!("A: {}B: {}\n", first.heading(), second.heading());
    if first.machine.processor != second.machine.processor || first.machine.cores != second.machine.cores {
        text.push_str("the machines differ: only ratios within each run may be compared\n\n");
    }
    for report in &second.scenarios {
        let Some(before) = first.scenario(&report.scenario) else { continue };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", report.scenario);
        for series in &report.series {
            let Some(old) = before.series.iter().find(|old| is_same(old, series)) else { continue };
            let _ = writeln!(text, "{}", line(old, series));
        }
        text.push('\n');
    }
    text
}

fn is_same(one: &Series, other: &Series) -> bool {
    (&one.contestant, &one.under, &one.measure) == (&other.contestant, &other.under, &other.measure)
}

fn line(old: &Series, new: &Series) -> String {
    let (before, after) = (old.spread(), new.spread());
    let apart = before.max < after.min || after.max < before.min;
    format!(
        "{} {:<44} {:<24} {:<16} {:>32} -> {:>32}  x {}",
        if apart { "*" } else { " " },
        new.contestant,
        new.under,
        new.measure,
        spread(&before),
        spread(&after),
        figure(after.median / before.median),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_marked_when_the_spreads_do_not_touch() {
        let series = |samples: &[f64]| Series {
            contestant: "ours".into(),
            under: "1 KiB".into(),
            measure: "us/call".into(),
            samples: samples.to_vec(),
        };
        let apart = line(&series(&[10.0, 11.0, 12.0]), &series(&[5.0, 5.5, 6.0]));
        assert!(apart.starts_with('*') && apart.ends_with("x 0.50"), "{apart}");
        assert!(line(&series(&[10.0, 12.0]), &series(&[11.0, 14.0])).starts_with(' '));
    }
}
