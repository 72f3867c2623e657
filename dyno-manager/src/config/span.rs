//! Durations, as people write them.

use std::time::Duration;

use anyhow::ensure;
use serde::{Deserialize, Deserializer, de::Error as _};

/// "30s", or "never".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(Option<Duration>);

impl Span {
    pub(super) fn from_secs(secs: u64) -> Self {
        Self(Some(Duration::from_secs(secs)))
    }

    /// One that may be never, and is otherwise this many milliseconds.
    pub(super) fn within(
        self,
        key: &str,
        least: u64,
        most: u64,
    ) -> anyhow::Result<Option<Duration>> {
        if let Some(span) = self.0 {
            let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
            ensure!(
                (least..=most).contains(&span),
                "{key}: it is {} to {}, or \"never\"",
                humantime::format_duration(least),
                humantime::format_duration(most)
            );
        }
        Ok(self.0)
    }

    /// One that is needed.
    pub(super) fn some(self, key: &str) -> anyhow::Result<Duration> {
        let most = Duration::from_secs(3_500);
        match self.0 {
            Some(span) if !span.is_zero() && span <= most => Ok(span),
            _ => anyhow::bail!(
                "{key}: it is a time up to {}",
                humantime::format_duration(most)
            ),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "never" {
            return Ok(Self(None));
        }
        let span = humantime::parse_duration(&text);
        let span = span.map_err(|error| {
            D::Error::custom(format!(
                "\"{text}\": {error}; write it like 30s, 500ms or 1m15s"
            ))
        })?;
        Ok(Self(Some(span)))
    }
}
