//! The log, on standard error.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::{LogFormat, LogLevel};

/// Starts it. A second call changes nothing.
pub fn start(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Libraries only when they complain: theirs is a line for each frame.
    let ours = Targets::new()
        .with_target("meshd", level)
        // What ends a connection is said by whoever has it.
        .with_target("lapin", LevelFilter::OFF)
        .with_default(level.min(LevelFilter::WARN));
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let started = match format {
        LogFormat::Text => tracing_subscriber::registry()
            .with(lines.with_ansi(false).with_filter(ours))
            .try_init(),
        LogFormat::Json => tracing_subscriber::registry()
            .with(lines.json().flatten_event(true).with_filter(ours))
            .try_init(),
    };
    // It was started before: by a test, or by whoever uses this as a library.
    let _ = started;
}
