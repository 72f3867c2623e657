//! Whose table it is: that of this sidecar, of a snapshot, of a log that begins.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    super::{
        consume::{Feed, From, PREFETCH},
        place::Place,
        problem::Problem,
        snapshot::{self, Wanted},
    },
    Reader,
};
use crate::{
    convert::Table,
    driver::{EntryKind, Position, What},
};

/// Whoever has no apps leaves it so long to others to begin a log with theirs.
const MODESTY: Duration = Duration::from_secs(1);
/// After so many vain looks for the last entry in one log, its end is gone.
const LOOKS: u32 = 3;

impl Reader<'_> {
    /// Begins after the last entry seen here, else after what a peer has offered or
    /// the newest snapshot, else at the beginning.
    pub(super) async fn open(&mut self) -> Result<Feed, Problem> {
        let offered = self.common.offered.take();
        self.is_offered = offered.is_some();
        if let Some((position, table)) = offered {
            self.table = Some(table);
            self.place = Place::Resuming(position);
        }
        if matches!(self.place, Place::Seeking { .. }) && !self.common.without_snapshot.take() {
            let wanted = Wanted::Newest(self.common.left.get().map(|left| left.log));
            let stream = &self.common.names.snapshots;
            let found = snapshot::find(self.links, stream, &wanted).await?;
            if let Some(whole) = found
                && let Some(position) = whole.end.position()
            {
                self.table = Some(unpack(whole.bytes, whole.end.apps).await?);
                self.place = Place::Resuming(position);
            }
        }
        let from = match self.place {
            Place::Resuming(position) => From::Offset(self.beginning(position)),
            _ => From::First,
        };
        let channel = &self.links.reading.channel;
        Feed::open(channel, &self.common.names.route, from, PREFETCH).await
    }

    /// At this place, unless what is behind it can't be read: it has been looked
    /// at often enough then.
    fn beginning(&mut self, position: Position) -> u64 {
        match self.common.stumble.get().around(position) {
            Some(offset) if self.table.is_none() => {
                tracing::error!(
                    behind = position.offset,
                    going_on = offset,
                    "the log has a message that can't be read; it is left out"
                );
                self.place = Place::Following(position.log);
                offset
            }
            _ => position.offset,
        }
    }

    /// What was resumed at is not there. The next session looks for what is.
    pub(super) fn lost(&self, why: &str) -> Problem {
        match (self.place, &self.table) {
            // It was a peer's place. There may be a snapshot.
            (Place::Resuming(_), Some(_)) if self.is_offered => {
                tracing::warn!("the peer's table is of another log than the broker's");
            }
            // It was a snapshot's place: of a log that is not this one any more.
            (Place::Resuming(_), Some(_)) => self.common.without_snapshot.set(true),
            (Place::Resuming(position), None) => {
                self.common.left.set(Some(position));
                self.common.position.set(None);
            }
            _ => {
                return Problem::new(format!(
                    "the log can't be followed: {why}, and there is no snapshot to begin with; \
                     let a sidecar that is in sync write one"
                ));
            }
        }
        Problem::new(format!("this is not the log as it was: {why}"))
    }

    /// The marker came back before any log began: nobody has made one.
    pub(super) async fn found(&self) -> Result<(), Problem> {
        let log = rand::random();
        let previous = self.common.left.get().map(|left| left.log);
        let (totals, _) = self.common.driver.totals();
        let snapshot = if totals.apps == 0 {
            sleep(MODESTY).await;
            "".into()
        } else {
            let frozen = self.common.driver.changes().freeze().await;
            let frozen = frozen.map_err(|error| Problem::new(&*error))?;
            let stream = &self.common.names.snapshots;
            let written = snapshot::write(self.links, stream, frozen, Some(log)).await?;
            written.id
        };
        tracing::info!(
            log = format!("{log:032x}"),
            apps = totals.apps,
            "there is no log yet: this one begins with the table of this sidecar"
        );
        self.say(Some(log), What::Genesis { snapshot, previous })
            .await
    }

    /// A log begins: its table takes the place of this one.
    pub(super) async fn begin(
        &mut self,
        position: Position,
        name: &str,
        previous: Option<u128>,
    ) -> Result<(), Problem> {
        self.check_succession(position, previous)?;
        tracing::info!(log = format!("{:032x}", position.log), "a log begins");
        let table = match name {
            "" => Table::default(),
            name => {
                let wanted = Wanted::Named(name.into());
                let stream = &self.common.names.snapshots;
                let found = snapshot::find(self.links, stream, &wanted).await?;
                let whole = found
                    .ok_or_else(|| Problem::new("the snapshot that the log begins with is gone"))?;
                unpack(whole.bytes, whole.end.apps).await?
            }
        };
        self.replace(position, table).await
    }

    /// A table is not given up for that of a log that has nothing to do with it.
    fn check_succession(&self, position: Position, previous: Option<u128>) -> Result<(), Problem> {
        let Some(left) = self.common.left.get() else {
            return Ok(());
        };
        if left.log == position.log {
            // Nothing but its end can be gone, unless the broker was only slow.
            let vain = self.common.vain.get() + 1;
            self.common.vain.set(vain);
            if vain < LOOKS {
                self.common.position.set(Some(left));
                return Err(Problem::new(
                    "the last entry seen here was not found in the log",
                ));
            }
            return Ok(());
        }
        let (totals, _) = self.common.driver.totals();
        if previous == Some(left.log) || totals.apps == 0 {
            return Ok(());
        }
        Err(Problem::new(format!(
            "the broker has another log ({:032x}) than the one that made this table ({:032x}); this \
             sidecar keeps its table: to take the other one, stop it, move its data directory away \
             and start it",
            position.log, left.log
        )))
    }

    pub(super) async fn replace(&self, position: Position, table: Table) -> Result<(), Problem> {
        let Table { seen, apps } = table;
        tracing::info!(apps = apps.len(), "the table is the log's");
        self.common.left.set(None);
        self.follow(position, EntryKind::Replace { apps, seen })
            .await
    }
}

/// The table of a snapshot.
async fn unpack(bytes: Vec<u8>, apps: u32) -> Result<Table, Problem> {
    // It takes a while for a large table, and this thread has others to see to.
    let unpacked = tokio::task::spawn_blocking(move || crate::snapshot::unpack(&bytes, apps));
    let unpacked = unpacked.await.map_err(|error| error.to_string());
    unpacked.flatten().map_err(Problem::new)
}
