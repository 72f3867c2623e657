//! What is printed: text for people, JSON for programs.

mod app;
mod event;
mod nodes;
mod operation;
mod status;
mod table;
mod tap;
mod units;

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use dynomesh_proto::v1::Applied;
use serde::Serialize;

pub(crate) use app::{app_details, app_row, app_table, page_table, sticky_name, up};
pub(crate) use event::event_line;
pub(crate) use nodes::{membership_fact, nodes_details};
pub(crate) use status::status_details;
pub(crate) use table::{Table, cell, state_name};
pub(crate) use tap::tap_line;
pub(crate) use units::{bar, count, longest, plain, rate};

use crate::failure::Failure;

/// Standard output, and how to write to it.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) colour: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            colour: may_colour(),
        }
    }

    /// Text as it is: whatever it quotes has gone through `plain`.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        // A full disk or a closed pipe is noticed here, not after the end.
        Ok(out.flush()?)
    }

    /// One object, for people who read JSON.
    pub(crate) fn object(self, value: &impl Serialize) -> Result<(), Failure> {
        self.text(&serde_json::to_string_pretty(value).map_err(unserialisable)?)
    }

    /// One object on one line, for streams of them.
    pub(crate) fn json_line(self, value: &impl Serialize) -> Result<(), Failure> {
        self.text(&serde_json::to_string(value).map_err(unserialisable)?)
    }

    /// What came of a change.
    pub(crate) fn applied(self, applied: &Applied, what: &str) -> Result<(), Failure> {
        if self.json {
            return self.object(applied);
        }
        let what = plain(what);
        if !applied.queued.is_empty() {
            let id = plain(&applied.queued);
            return self.text(&format!(
                "queued until the route log is back, as {id}; then: {what}"
            ));
        }
        match applied.version {
            0 => self.text(&what),
            version => self.text(&format!("{what} (version {version})")),
        }
    }
}

fn unserialisable(error: serde_json::Error) -> Failure {
    Failure::Local(format!("the sidecar sent what JSON cannot say: {error}"))
}

/// Colours are for people who did not ask for none (<https://no-color.org>).
fn may_colour() -> bool {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stdout().is_terminal() && !unwanted && !dumb
}

/// A JSON array that is written while it is still being read.
pub(crate) struct JsonArray {
    out: Output,
    empty: bool,
}

impl JsonArray {
    pub(crate) fn new(out: Output) -> Self {
        Self { out, empty: true }
    }

    pub(crate) fn push(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let before = if self.empty { "[\n" } else { ",\n" };
        self.empty = false;
        let text = serde_json::to_string(value).map_err(unserialisable)?;
        let mut out = io::stdout().lock();
        out.write_all(before.as_bytes())?;
        Ok(out.write_all(text.as_bytes())?)
    }

    /// Without it the array is not valid, and so seen to be incomplete.
    pub(crate) fn end(self) -> Result<(), Failure> {
        self.out.text(if self.empty { "[]" } else { "\n]" })
    }
}
