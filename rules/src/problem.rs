//! What is wrong with a text.

/// Where a text is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// The character, from 1.
    pub column: usize,
    /// What is wrong, and what would not be.
    pub what: String,
}

impl Problem {
    /// In a line that will be numbered later.
    pub fn at(column: usize, what: impl Into<String>) -> Self {
        Self {
            line: 0,
            column,
            what: what.into(),
        }
    }

    /// The number of its line.
    #[must_use]
    pub fn on(self, line: usize) -> Self {
        Self { line, ..self }
    }
}

/// A piece of somebody's text, short enough for a message.
pub fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    match short.len() < text.len() {
        true => format!("\"{short}…\""),
        false => format!("\"{short}\""),
    }
}
