//! A configuration that is not right.

use std::path::PathBuf;

/// What is wrong, where, and what is allowed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum ConfigError {
    #[error("cannot read {file}: {error}")]
    Unreadable {
        file: PathBuf,
        error: std::io::Error,
    },
    #[error("{file}: {error}")]
    Malformed { file: PathBuf, error: String },
    #[error("{origin}: {problem}")]
    Value { origin: String, problem: String },
    #[error("{0}")]
    Other(String),
}
