//! Looking for a snapshot.

use lapin::{BasicProperties, Channel, options::BasicPublishOptions};

use super::{
    super::{
        consume::{Feed, From},
        link::Links,
        problem::{Problem, within},
    },
    TYPE,
};
use crate::{
    convert::{Part, PartKind, part_from_bytes, part_to_bytes},
    snapshot::{Assembly, Whole},
};

/// Pieces that may be under way to here: 6 MB.
const PREFETCH: u16 = 100;

/// Which snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::amqp) enum Wanted {
    /// The one of this name.
    Named(Box<str>),
    /// The one that is farthest along a log: this one, or whichever was written
    /// last.
    Newest(Option<u128>),
}

/// Reads all the snapshots that there are.
pub(in crate::amqp) async fn find(
    links: &Links,
    stream: &str,
    wanted: &Wanted,
) -> Result<Option<Whole>, Problem> {
    let nonce = rand::random();
    mark(&links.publishing.channel, stream, nonce).await?;
    let opened = links.reading.connection.create_channel();
    let channel = within("opening a channel", opened).await?;
    let mut feed = Feed::open(&channel, stream, From::First, PREFETCH).await?;
    let mut assembly = Assembly::default();
    let mut found = None;
    loop {
        let delivered = within("reading snapshots", feed.next()).await?;
        // What is no part is nobody's.
        let Ok(part) = part_from_bytes(delivered.message().body) else {
            continue;
        };
        if part.kind == PartKind::Sync(nonce) {
            return Ok(found);
        }
        if let Some(whole) = assembly.add(part)
            && wanted.is(&whole, found.as_ref())
        {
            found = Some(whole);
        }
    }
}

impl Wanted {
    /// `whole` is what is wanted, rather than `found`.
    fn is(&self, whole: &Whole, found: Option<&Whole>) -> bool {
        match self {
            Self::Named(name) => whole.id == *name,
            Self::Newest(log) => {
                // One that a log begins with is found by its name.
                let Some(position) = whole.end.position() else {
                    return false;
                };
                let is_of = log.is_none_or(|log| log == position.log);
                let before = found.and_then(|found| found.end.position());
                let is_later = before.is_none_or(|before| {
                    before.log != position.log || before.offset <= position.offset
                });
                is_of && is_later
            }
        }
    }
}

/// Marks the end of what there is now.
async fn mark(channel: &Channel, stream: &str, nonce: u64) -> Result<(), Problem> {
    let part = Part {
        snapshot: "".into(),
        kind: PartKind::Sync(nonce),
    };
    let confirm = publish(channel, stream, part).await?;
    within("marking the end of the snapshots", confirm).await?;
    Ok(())
}

/// Publishes a part straight to the stream.
pub(super) async fn publish(
    channel: &Channel,
    stream: &str,
    part: Part,
) -> Result<lapin::PublisherConfirm, Problem> {
    let properties = BasicProperties::default()
        .with_type(TYPE.into())
        .with_delivery_mode(2);
    let body = part_to_bytes(part);
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let published = channel.basic_publish("".into(), stream.into(), options, &body, properties);
    within("publishing a part of a snapshot", published).await
}
