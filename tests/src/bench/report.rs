//! The table, and whether the targets are met.

use std::fmt::Write as _;

use serde::Serialize;

use super::{sample::Sample, unit::Unit};

/// What was measured.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    rows: Vec<Row>,
    /// What was not measured, and why.
    notes: Vec<String>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    heading: &'static str,
    what: String,
    unit: Unit,
    #[serde(flatten)]
    sample: Sample,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

/// What the median has to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }

    fn text(self, unit: Unit) -> String {
        let (word, limit) = match self {
            Self::AtLeast(limit) => ("at least", limit),
            Self::AtMost(limit) => ("at most", limit),
        };
        format!("{word} {} {}", unit.show(limit), unit.name())
            .trim_end()
            .to_owned()
    }
}

impl Row {
    /// A figure without a target.
    pub(super) fn new(
        heading: &'static str,
        what: impl Into<String>,
        unit: Unit,
        values: Vec<f64>,
    ) -> Self {
        Self {
            heading,
            what: what.into(),
            unit,
            sample: Sample::of(values),
            target: None,
            met: None,
        }
    }

    /// The median must not be lower.
    pub(super) fn at_least(self, limit: f64) -> Self {
        self.target(Target::AtLeast(limit))
    }

    /// The median must not be higher.
    pub(super) fn at_most(self, limit: f64) -> Self {
        self.target(Target::AtMost(limit))
    }

    fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self.met = Some(target.met_by(self.sample.median));
        self
    }

    fn figure(&self) -> String {
        format!(
            "{} {}",
            self.unit.show(self.sample.median),
            self.unit.name()
        )
        .trim_end()
        .to_owned()
    }

    fn spread(&self) -> String {
        let Sample {
            min, max, values, ..
        } = &self.sample;
        match values.len() {
            0 | 1 => String::new(),
            _ => format!("{}–{}", self.unit.show(*min), self.unit.show(*max)),
        }
    }
}

impl Report {
    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Every target is met.
    #[must_use]
    pub fn met(&self) -> bool {
        self.rows.iter().all(|row| row.met != Some(false))
    }

    /// The table, for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        let width = |of: fn(&Row) -> usize| self.rows.iter().map(of).max().unwrap_or(0);
        let what = width(|row| row.what.chars().count());
        let figure = width(|row| row.figure().chars().count());
        let mut heading = "";
        // Writing to a String cannot fail.
        for row in &self.rows {
            if row.heading != heading {
                heading = row.heading;
                let _ = writeln!(text, "\n{heading}");
            }
            let line = format!(
                "  {:what$}  {:>figure$}  {}",
                row.what,
                row.figure(),
                row.spread()
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        for note in &self.notes {
            let _ = writeln!(text, "\nnote: {note}");
        }
        text.push('\n');
        for (row, target, met) in self.targets() {
            let _ = writeln!(
                text,
                "{:6} {}: {}: {} ({})",
                if met { "met" } else { "MISSED" },
                row.heading.split(':').next().unwrap_or_default(),
                row.what,
                row.figure(),
                target.text(row.unit),
            );
        }
        text
    }

    fn targets(&self) -> impl Iterator<Item = (&Row, Target, bool)> {
        self.rows
            .iter()
            .filter_map(|row| Some((row, row.target?, row.met?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: Vec<f64>) -> Row {
        Row::new("a", "b", Unit::Times, values)
    }

    #[test]
    fn a_target_is_about_the_median() {
        let mut report = Report::default();
        report.add(row(vec![0.1, 0.9, 1.0]).at_least(0.9));
        report.add(row(vec![1.0, 1.2, 9.0]).at_most(1.2));
        assert!(report.met());
        report.add(row(vec![0.8]).at_least(0.9));
        assert!(!report.met());
        assert!(
            report
                .table()
                .contains("MISSED a: b: 0.800 × (at least 0.900 ×)")
        );
    }

    #[test]
    fn what_was_not_measured_meets_nothing() {
        let mut report = Report::default();
        report.add(row(Vec::new()).at_most(1.0));
        assert!(!report.met());
    }
}
