//! Pictures of a run: SVG.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::{
    calls::{RATE, TIME, threads},
    record::Record,
    report::{Distribution, Report, figure},
    routing::LINK,
};

const SIZE: (u32, u32) = (900, 520);
const COLORS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(255, 127, 14),
    RGBColor(148, 103, 189),
    RGBColor(127, 127, 127),
];

/// One line of a plot.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Draws what the run has measured, and returns the files.
pub(crate) fn draw(record: &Record) -> Result<Vec<(String, PathBuf)>> {
    draw_at(record, |name| record.file(&format!("-{name}"), "svg"))
}

/// Draws into a folder, under names that say nothing of the run.
pub(crate) fn draw_into(record: &Record, folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    draw_at(record, |name| folder.join(name).with_extension("svg"))
}

fn draw_at(record: &Record, place: impl Fn(&str) -> PathBuf) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for report in &record.scenarios {
        let file = place(&report.scenario);
        match report.scenario.as_str() {
            "threads" => scaling(&file, report)?,
            "calls" => growth(&file, report, TIME, "bytes in, and as many out")?,
            "routing" => growth(&file, report, LINK, "actors, with five links each")?,
            _ if report.distributions.is_empty() => continue,
            _ => latencies(&file, report)?,
        }
        files.push((report.title.clone(), file));
    }
    Ok(files)
}

/// Latency over percentiles, each nine as wide as the last.
fn latencies(file: &Path, report: &Report) -> Result<()> {
    let line = |distribution: &Distribution| Line {
        name: format!("{}, {}", distribution.contestant, distribution.under),
        points: distribution.points.iter().map(|(percent, us)| (nines(*percent), us.max(1.0))).collect(),
    };
    let lines: Vec<Line> = report.distributions.iter().map(line).collect();
    let axes = Axes { title: &report.title, across: "percentile", up: "microseconds", across_label: percentile_label };
    let (least, most) = reach(&lines);
    plot(file, &axes, (least / 1.5..most * 1.5).log_scale(), &lines)
}

/// Calls a second over threads.
fn scaling(file: &Path, report: &Report) -> Result<()> {
    let threads =
        |under: &str| (1..=1024_u16).find(|count| threads::under(usize::from(*count)) == under).map(f64::from);
    let mut lines = lines(report, RATE, threads);
    let alone = lines.first().and_then(|line| line.points.first()).map_or(0.0, |point| point.1);
    let last = lines.iter().flat_map(|line| &line.points).map(|point| point.0).fold(1.0, f64::max);
    lines
        .push(Line { name: "as many times ours on 1 thread".into(), points: vec![(1.0, alone), (last, alone * last)] });
    let axes = Axes {
        title: &report.title,
        across: "threads",
        up: "calls a second",
        across_label: |threads| if threads.fract() == 0.0 { format!("{threads:.0}") } else { String::new() },
    };
    let (_, most) = reach(&lines);
    plot(file, &axes, 0.0..most * 1.1, &lines)
}

/// How a figure grows: over something that is a number at the beginning of the load's name.
fn growth(file: &Path, report: &Report, measure: &str, over: &str) -> Result<()> {
    let mut lines = lines(report, measure, |under| leading_number(under).map(f64::log10));
    if lines.len() == 1 {
        // One contestant: what it does is the name.
        lines.iter_mut().for_each(|line| line.name = measure.to_owned());
    }
    let axes =
        Axes { title: &report.title, across: over, up: measure, across_label: |power| figure(10_f64.powf(*power)) };
    let (least, most) = reach(&lines);
    plot(file, &axes, (least / 1.5..most * 1.5).log_scale(), &lines)
}

/// Returns a line for each contestant, a point for each load that `across` knows.
fn lines(report: &Report, measure: &str, across: impl Fn(&str) -> Option<f64>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for series in report.series.iter().filter(|series| series.measure == measure) {
        let Some(across) = across(&series.under) else { continue };
        let point = (across, series.spread().median);
        match lines.iter_mut().find(|line| line.name == series.contestant) {
            Some(line) => line.points.push(point),
            None => lines.push(Line { name: series.contestant.clone(), points: vec![point] }),
        }
    }
    lines
}

/// Reads `64 KiB` as 65 536, and `10000 actors, 50000 links` as 10 000.
fn leading_number(under: &str) -> Option<f64> {
    let mut words = under.split([' ', ',']);
    let number: f64 = words.next()?.parse().ok()?;
    Some(match words.next() {
        Some("KiB") => number * 1024.0,
        Some("MiB") => number * 1024.0 * 1024.0,
        _ => number,
    })
}

struct Axes<'a> {
    title: &'a str,
    across: &'a str,
    up: &'a str,
    across_label: fn(&f64) -> String,
}

fn plot<Y>(
    file: &Path,
    axes: &Axes<'_>,
    up: impl plotters::coord::ranged1d::AsRangedCoord<CoordDescType = Y, Value = f64>,
    lines: &[Line],
) -> Result<()>
where
    Y: plotters::coord::ranged1d::Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
{
    let across = lines.iter().flat_map(|line| &line.points).map(|point| point.0);
    let (first, last) = (across.clone().fold(f64::INFINITY, f64::min), across.fold(0.0, f64::max));
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| anyhow!("{error}"))?;
    let mut chart = ChartBuilder::on(&area)
        .caption(axes.title, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(78)
        .build_cartesian_2d(first..last.max(first + 1.0), up)
        .map_err(|error| anyhow!("{error}"))?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(axes.across)
        .y_desc(axes.up)
        .x_label_formatter(&axes.across_label)
        .y_label_formatter(&|value| figure(*value))
        .light_line_style(WHITE);
    mesh.draw().map_err(|error| anyhow!("{error}"))?;
    for (line, color) in lines.iter().zip(COLORS.iter().cycle()) {
        let drawn = chart.draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)));
        let mark = *color;
        drawn
            .map_err(|error| anyhow!("{error}"))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], mark.stroke_width(2)));
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3));
    labels.draw().map_err(|error| anyhow!("{error}"))?;
    area.present().map_err(|error| anyhow!("{error}"))
}

fn reach(lines: &[Line]) -> (f64, f64) {
    let values = lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max))
}

/// Writes the percentiles that have whole nines.
fn percentile_label(nines: &f64) -> String {
    let digits = (nines.round() as usize).saturating_sub(2);
    if nines.fract() == 0.0 { format!("{:.digits$}", percent(*nines)) } else { String::new() }
}

/// Returns how many nines a percentile has: 1 for 90, 2 for 99; 0 for none.
fn nines(percent: f64) -> f64 {
    -((100.0 - percent.min(99.999)) / 100.0).log10()
}

/// The reverse.
fn percent(nines: f64) -> f64 {
    100.0 - 100.0 * 10_f64.powf(-nines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_begins_with_its_number() {
        let said = ["16 B", "64 KiB", "10000 actors, 50000 links", "half of peak"].map(leading_number);
        assert_eq!(said, [Some(16.0), Some(65536.0), Some(10_000.0), None]);
    }

    #[test]
    fn nines_and_percentiles_are_each_others_reverse() {
        assert!((nines(99.0) - 2.0).abs() < 1e-9 && (percent(3.0) - 99.9).abs() < 1e-9);
        assert!(nines(0.0).abs() < 1e-9);
    }
}
