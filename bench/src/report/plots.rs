//! Draws the tables as bars: one panel for each, the best on top.

use std::{error::Error, path::Path};

use plotters::{coord::Shift, prelude::*};

use super::{Figure, Table, table::grouped};
use crate::Spread;

/// Readable on white and on black.
const INK: RGBColor = RGBColor(128, 134, 142);
const GRID: RGBAColor = RGBAColor(128, 134, 142, 0.25);
const PRISM: RGBColor = RGBColor(224, 112, 48);
const PEER: RGBColor = RGBColor(74, 134, 200);
const YARDSTICK: RGBAColor = RGBAColor(128, 134, 142, 0.6);

const PANEL_WIDTH: u32 = 520;
const BAR_HEIGHT: u32 = 22;
/// What a panel needs besides its bars: title, axis, margins.
const FRAME_HEIGHT: u32 = 90;
const COLUMNS: usize = 2;

/// Bars longer than this many times the median are cut, so that the others stay visible.
const LONGEST: f64 = 3.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

struct Bar<'a> {
    label: &'a str,
    spread: Spread,
    color: RGBAColor,
}

/// Draws the tables into an SVG.
pub(super) fn draw(path: &Path, tables: &[&Table]) -> Result<(), Box<dyn Error>> {
    let mut panels = Vec::new();
    for table in tables {
        for (figure, what) in table.judged() {
            let axis = if table.cell.memory().is_some() {
                format!("bytes per connection, {what}")
            } else {
                format!("{what} (median, quartiles)")
            };
            panels.push((table.cell.title, axis, bars(table, figure)));
        }
    }
    let most = panels.iter().map(|(_, _, bars)| bars.len()).max().unwrap_or(0);
    let rows = panels.len().div_ceil(COLUMNS);
    let columns = panels.len().clamp(1, COLUMNS);
    let height = u32::try_from(most)? * BAR_HEIGHT + FRAME_HEIGHT;
    let size = (PANEL_WIDTH * u32::try_from(columns)?, height * u32::try_from(rows)?);
    let root = SVGBackend::new(path, size).into_drawing_area();
    for (area, (title, axis, bars)) in root.split_evenly((rows, columns)).iter().zip(&panels) {
        panel(area, title, axis, bars)?;
    }
    Ok(root.present()?)
}

fn bars(table: &Table, figure: Figure) -> Vec<Bar<'_>> {
    let mut bars: Vec<_> = table
        .rows
        .iter()
        .filter_map(|row| {
            let color = match &row.contestant {
                contestant if contestant.is_prism() => PRISM.to_rgba(),
                contestant if contestant.is_peer() => PEER.to_rgba(),
                _ => YARDSTICK,
            };
            let label = row.contestant.label.as_str();
            Some(Bar { label, spread: row.spread(figure)?, color })
        })
        .collect();
    // The vertical axis begins at the bottom.
    bars.sort_by(|a, b| b.spread.median.total_cmp(&a.spread.median));
    bars
}

fn panel(area: &Area<'_>, title: &str, axis: &str, bars: &[Bar<'_>]) -> Result<(), Box<dyn Error>> {
    let end = axis_end(bars);
    let text = ("sans-serif", 13).into_font().color(&INK);
    let count = i32::try_from(bars.len())?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16).into_font().color(&INK))
        .margin(8)
        .x_label_area_size(42)
        .y_label_area_size(160)
        .build_cartesian_2d(0.0..end, (0..count).into_segmented())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(text.clone())
        .axis_desc_style(text.clone())
        .x_desc(axis)
        .x_labels(5)
        .x_label_formatter(&|value| grouped(*value))
        .y_labels(bars.len())
        .y_label_formatter(&|place| name(bars, place))
        .draw()?;
    for (place, bar) in (0..).zip(bars) {
        let Spread { low, median, high } = bar.spread;
        let corners =
            [(0.0, SegmentValue::Exact(place)), (median.min(end), SegmentValue::Exact(place + 1))];
        let mut rectangle = Rectangle::new(corners, bar.color.filled());
        rectangle.set_margin(3, 3, 0, 0);
        chart.draw_series([rectangle])?;
        let middle = SegmentValue::CenterOf(place);
        let quartiles = [(low.min(end), middle.clone()), (high.min(end), middle.clone())];
        chart.draw_series([PathElement::new(quartiles, INK.stroke_width(2))])?;
        // The value is after the bar, or inside a long one; with an arrow if the bar was cut.
        let within = high > 0.8 * end;
        let x = if within { 0.0 } else { high };
        let color = if within { &WHITE } else { &INK };
        let arrow = if median > end { " →" } else { "" };
        let value = Text::new(grouped(median) + arrow, (6, -6), text.clone().color(color));
        chart.draw_series([EmptyElement::at((x, middle)) + value])?;
    }
    Ok(())
}

fn axis_end(bars: &[Bar<'_>]) -> f64 {
    let medians = || bars.iter().map(|bar| bar.spread.median);
    let middle = Spread::of(medians().collect()).map_or(1.0, |spread| spread.median);
    medians().fold(0.0, f64::max).min(LONGEST * middle) * 1.05
}

fn name(bars: &[Bar<'_>], place: &SegmentValue<i32>) -> String {
    let (SegmentValue::CenterOf(place) | SegmentValue::Exact(place)) = place else {
        return String::new();
    };
    let bar = usize::try_from(*place).ok().and_then(|place| bars.get(place));
    bar.map_or_else(String::new, |bar| bar.label.to_owned())
}
