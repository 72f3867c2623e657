//! The view that changes by itself, until a key or a signal ends it.

use std::{io, time::Duration};

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_util::StreamExt as _;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use super::{look::Looker, screen::Screen, view::View};
use crate::failure::Failure;

/// Lines that are no apps: summary, empty line, headings.
const AROUND: usize = 3;

pub(super) async fn run(interval: Duration, mut looker: Looker) -> Result<(), Failure> {
    // The first look is before the screen: what fails now fails in plain text.
    let mut seen = Ok(looker.look().await?);
    let screen = Screen::enter().map_err(no_terminal)?;
    let mut person = Person::new().map_err(no_terminal)?;
    loop {
        draw(&screen, &seen)?;
        tokio::select! {
            () = sleep(interval) => {}
            wish = person.wish() => match wish {
                Wish::Leave => return Ok(()),
                Wish::Redraw => continue,
            },
        }
        tokio::select! {
            look = looker.look() => match look {
                // The sidecar may come back, and nobody wants to start again for that.
                Err(failure) if !matches!(failure, Failure::Unreachable(_)) => return Err(failure),
                look => seen = look,
            },
            () = person.leaves() => return Ok(()),
        }
    }
}

fn no_terminal(error: io::Error) -> Failure {
    Failure::Local(format!(
        "cannot use this terminal: {error}; `meshctl top --once` needs none"
    ))
}

fn draw(screen: &Screen, seen: &Result<View, Failure>) -> io::Result<()> {
    match seen {
        Ok(view) => {
            let body = view.first(screen.height().saturating_sub(AROUND));
            screen.draw(&view.summary(), &format!("\n{body}"))
        }
        Err(failure) => screen.draw("no figures", &format!("\n{failure}\n\nq leaves")),
    }
}

#[derive(Debug, Eq, PartialEq)]
enum Wish {
    Leave,
    Redraw,
}

/// Keys, and signals for those who use no keys.
struct Person {
    keys: EventStream,
    signals: [Signal; 3],
}

impl Person {
    fn new() -> io::Result<Self> {
        let signals = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ];
        Ok(Self {
            keys: EventStream::new(),
            signals,
        })
    }

    async fn wish(&mut self) -> Wish {
        let [interrupt, terminate, hangup] = &mut self.signals;
        loop {
            let event = tokio::select! {
                event = self.keys.next() => event,
                _ = interrupt.recv() => return Wish::Leave,
                _ = terminate.recv() => return Wish::Leave,
                _ = hangup.recv() => return Wish::Leave,
            };
            match event {
                Some(Ok(event)) => {
                    if let Some(wish) = meaning(&event) {
                        return wish;
                    }
                }
                // The terminal is gone.
                Some(Err(_)) | None => return Wish::Leave,
            }
        }
    }

    async fn leaves(&mut self) {
        while self.wish().await != Wish::Leave {}
    }
}

fn meaning(event: &Event) -> Option<Wish> {
    match event {
        Event::Resize(..) => Some(Wish::Redraw),
        Event::Key(KeyEvent {
            kind: KeyEventKind::Release,
            ..
        }) => None,
        Event::Key(key) => match key.code {
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Wish::Leave),
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                Some(Wish::Leave)
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Wish> {
        meaning(&Event::Key(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn the_keys_that_leave() {
        assert_eq!(
            key(KeyCode::Char('q'), KeyModifiers::NONE),
            Some(Wish::Leave)
        );
        assert_eq!(
            key(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(Wish::Leave)
        );
        assert_eq!(key(KeyCode::Esc, KeyModifiers::NONE), Some(Wish::Leave));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(meaning(&Event::Resize(80, 24)), Some(Wish::Redraw));
    }
}
