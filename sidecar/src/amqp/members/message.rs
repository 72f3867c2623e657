//! What a message about members is. Pure.

use members::Entry;

use crate::{amqp::meaning::Message, convert::members_entry_from_bytes};

/// The AMQP type of every message; its end counts incompatible forms.
pub(super) const KIND: &str = "members.entry.v1";
/// Largest message, in bytes: a list of 64 members with the longest names and addresses
/// stays below it, and a segment of the stream has many.
const MAX_BYTES: usize = 64 << 10;

/// What it says, or why it is none.
pub(super) fn entry(message: &Message<'_>) -> Result<Entry, String> {
    if message.kind != Some(KIND) {
        let kind = message.kind.unwrap_or_default();
        return Err(format!("type {kind:?}, it has to be {KIND}"));
    }
    let size = message.body.len();
    if size > MAX_BYTES {
        return Err(format!("{size} bytes, {MAX_BYTES} are allowed"));
    }
    members_entry_from_bytes(message.body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use members::{Kind, Listed, Listing, Node};

    use super::*;
    use crate::convert::members_entry_to_bytes;

    fn read(kind: Option<&str>, body: &[u8]) -> Result<Entry, String> {
        entry(&Message {
            kind,
            body,
            ..Message::default()
        })
    }

    #[test]
    fn the_longest_entry_is_one() {
        let node = Node {
            name: "n".repeat(255).into(),
            life: u64::MAX,
        };
        let member = Listed {
            node: node.clone(),
            address: "h".repeat(300).into(),
            wrote: u64::MAX,
            again: true,
        };
        let kind = Kind::Tick {
            number: u64::MAX,
            member: true,
            listing: Some(Listing {
                read: u64::MAX,
                epoch: u64::MAX,
                origin: u64::MAX,
                gone: vec![(node.name.clone(), u64::MAX); 64],
                members: vec![member; 64],
            }),
        };
        let entry = Entry { from: node, kind };
        let bytes = members_entry_to_bytes(&entry);
        assert_eq!(read(Some(KIND), &bytes), Ok(entry));
    }

    #[test]
    fn what_is_no_entry_is_said_to_be_none() {
        let entry = Entry {
            from: Node {
                name: "a".into(),
                life: 1,
            },
            kind: Kind::Found { after: 2 },
        };
        let bytes = members_entry_to_bytes(&entry);
        assert!(read(Some(KIND), &bytes).is_ok());
        assert!(read(Some("members.entry.v2"), &bytes).is_err());
        assert!(read(None, &bytes).is_err());
        assert!(read(Some(KIND), b"\xff\xff").is_err());
        assert!(read(Some(KIND), &vec![0; 1 << 20]).is_err());
    }
}
