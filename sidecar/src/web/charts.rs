//! Small charts of the last five minutes, as SVG.

use std::error::Error;

use axum::{
    Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use plotters::prelude::*;
use serde::Deserialize;

use super::history::{History, SECONDS};

/// How large a chart may be.
const WIDTHS: std::ops::RangeInclusive<u32> = 200..=2_000;
const HEIGHTS: std::ops::RangeInclusive<u32> = 80..=800;

/// Seconds.
const MINUTE: f64 = 60.0;

#[derive(Debug, Deserialize)]
struct Look {
    width: u32,
    height: u32,
    #[serde(default)]
    dark: bool,
}

pub(super) fn routes(history: History) -> Router {
    Router::new()
        .route("/charts/{name}", get(chart))
        .with_state(history)
}

async fn chart(
    State(history): State<History>,
    Path(name): Path<String>,
    Query(look): Query<Look>,
) -> Response {
    let (series, second) = match &*name {
        "requests.svg" => (history.rates(), [(200, 50, 43), (242, 115, 107)]),
        "load.svg" => (history.load(), [(178, 106, 0), (226, 163, 59)]),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let first = [(36, 99, 196), (110, 164, 244)];
    let of = |colours: [(u8, u8, u8); 2]| {
        let (r, g, b) = colours[usize::from(look.dark)];
        RGBColor(r, g, b)
    };
    let size = (
        look.width.clamp(*WIDTHS.start(), *WIDTHS.end()),
        look.height.clamp(*HEIGHTS.start(), *HEIGHTS.end()),
    );
    let mut svg = String::new();
    match draw(&mut svg, size, &series, [of(first), of(second)]) {
        Ok(()) => ([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response(),
        Err(error) => {
            tracing::warn!("cannot draw a chart: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Two lines above time, which ends now.
fn draw(
    svg: &mut String,
    size: (u32, u32),
    series: &[Vec<f64>; 2],
    colours: [RGBColor; 2],
) -> Result<(), Box<dyn Error>> {
    const SOFT: RGBColor = RGBColor(130, 142, 158);
    let most = series.iter().flatten().fold(1.0, |a: f64, b| a.max(*b));
    let from = -(SECONDS as f64) / MINUTE;
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin_top(8)
        .margin_right(8)
        .x_label_area_size(18)
        .y_label_area_size(44)
        .build_cartesian_2d(from..0.0, 0.0..most * 1.1)?;
    let text = ("sans-serif", 11).into_font().color(&SOFT);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(SOFT.mix(0.25))
        .axis_style(SOFT.mix(0.5))
        .label_style(text)
        .x_labels(6)
        .y_labels(4)
        .x_label_formatter(&|x| match *x {
            0.0 => "now".to_owned(),
            x => format!("{x:.0} min"),
        })
        .y_label_formatter(&|y| short(*y))
        .draw()?;
    for (values, colour) in series.iter().zip(colours) {
        let start = 1.0 - values.len() as f64;
        let points = (0_u32..)
            .zip(values)
            .map(|(n, value)| ((start + f64::from(n)) / MINUTE, *value));
        let line =
            AreaSeries::new(points, 0.0, colour.mix(0.15)).border_style(colour.stroke_width(2));
        chart.draw_series(line)?;
    }
    area.present()?;
    drop(chart);
    Ok(())
}

fn short(value: f64) -> String {
    match value {
        1_000_000.0.. => format!("{:.1}M", value / 1e6),
        10_000.0.. => format!("{:.0}k", value / 1e3),
        1_000.0.. => format!("{:.1}k", value / 1e3),
        10.0.. => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_drawn_of_whatever_there_is() {
        for series in [
            [vec![], vec![]],
            [vec![0.0], vec![0.0]],
            [vec![1.0; SECONDS], vec![1e9; SECONDS]],
        ] {
            let mut svg = String::new();
            draw(&mut svg, (300, 120), &series, [RED, BLUE]).expect("it is drawn");
            assert!(
                svg.starts_with("<svg") && svg.ends_with("</svg>\n"),
                "{svg}"
            );
            assert!(!svg.contains("style=") && !svg.contains("NaN"), "{svg}");
        }
    }
}
