//! Units, and how their figures are written.

use serde::Serialize;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Unit {
    /// As a multiple of something else's.
    Times,
    Percent,
    Micros,
    Millis,
    PerSecond,
    Mebibytes,
    Count,
}

impl Unit {
    /// Behind the figures.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Times => "×",
            Self::Percent => "%",
            Self::Micros => "µs",
            Self::Millis => "ms",
            Self::PerSecond => "/s",
            Self::Mebibytes => "MiB",
            Self::Count => "",
        }
    }

    /// A figure with as many digits as mean something.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Times => format!("{value:.3}"),
            Self::Percent | Self::Micros | Self::Millis | Self::Mebibytes => format!("{value:.1}"),
            Self::PerSecond | Self::Count => grouped(value),
        }
    }
}

/// 1234567.8 as 1,234,568.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value <= -0.5 {
        text.insert(0, '-');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (value, text) in [
            (0.0, "0"),
            (999.6, "1,000"),
            (123_456.0, "123,456"),
            (-1_234_567.0, "-1,234,567"),
        ] {
            assert_eq!(Unit::Count.show(value), text);
        }
    }
}
