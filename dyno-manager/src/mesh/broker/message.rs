//! What a message of the events exchange says. Pure.

use std::collections::{HashSet, VecDeque};

use serde::Deserialize;

use crate::mesh::Event;

/// The AMQP type of every event; its end counts incompatible forms.
const TYPE: &str = "event.v1";
const JSON: &str = "application/json";
/// Ids of events that are known when they come again.
const KNOWN: usize = 1_024;

/// The JSON form of `Event` in control.proto, as far as it is a manager's. What is
/// not known here is left out.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Body {
    need_dyno: Option<App>,
    idle: Option<App>,
    drained: Option<Dyno>,
    scale: Option<Scale>,
}

#[derive(Deserialize)]
struct App {
    app: String,
}

#[derive(Deserialize)]
struct Dyno {
    app: String,
    instance: String,
}

#[derive(Deserialize)]
struct Scale {
    app: String,
    #[serde(default)]
    waiting: u32,
    #[serde(default)]
    wanted: u32,
}

/// An event; `None`: one that is none of a manager's business.
pub(super) fn event(
    kind: Option<&str>,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Option<Event>, String> {
    if kind != Some(TYPE) {
        let kind = kind.unwrap_or_default();
        return Err(format!("type \"{kind}\", it has to be {TYPE}"));
    }
    if content_type != Some(JSON) {
        let given = content_type.unwrap_or_default();
        return Err(format!("content type \"{given}\", it has to be {JSON}"));
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    Ok(match body {
        Body {
            need_dyno: Some(App { app }),
            ..
        } => Some(Event::Need { app }),
        Body {
            idle: Some(App { app }),
            ..
        } => Some(Event::Idle { app }),
        Body {
            drained: Some(Dyno { app, instance }),
            ..
        } => Some(Event::Drained { app, instance }),
        Body {
            scale: Some(hint), ..
        } => Some(Event::Scale {
            app: hint.app,
            wanted: hint.wanted,
            waiting: hint.waiting > 0,
        }),
        _ => None,
    })
}

/// Which events have come, by their ids.
#[derive(Debug, Default)]
pub(super) struct Known {
    order: VecDeque<String>,
    ids: HashSet<String>,
}

impl Known {
    /// It has come before. Without an id nothing has.
    pub(super) fn again(&mut self, id: Option<&str>) -> bool {
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return false;
        };
        if !self.ids.insert(id.to_owned()) {
            return true;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(body: &str) -> Result<Option<Event>, String> {
        event(Some(TYPE), Some(JSON), body.as_bytes())
    }

    #[test]
    fn events_are_read_and_what_is_new_in_them_is_left_out() {
        let app = || "shop".to_owned();
        for (body, wanted) in [
            (
                r#"{"needDyno":{"app":"shop","waiting":3,"since":9}}"#,
                Event::Need { app: app() },
            ),
            (r#"{"idle":{"app":"shop"}}"#, Event::Idle { app: app() }),
            (
                r#"{"drained":{"app":"shop","dyno":"web.1","instance":"i"}}"#,
                Event::Drained {
                    app: app(),
                    instance: "i".to_owned(),
                },
            ),
            (
                r#"{"scale":{"app":"shop","waiting":2,"wanted":4}}"#,
                Event::Scale {
                    app: app(),
                    wanted: 4,
                    waiting: true,
                },
            ),
        ] {
            assert_eq!(read(body), Ok(Some(wanted)));
        }
        assert_eq!(read(r#"{"news":{"app":"shop"}}"#), Ok(None));
    }

    #[test]
    fn what_is_no_event_is_not_taken_for_one() {
        for body in ["", "{", "[]x", r#"{"idle":{}}"#, r#"{"idle":"shop"}"#] {
            read(body).unwrap_err();
        }
        let body = br#"{"idle":{"app":"shop"}}"#;
        for (kind, content_type) in [
            (None, Some(JSON)),
            (Some("event.v2"), Some(JSON)),
            (Some(TYPE), None),
            (Some(TYPE), Some("application/x-protobuf")),
        ] {
            event(kind, content_type, body).unwrap_err();
        }
    }

    #[test]
    fn an_event_is_known_as_long_as_there_is_room() {
        let mut known = Known::default();
        let mut again = |number: usize| known.again(Some(&number.to_string()));
        assert!((0..=KNOWN).all(|number| !again(number)));
        assert!(again(KNOWN) && again(1));
        assert!(!again(0), "it made room");
        assert!(!known.again(None) && !known.again(None));
    }
}
