//! The terminal while `top` has it, and as it was before.

use std::{
    io::{self, Write as _},
    panic,
};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    execute, queue,
    style::{Attribute, Print, SetAttribute},
    terminal::{
        self, Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen,
        LeaveAlternateScreen,
    },
};

/// The whole screen. However this goes away, the terminal is as before.
pub(super) struct Screen(());

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Self(());
        // The message of a panic would vanish with the screen it is printed on.
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore();
            report(info);
        }));
        // Without wrapping, what is too wide is cut by the terminal.
        execute!(io::stdout(), EnterAlternateScreen, Hide, DisableLineWrap)?;
        Ok(screen)
    }

    /// Lines that fit on the screen.
    pub(super) fn height(&self) -> usize {
        match terminal::size() {
            Ok((_, rows)) if rows > 0 => rows.into(),
            // Some terminals do not say.
            _ => 24,
        }
    }

    /// Draws over what is there, which flickers less than clearing first.
    pub(super) fn draw(&self, title: &str, body: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        queue!(
            out,
            MoveTo(0, 0),
            SetAttribute(Attribute::Bold),
            Print(title),
            SetAttribute(Attribute::Reset),
            Clear(ClearType::UntilNewLine)
        )?;
        for line in body.lines().take(self.height().saturating_sub(1)) {
            queue!(
                out,
                Print("\r\n"),
                Print(line),
                Clear(ClearType::UntilNewLine)
            )?;
        }
        queue!(out, Clear(ClearType::FromCursorDown))?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Does what it can: there is nobody to tell that it failed.
fn restore() {
    let _ = execute!(io::stdout(), EnableLineWrap, Show, LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}
