//! Writing a snapshot.

use lapin::{Channel, Confirmation, options::ConfirmSelectOptions};

use super::{
    super::{
        link::Links,
        problem::{Problem, within},
    },
    read::publish,
};
use crate::{
    convert::{Part, PartKind},
    driver::Frozen,
    snapshot::{PIECE, pack},
};

/// What was written.
#[derive(Clone, Debug)]
pub(in crate::amqp) struct Written {
    pub(in crate::amqp) id: Box<str>,
    pub(in crate::amqp) apps: u32,
    pub(in crate::amqp) bytes: usize,
    /// How far along the log it is.
    pub(in crate::amqp) offset: u64,
}

/// Writes the table as it is on disk: where it is in its log, or as that which
/// the log `begins` with.
pub(in crate::amqp) async fn write(
    links: &Links,
    stream: &str,
    frozen: Frozen,
    begins: Option<u128>,
) -> Result<Written, Problem> {
    // It takes a while for a large table, and this thread has others to see to.
    let packed = tokio::task::spawn_blocking(move || pack(&frozen, begins));
    let packed = packed.await.map_err(|error| error.to_string());
    let (bytes, end) = packed.flatten().map_err(Problem::new)?;
    let opened = links.publishing.connection.create_channel();
    let channel = within("opening a channel", opened).await?;
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    within("asking for confirms", confirms).await?;
    let id: Box<str> = format!("{:032x}", rand::random::<u128>()).into();
    let written = Written {
        id: id.clone(),
        apps: end.apps,
        bytes: bytes.len(),
        offset: end.at.map_or(0, |(offset, _)| offset),
    };
    let mut last = Vec::new();
    for piece in bytes.chunks(PIECE) {
        last.push(send(&channel, stream, &id, PartKind::Piece(piece.into())).await?);
    }
    // Its end says that all of it is there, so it has to be.
    for confirm in last {
        confirmed(within("storing a snapshot", confirm).await?)?;
    }
    let confirm = send(&channel, stream, &id, PartKind::End(end)).await?;
    confirmed(within("storing a snapshot", confirm).await?)?;
    Ok(written)
}

async fn send(
    channel: &Channel,
    stream: &str,
    id: &str,
    kind: PartKind,
) -> Result<lapin::PublisherConfirm, Problem> {
    let snapshot = id.into();
    publish(channel, stream, Part { snapshot, kind }).await
}

fn confirmed(confirmation: Confirmation) -> Result<(), Problem> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        _ => Err(Problem::new(
            "the broker did not store a part of a snapshot",
        )),
    }
}
