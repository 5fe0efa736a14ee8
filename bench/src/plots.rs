//! Pictures of a run: SVG.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::{
    calls::{RATE, threads},
    record::Record,
    report::{Distribution, Report},
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
pub(crate) fn draw(record: &Record) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for report in &record.scenarios {
        if !report.distributions.is_empty() {
            let file = record.file(&format!("-{}", report.scenario), "svg");
            latencies(&file, report)?;
            files.push(file);
        }
    }
    if let Some(report) = record.scenario("threads") {
        let file = record.file("-threads", "svg");
        scaling(&file, report)?;
        files.push(file);
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
    let axes = Axes {
        title: &report.title,
        across: "percentile",
        up: "microseconds",
        across_label: |nines| format!("{:.prec$}", percent(*nines), prec = (nines.ceil() as usize).saturating_sub(2)),
    };
    let (least, most) = reach(&lines);
    plot(file, &axes, (least / 1.5..most * 1.5).log_scale(), &lines)
}

/// Calls a second over threads.
fn scaling(file: &Path, report: &Report) -> Result<()> {
    let mut lines: Vec<Line> = Vec::new();
    for series in report.series.iter().filter(|series| series.measure == RATE) {
        let threads = (1..=1024).find(|threads| threads::under(*threads) == series.under).unwrap_or(1);
        let point = (threads as f64, series.spread().median);
        match lines.iter_mut().find(|line| line.name == series.contestant) {
            Some(line) => line.points.push(point),
            None => lines.push(Line { name: series.contestant.clone(), points: vec![point] }),
        }
    }
    let ideal = lines.first().and_then(|line| line.points.first().copied());
    let last = lines.iter().flat_map(|line| &line.points).map(|point| point.0).fold(1.0, f64::max);
    if let Some((_, alone)) = ideal {
        lines.push(Line {
            name: "as many times ours on 1 thread".into(),
            points: vec![(1.0, alone), (last, alone * last)],
        });
    }
    let axes = Axes {
        title: &report.title,
        across: "threads",
        up: "calls a second",
        across_label: |threads| format!("{threads:.0}"),
    };
    let (_, most) = reach(&lines);
    plot(file, &axes, 0.0..most * 1.1, &lines)
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
    mesh.x_desc(axes.across).y_desc(axes.up).x_label_formatter(&axes.across_label).light_line_style(WHITE);
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
    fn nines_and_percentiles_are_each_others_reverse() {
        assert!((nines(99.0) - 2.0).abs() < 1e-9 && (percent(3.0) - 99.9).abs() < 1e-9);
        assert!(nines(0.0).abs() < 1e-9);
    }
}
