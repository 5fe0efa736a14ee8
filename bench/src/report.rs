//! What one scenario measured: series of samples, one for each round, and distributions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::quantiles::{Spread, percentile};

/// One figure of one contestant under one load, measured once in each round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    /// Who.
    pub(crate) contestant: String,
    /// Under what.
    pub(crate) under: String,
    /// Which figure, with its unit: `us/call`.
    pub(crate) measure: String,
    /// One for each round.
    pub(crate) samples: Vec<f64>,
}

impl Series {
    /// Returns the middle and the spread.
    pub(crate) fn spread(&self) -> Spread {
        Spread::of(&self.samples)
    }
}

/// How long many calls took: pairs of a percentile and microseconds, over all rounds together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Distribution {
    pub(crate) contestant: String,
    pub(crate) under: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// The percentiles that are kept of a distribution.
const PERCENTILES: [f64; 16] =
    [1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.75, 99.9, 99.95, 99.99, 100.0];

/// Everything a scenario measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) scenario: String,
    pub(crate) title: String,
    pub(crate) series: Vec<Series>,
    #[serde(default)]
    pub(crate) distributions: Vec<Distribution>,
    #[serde(default)]
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Adds one round's figure.
    pub(crate) fn add(&mut self, contestant: &str, under: &str, measure: &str, sample: f64) {
        match self.series.iter_mut().find(|series| series.is(contestant, under, measure)) {
            Some(series) => series.samples.push(sample),
            None => self.series.push(Series {
                contestant: contestant.to_owned(),
                under: under.to_owned(),
                measure: measure.to_owned(),
                samples: vec![sample],
            }),
        }
    }

    /// Adds how long calls took.
    pub(crate) fn add_distribution(&mut self, contestant: &str, under: &str, mut all_us: Vec<u32>) {
        all_us.sort_unstable();
        let points = PERCENTILES.iter().map(|percent| (*percent, percentile(&all_us, *percent))).collect();
        self.distributions.push(Distribution { contestant: contestant.to_owned(), under: under.to_owned(), points });
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Returns a figure's samples.
    pub(crate) fn samples(&self, contestant: &str, under: &str, measure: &str) -> Option<&[f64]> {
        let found = self.series.iter().find(|series| series.is(contestant, under, measure));
        found.map(|series| series.samples.as_slice())
    }

    /// Adds a column: how many times as much each contestant shows as `base` does, round by round.
    pub(crate) fn add_ratios(&mut self, measure: &str, base: &str, name: &str) {
        let bases: Vec<Series> = self.series.iter().filter(|series| series.measure == measure).cloned().collect();
        for series in &bases {
            let Some(base) = bases.iter().find(|other| other.contestant == base && other.under == series.under) else {
                continue;
            };
            for (own, base) in series.samples.iter().zip(&base.samples) {
                self.add(&series.contestant, &series.under, name, own / base);
            }
        }
    }
}

impl Series {
    fn is(&self, contestant: &str, under: &str, measure: &str) -> bool {
        self.contestant == contestant && self.under == under && self.measure == measure
    }
}

impl fmt::Display for Report {
    /// A table: a row for each contestant and load, a column for each measure, `median [least .. most]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = in_order(self.series.iter().map(|series| (series.under.as_str(), series.contestant.as_str())));
        let measures = in_order(self.series.iter().map(|series| series.measure.as_str()));
        let cell = |row: &(&str, &str), measure: &str| {
            let found = self.series.iter().find(|series| series.is(row.1, row.0, measure));
            found.map(|series| spread(&series.spread())).unwrap_or_default()
        };
        let wide = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or_default();
        let name = wide(&mut rows.iter().map(|row| row.1.chars().count()));
        let under = wide(&mut rows.iter().map(|row| row.0.chars().count()));
        let widths: Vec<usize> = measures
            .iter()
            .map(|measure| wide(&mut rows.iter().map(|row| cell(row, measure).chars().count())).max(measure.len()))
            .collect();
        writeln!(f, "{}: {}", self.scenario, self.title)?;
        write!(f, "{:<name$}  {:<under$}", "", "")?;
        for (measure, width) in measures.iter().zip(&widths) {
            write!(f, "  {measure:>width$}")?;
        }
        writeln!(f)?;
        for row in &rows {
            write!(f, "{:<name$}  {:<under$}", row.1, row.0)?;
            for (measure, width) in measures.iter().zip(&widths) {
                write!(f, "  {:>width$}", cell(row, measure))?;
            }
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}

/// Returns each value once, where it came first.
fn in_order<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// Writes a median and its spread.
pub(crate) fn spread(spread: &Spread) -> String {
    if spread.min == spread.max {
        return figure(spread.median);
    }
    format!("{} [{} .. {}]", figure(spread.median), figure(spread.min), figure(spread.max))
}

/// Writes a number with about three digits that say something, and large ones with their thousands set apart.
pub(crate) fn figure(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    if digits > 0 {
        return text;
    }
    let (sign, number) = text.strip_prefix('-').map_or(("", text.as_str()), |number| ("-", number));
    let first = number.len() % 3;
    let (head, tail) = number.split_at(first);
    let mut parts: Vec<&str> = if head.is_empty() { Vec::new() } else { vec![head] };
    parts.extend((0..tail.len() / 3).map(|at| &tail[at * 3..at * 3 + 3]));
    format!("{sign}{}", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_load_and_a_column_for_each_measure() {
        let mut report = Report::new("Calls");
        report.scenario = "calls".into();
        for (own, other) in [(2.0, 4.0), (3.0, 9.0), (4.0, 4.0)] {
            report.add("ours", "1 KiB", "us/call", own);
            report.add("theirs", "1 KiB", "us/call", other);
        }
        report.add_ratios("us/call", "ours", "x ours");
        assert_eq!(report.samples("theirs", "1 KiB", "x ours"), Some(&[2.0, 3.0, 1.0][..]));
        report.note("a note");
        let expected = "\
calls: Calls
                             us/call              x ours
ours    1 KiB  3.00 [2.00 .. 4.00]                1.00
theirs  1 KiB  4.00 [4.00 .. 9.00]  2.00 [1.00 .. 3.00]
  a note
";
        let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(lines(&report.to_string()), lines(expected));
    }

    #[test]
    fn figures_have_three_digits_that_matter() {
        let said: Vec<String> = [0.0, 0.0123, 0.56, 12.34, 383.4, 1234.5, 1_234_567.0, -1500.0].map(figure).into();
        assert_eq!(said, ["0", "0.0123", "0.56", "12.3", "383", "1 234", "1 234 567", "-1 500"]);
    }
}
