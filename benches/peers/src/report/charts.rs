//! The charts: SVG, without a font of our own.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;

use super::view;
use crate::case::{CHURN, CONNECTIONS, Case, SHAPES};
use crate::results::Results;
use crate::stats::Spread;

/// A chart that was drawn.
pub struct Chart {
    /// Of its file, without the ending.
    pub name: String,
    pub title: String,
}

/// A mark of a row, and the index of its series.
struct Mark {
    series: usize,
    spread: Spread,
}

/// What a chart shows: rows of marks, named on the left.
struct Plot<'a> {
    title: &'a str,
    /// What the axis shows.
    axis: &'static str,
    rows: Vec<(&'static str, Vec<Mark>)>,
    series: Vec<String>,
    /// Where the axis has a line: the values that are of interest.
    ticks: &'static [f64],
}

/// An axis with lines and labels at the points that we choose.
struct Axis {
    ends: Range<f64>,
    scale: fn(f64) -> f64,
    points: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let [start, end, value] = [self.ends.start, self.ends.end, *value].map(self.scale);
        from + ((value - start) / (end - start) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.points.clone()
    }

    fn range(&self) -> Range<f64> {
        self.ends.clone()
    }
}

/// Told apart by those who do not see all colours, too.
const COLOURS: [RGBColor; 4] = [
    RGBColor(0x44, 0x77, 0xaa),
    RGBColor(0xee, 0x66, 0x77),
    RGBColor(0x22, 0x88, 0x33),
    RGBColor(0xcc, 0xbb, 0x44),
];

/// Pixels: of a chart's width, of its rows and of what is above and below them.
const WIDTH: u32 = 860;
const ROW: u32 = 24;
const FRAME: u32 = 120;

/// Axis lines of a ratio, and of bytes.
const RATIOS: &[f64] = &[0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0];
const BYTES: &[f64] = &[16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0];

/// Draws what the results have into `folder`.
pub fn draw(results: &Results, folder: &Path) -> Result<Vec<Chart>> {
    fs::create_dir_all(folder)?;
    let mut charts = Vec::new();
    let mut add = |name: String, title: String, plot: Plot<'_>| {
        if !plot.rows.is_empty() {
            plot.draw(&folder.join(format!("{name}.svg")))?;
            charts.push(Chart { name, title });
        }
        anyhow::Ok(())
    };
    for shape in SHAPES {
        let cases = CONNECTIONS.map(|connections| Case::echo(connections, shape.0, shape.1));
        let title = format!("Server CPU per message of {}", shape_name(shape));
        add(view::cpu_chart(shape), title.clone(), cpu(results, &title, &cases))?;
    }
    let title = "Server CPU per connection that comes and goes";
    add(view::CHURN_CHART.to_owned(), title.to_owned(), cpu(results, title, &[CHURN]))?;
    let title = "Memory per idle connection";
    add(view::MEMORY_CHART.to_owned(), title.to_owned(), memory(results, title))?;
    Ok(charts)
}

fn shape_name((bytes, outstanding): (u32, u32)) -> String {
    match outstanding {
        1 => format!("{bytes} B"),
        _ => format!("{bytes} B, {outstanding} under way"),
    }
}

fn cpu<'a>(results: &Results, title: &'a str, cases: &[Case]) -> Plot<'a> {
    let runs = &results.cpu;
    let cases: Vec<_> = cases.iter().filter(|c| runs.iter().any(|r| r.case == **c)).collect();
    let marks = |peer: &'static str| {
        let marks = cases.iter().enumerate().filter_map(|(series, case)| {
            let spread = view::relative_cpu(runs, view::run(runs, **case, peer)?)?;
            Some(Mark { series, spread })
        });
        (peer, marks.collect::<Vec<_>>())
    };
    let rows = view::peers(runs.iter().map(|run| run.peer.as_str())).into_iter().map(marks);
    let series = cases.iter().map(|case| match case.connections {
        1 => "1 connection".to_owned(),
        connections => format!("{connections} connections"),
    });
    Plot {
        title,
        axis: "times the reference's; less is better",
        rows: rows.filter(|(_peer, marks)| !marks.is_empty()).collect(),
        series: series.collect(),
        ticks: RATIOS,
    }
}

fn memory<'a>(results: &Results, title: &'a str) -> Plot<'a> {
    let mark = |series, samples: &[f64]| {
        // A logarithm needs something to show.
        let bytes = samples.iter().map(|bytes| bytes.max(BYTES[0]));
        Some(Mark { series, spread: Spread::of(bytes)? })
    };
    let row = |peer: &'static str| {
        let found = results.memory.iter().find(|memory| memory.peer == peer)?;
        let marks = [mark(0, &found.large), mark(1, &found.small)];
        Some((peer, marks.into_iter().flatten().collect()))
    };
    let peers = view::peers(results.memory.iter().map(|memory| memory.peer.as_str()));
    Plot {
        title,
        axis: "bytes; less is better",
        rows: peers.into_iter().filter_map(row).collect(),
        series: ["buffers of 16 KiB", "buffers of 64 B"].map(str::to_owned).to_vec(),
        ticks: BYTES,
    }
}

impl Plot<'_> {
    fn draw(&self, file: &Path) -> Result<()> {
        let rows = self.rows.len();
        let root = SVGBackend::new(file, (WIDTH, FRAME + ROW * rows as u32)).into_drawing_area();
        root.fill(&WHITE)?;
        let (low, high) = self.range();
        let ticks = self.ticks.iter().copied().filter(|tick| (low..=high).contains(tick));
        let across = Axis { ends: low..high, scale: f64::ln, points: ticks.collect() };
        // From the bottom up, so that the rows are read downwards.
        let points = (0..rows).map(|row| row as f64).collect();
        let down = Axis { ends: rows as f64 - 0.5..-0.5, scale: |row| row, points };
        let mut chart = ChartBuilder::on(&root)
            .caption(self.title, ("sans-serif", 18))
            .margin_right(20)
            .set_label_area_size(LabelAreaPosition::Left, 150)
            .set_label_area_size(LabelAreaPosition::Bottom, 45)
            .build_cartesian_2d(across, down)?;
        // A light band marks what is our own.
        let own = self.rows.iter().enumerate().filter(|(_, row)| row.0.starts_with("selkie"));
        chart.draw_series(own.map(|(row, _)| {
            let (top, bottom) = (row as f64 - 0.5, row as f64 + 0.5);
            Rectangle::new([(low, top), (high, bottom)], RGBColor(0xf0, 0xf0, 0xe0).filled())
        }))?;
        chart
            .configure_mesh()
            .x_desc(self.axis)
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.15))
            .x_label_formatter(&|x| x.to_string())
            .y_label_formatter(&|y| self.rows[*y as usize].0.to_owned())
            .draw()?;
        for (series, name) in self.series.iter().enumerate() {
            let colour = COLOURS[series];
            let marks = self.marks(series);
            chart.draw_series(marks.iter().map(|&(y, Spread { min, max, .. })| {
                PathElement::new([(min, y), (max, y)], colour.stroke_width(2))
            }))?;
            chart
                .draw_series(marks.iter().map(|&(y, Spread { median, .. })| {
                    Circle::new((median, y), 4, colour.filled())
                }))?
                .label(name)
                .legend(move |(x, y)| Circle::new((x + 10, y), 4, colour.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        Ok(root.present()?)
    }

    /// The marks of a series and how far down each is: those of a row one below the other.
    fn marks(&self, series: usize) -> Vec<(f64, Spread)> {
        let shift = (series as f64 + 1.0) / (self.series.len() as f64 + 1.0) - 0.5;
        let rows = self.rows.iter().enumerate();
        let marks = rows.flat_map(|(row, (_peer, marks))| {
            marks.iter().map(move |mark| (row as f64 + shift * 0.8, mark))
        });
        marks.filter(|(_, mark)| mark.series == series).map(|(y, mark)| (y, mark.spread)).collect()
    }

    /// What the axis has to hold: all samples, and a little room.
    fn range(&self) -> (f64, f64) {
        let spreads = self.rows.iter().flat_map(|(_, marks)| marks.iter().map(|m| m.spread));
        let (low, high) = spreads.fold((f64::INFINITY, 0.0_f64), |(low, high), spread| {
            (low.min(spread.min), high.max(spread.max))
        });
        (low * 0.98, high * 1.02)
    }
}
