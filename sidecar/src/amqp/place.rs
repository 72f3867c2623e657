//! Where in which log this sidecar is, and what the next entry is to it. Pure.

use mesh::Change;

use super::meaning::{Bad, Message, change_key};
use crate::driver::{Position, Report, Said, What};

/// See the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At the beginning of a log of which nothing is known.
    Seeking {
        /// Nothing has come yet.
        first: bool,
    },
    /// The next entry has to be this one, which has been seen to.
    Resuming(Position),
    /// In this log.
    Following(u128),
}

/// What an entry is to this sidecar.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    /// It comes before any log begins; a marker has this number.
    Before(Option<u64>),
    /// The one that was resumed at.
    Again,
    /// A log begins here.
    Begins {
        position: Position,
        snapshot: Box<str>,
        previous: Option<u128>,
    },
    /// It is one of this log.
    Entry(Position, Kind),
    /// This is not the log that was asked for, or not all of it.
    Lost(&'static str),
}

/// What an entry of a log is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A change.
    Change {
        /// By which it is known.
        key: u128,
        change: Change,
    },
    /// What a sidecar tells.
    Report {
        /// Which one.
        node: Box<str>,
        report: Report,
    },
    /// A marker.
    Sync(u64),
    /// There is a snapshot.
    Saved,
    /// A log began that does not count.
    Other,
    /// No entry.
    Bad(Bad),
}

impl Place {
    pub(super) fn new(position: Option<Position>) -> Self {
        match position {
            Some(position) => Self::Resuming(position),
            None => Self::Seeking { first: true },
        }
    }

    /// The log that entries are published for.
    pub(super) fn log(self) -> Option<u128> {
        match self {
            Self::Seeking { .. } => None,
            Self::Resuming(position) => Some(position.log),
            Self::Following(log) => Some(log),
        }
    }

    /// A message comes.
    pub(super) fn see(&mut self, offset: u64, message: &Message<'_>) -> Seen {
        match *self {
            Self::Resuming(position) => self.resume(position, offset, message),
            Self::Seeking { first } => self.seek(first, offset, message),
            Self::Following(log) => {
                let position = Position {
                    log,
                    offset,
                    mark: message.mark(),
                };
                Seen::Entry(position, kind(position, message.said()))
            }
        }
    }

    fn resume(&mut self, position: Position, offset: u64, message: &Message<'_>) -> Seen {
        if offset != position.offset {
            return Seen::Lost(
                "entries between the last one seen here and the first one there are gone",
            );
        }
        if message.mark() != position.mark {
            return Seen::Lost("where the last entry seen here was there is another one");
        }
        *self = Self::Following(position.log);
        Seen::Again
    }

    fn seek(&mut self, first: bool, offset: u64, message: &Message<'_>) -> Seen {
        if first && offset != 0 {
            return Seen::Lost("its beginning is gone");
        }
        *self = Self::Seeking { first: false };
        let Ok(said) = message.said() else {
            return Seen::Before(None);
        };
        match (said.what, said.log) {
            (What::Genesis { snapshot, previous }, Some(log)) => {
                *self = Self::Following(log);
                let mark = message.mark();
                Seen::Begins {
                    position: Position { log, offset, mark },
                    snapshot,
                    previous,
                }
            }
            (What::Sync(nonce), _) => Seen::Before(Some(nonce)),
            _ => Seen::Before(None),
        }
    }
}

fn kind(position: Position, said: Result<Said, Bad>) -> Kind {
    let said = match said {
        Ok(said) => said,
        Err(bad) => return Kind::Bad(bad),
    };
    // Of several founders the first is in every log.
    if matches!(said.what, What::Genesis { .. }) {
        return Kind::Other;
    }
    if let Some(log) = said.log.filter(|log| *log != position.log) {
        // A marker changes nothing, whoever it was for.
        return match said.what {
            What::Sync(_) | What::Saved { .. } | What::Report(_) => Kind::Other,
            _ => Kind::Bad(Bad::new("foreign-log", format!("log_id {log:032x}"))),
        };
    }
    match said.what {
        What::Change(change) => Kind::Change {
            key: change_key(&said.change_id, position.log, position.offset),
            change,
        },
        What::Report(report) => Kind::Report {
            node: said.node,
            report,
        },
        What::Sync(nonce) => Kind::Sync(nonce),
        What::Saved { .. } => Kind::Saved,
        What::Genesis { .. } => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        amqp::meaning::{PROTOBUF, TYPE},
        convert::said_to_bytes,
    };

    fn bytes(log: Option<u128>, what: What) -> Vec<u8> {
        said_to_bytes(&Said {
            log,
            change_id: "".into(),
            node: "n".into(),
            what,
        })
    }

    fn message(body: &[u8]) -> Message<'_> {
        Message {
            content_type: Some(PROTOBUF),
            kind: Some(TYPE),
            message_id: None,
            body,
        }
    }

    fn genesis() -> What {
        What::Genesis {
            snapshot: "".into(),
            previous: None,
        }
    }

    fn change() -> What {
        What::Change(Change {
            app: "a".into(),
            base_version: None,
            operations: vec![mesh::Operation::DeleteApp],
        })
    }

    fn see(place: &mut Place, offset: u64, log: Option<u128>, what: What) -> Seen {
        place.see(offset, &message(&bytes(log, what)))
    }

    #[test]
    fn the_first_genesis_counts() {
        let mut place = Place::new(None);
        assert_eq!(
            see(&mut place, 0, None, What::Sync(7)),
            Seen::Before(Some(7))
        );
        assert_eq!(see(&mut place, 1, None, change()), Seen::Before(None));
        assert_eq!(place.log(), None);
        let begins = see(&mut place, 2, Some(5), genesis());
        assert!(matches!(begins, Seen::Begins { position, .. } if position.offset == 2));
        assert_eq!(place.log(), Some(5));
        let later = see(&mut place, 3, Some(6), genesis());
        assert!(matches!(later, Seen::Entry(_, Kind::Other)));
        let lost = see(&mut place, 4, Some(6), change());
        assert!(
            matches!(
                lost,
                Seen::Entry(
                    _,
                    Kind::Bad(Bad {
                        reason: "foreign-log",
                        ..
                    })
                )
            ),
            "whoever lost may have published already"
        );
        assert_eq!(place.log(), Some(5));
    }

    #[test]
    fn a_log_without_its_beginning_is_no_beginning() {
        let mut place = Place::new(None);
        assert!(matches!(
            see(&mut place, 1, Some(5), genesis()),
            Seen::Lost(_)
        ));
    }

    #[test]
    fn it_goes_on_only_at_the_very_entry() {
        let body = bytes(Some(5), change());
        let position = Position {
            log: 5,
            offset: 9,
            mark: message(&body).mark(),
        };
        let mut place = Place::new(Some(position));
        assert_eq!(place.see(9, &message(&body)), Seen::Again);
        assert_eq!(place, Place::Following(5));
        for (offset, body) in [(10, &body), (0, &body), (9, &bytes(Some(5), What::Sync(1)))] {
            let mut place = Place::new(Some(position));
            assert!(matches!(place.see(offset, &message(body)), Seen::Lost(_)));
        }
    }

    #[test]
    fn changes_are_known_by_id_or_by_place() {
        let key = |offset, log| match see(&mut Place::Following(5), offset, log, change()) {
            Seen::Entry(_, Kind::Change { key, .. }) => key,
            other => panic!("{other:?}"),
        };
        assert_ne!(key(1, Some(5)), key(2, None));
        assert_eq!(key(1, Some(5)), key(1, None));
    }
}
