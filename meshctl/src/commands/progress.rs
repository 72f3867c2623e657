//! How far it is, on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use crate::output::plain;

/// One line that is written over and over, on a terminal. What fails to be
/// written is only news, so errors are passed over.
pub(super) struct Progress {
    terminal: bool,
    /// Where there is no terminal, each news gets a line of its own.
    lines: bool,
    shown: String,
}

impl Progress {
    /// Silent without a terminal.
    pub(super) fn on_terminal() -> Self {
        Self::new(false)
    }

    /// Line by line without a terminal.
    pub(super) fn anywhere() -> Self {
        Self::new(true)
    }

    fn new(lines: bool) -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
            lines,
            shown: String::new(),
        }
    }

    /// What is so now.
    pub(super) fn show(&mut self, news: &str) {
        if news == self.shown {
            return;
        }
        news.clone_into(&mut self.shown);
        let news = plain(news);
        let mut err = io::stderr().lock();
        let _ = match (self.terminal, self.lines) {
            (true, _) => write!(err, "\r\u{1b}[K{news}"),
            (false, true) => writeln!(err, "{news}"),
            (false, false) => Ok(()),
        };
        let _ = err.flush();
    }

    /// A line that stays.
    pub(super) fn say(&mut self, line: &str) {
        self.clear();
        let _ = writeln!(io::stderr(), "{}", plain(line));
    }

    fn clear(&mut self) {
        if self.terminal && !self.shown.is_empty() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
        self.shown.clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
