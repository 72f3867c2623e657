//! What a message of the log means. Pure.

use crate::{
    convert::{Form, said_from_bytes},
    driver::{Said, digest, key_of_id},
};

/// The AMQP type of every entry; its end counts incompatible forms.
pub(super) const TYPE: &str = "route.entry.v1";
/// What [`TYPE`] is without its form.
const TYPE_NAME: &str = "route.entry.v";
/// Content types, one for each form.
pub(super) const PROTOBUF: &str = "application/x-protobuf";
pub(super) const JSON: &str = "application/json";
/// Largest entry, in bytes.
pub(super) const MAX_ENTRY: usize = 4 << 20;
/// Longest id of a change, in bytes.
const MAX_ID: usize = 128;

/// A message as it came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message<'a> {
    pub(super) content_type: Option<&'a str>,
    pub(super) kind: Option<&'a str>,
    pub(super) message_id: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// Why a message is no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    /// One word, for counting.
    pub(super) reason: &'static str,
    /// For people.
    pub(super) detail: String,
}

impl Bad {
    pub(super) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

impl Message<'_> {
    /// Tells this message from any other.
    pub(super) fn mark(&self) -> u128 {
        let id = self.message_id.unwrap_or_default();
        digest(&[b"mark", id.as_bytes(), self.body])
    }

    /// What it says.
    pub(super) fn said(&self) -> Result<Said, Bad> {
        if self.body.len() > MAX_ENTRY {
            let detail = format!("{} bytes, {MAX_ENTRY} are allowed", self.body.len());
            return Err(Bad::new("too-large", detail));
        }
        match self.kind {
            Some(TYPE) => {}
            Some(kind) if kind.starts_with(TYPE_NAME) => {
                return Err(Bad::new("unknown-version", format!("type {kind:?}")));
            }
            kind => {
                let detail = format!("type {:?}, it has to be {TYPE}", kind.unwrap_or_default());
                return Err(Bad::new("wrong-type", detail));
            }
        }
        let form = match self.content_type {
            Some(PROTOBUF) => Form::Protobuf,
            Some(JSON) => Form::Json,
            other => {
                let other = other.unwrap_or_default();
                let detail = format!("content type {other:?}, it has to be {JSON} or {PROTOBUF}");
                return Err(Bad::new("wrong-content-type", detail));
            }
        };
        let mut said = said_from_bytes(form, self.body)
            .map_err(|error| Bad::new("malformed", error.to_string()))?;
        if said.change_id.is_empty() {
            said.change_id = self.message_id.unwrap_or_default().into();
        }
        if said.change_id.len() > MAX_ID {
            let detail = format!("its change id is longer than {MAX_ID} bytes");
            return Err(Bad::new("malformed", detail));
        }
        Ok(said)
    }
}

/// By which a change is known; one without an id is known by its place.
pub(super) fn change_key(change_id: &str, log: u128, offset: u64) -> u128 {
    match change_id {
        "" => digest(&[b"place", &log.to_be_bytes(), &offset.to_be_bytes()]),
        id => key_of_id(id),
    }
}

#[cfg(test)]
mod tests {
    use mesh::{Change, Operation};

    use super::*;
    use crate::{convert::said_to_bytes, driver::What};

    fn json(body: &str) -> Message<'_> {
        Message {
            content_type: Some(JSON),
            kind: Some(TYPE),
            message_id: Some("cli-1"),
            body: body.as_bytes(),
        }
    }

    #[test]
    fn what_is_written_by_hand_is_an_entry() {
        let message = json(r#"{"change":{"app":"shop","operations":[{"addDomain":"a.test"}]}}"#);
        let change = Change {
            app: "shop".into(),
            base_version: None,
            operations: vec![Operation::AddDomain("a.test".into())],
        };
        let said = Said {
            log: None,
            change_id: "cli-1".into(),
            node: "".into(),
            what: What::Change(change),
        };
        assert_eq!(message.said(), Ok(said.clone()));
        // What sidecars write means the same.
        let bytes = said_to_bytes(&said);
        let same = Message {
            content_type: Some(PROTOBUF),
            body: &bytes,
            ..message
        };
        assert_eq!(same.said(), Ok(said));
    }

    #[test]
    fn what_is_no_entry_says_why() {
        let good = json(r#"{"sync":{"nonce":"1"}}"#);
        assert!(good.said().is_ok());
        let long = "x".repeat(MAX_ID + 1);
        let large = vec![b' '; MAX_ENTRY + 1];
        for (message, reason) in [
            (Message { kind: None, ..good }, "wrong-type"),
            (
                Message {
                    kind: Some("route.put.v1"),
                    ..good
                },
                "wrong-type",
            ),
            (
                Message {
                    kind: Some("route.entry.v2"),
                    ..good
                },
                "unknown-version",
            ),
            (
                Message {
                    content_type: None,
                    ..good
                },
                "wrong-content-type",
            ),
            (Message { body: b"{", ..good }, "malformed"),
            (
                Message {
                    body: b"{}",
                    ..good
                },
                "malformed",
            ),
            (
                Message {
                    body: br#"{"log_id":"1"}"#,
                    ..good
                },
                "malformed",
            ),
            (
                Message {
                    message_id: Some(&long),
                    ..good
                },
                "malformed",
            ),
            (
                Message {
                    body: &large,
                    ..good
                },
                "too-large",
            ),
        ] {
            assert_eq!(message.said().map_err(|bad| bad.reason), Err(reason));
        }
    }

    #[test]
    fn messages_are_told_apart() {
        let one = json("{}");
        let others = [
            json("{ }"),
            Message {
                message_id: Some("cli-2"),
                ..one
            },
            Message {
                message_id: Some("cli-1{"),
                body: b"}",
                ..one
            },
        ];
        for other in others {
            assert_ne!(one.mark(), other.mark());
        }
        assert_ne!(change_key("a", 1, 1), change_key("b", 1, 1));
        assert_eq!(change_key("a", 1, 1), change_key("a", 1, 2));
        assert_ne!(change_key("", 1, 1), change_key("", 1, 2));
    }
}
