//! The reading side of a session: entries in their order, from where this
//! sidecar is to wherever the log ends.

use std::{convert::Infallible, pin::Pin, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{interval, sleep, timeout},
};

use super::{
    consume::{Delivered, Feed, From, PREFETCH},
    dead_letter::DeadLetter,
    link::Links,
    meaning::Bad,
    place::{Kind, Place, Seen},
    problem::Problem,
    publish::Order,
    session::Common,
    snapshot::{self, Due, Wanted, Written},
};
use crate::{
    convert::{Table, table_from_bytes},
    driver::{Entry, EntryKind, Position, Said, What},
};

/// A log has its last entry at hand. One that does not begin with it is another.
const FIRST_WITHIN: Duration = Duration::from_secs(5);
/// Whoever has no apps leaves it so long to others to begin a log with theirs.
const MODESTY: Duration = Duration::from_secs(1);
/// How often it is looked at whether a snapshot is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After so many vain looks for the last entry in one log, its end is gone.
const LOOKS: u32 = 3;

/// See the module's documentation.
pub(super) struct Reader<'a> {
    common: &'a Common,
    links: &'a Links,
    place: Place,
    orders: mpsc::Sender<Order>,
    /// The marker that is waited for.
    nonce: u64,
    /// It is with the writer.
    marker: Option<oneshot::Receiver<()>>,
    /// The table of the snapshot that is resumed at.
    table: Option<Table>,
    due: Due,
}

/// A snapshot that is being written.
type Saving<'a> = Pin<Box<dyn Future<Output = Result<Written, Problem>> + 'a>>;

impl<'a> Reader<'a> {
    pub(super) fn new(common: &'a Common, links: &'a Links, orders: mpsc::Sender<Order>) -> Self {
        let every = common.options.snapshot_every;
        Self {
            common,
            links,
            place: Place::new(common.position.get()),
            orders,
            nonce: 0,
            marker: None,
            table: None,
            due: Due::new(every, common.started.elapsed(), rand::random()),
        }
    }

    /// Reads until something goes wrong.
    pub(super) async fn run(&mut self, in_sync: impl Fn()) -> Problem {
        match self.read(in_sync).await {
            Ok(never) => match never {},
            Err(problem) => problem,
        }
    }

    async fn read(&mut self, in_sync: impl Fn()) -> Result<Infallible, Problem> {
        let mut feed = self.open().await?;
        self.mark().await?;
        let mut looks = interval(LOOK_EVERY);
        let mut saving: Option<Saving<'_>> = None;
        let (common, links) = (self.common, self.links);
        loop {
            tokio::select! {
                delivered = next(&mut feed, self.place) => match delivered? {
                    Some(delivered) => self.see(&delivered).await?,
                    None => return Err(self.lost("it ends before the last entry seen here")),
                },
                () = passed(&mut self.marker) => {
                    self.marker = None;
                    self.synced().await?;
                    in_sync();
                }
                written = finished(&mut saving) => {
                    saving = None;
                    self.saved(written).await?;
                }
                _ = looks.tick(), if saving.is_none() && common.was_in_sync.get() => {
                    if self.due.is_due(common.started.elapsed()) {
                        self.due.saved(common.started.elapsed());
                        saving = Some(Box::pin(save(common, links)));
                    }
                }
            }
        }
    }

    /// Begins after the last entry seen here, else after the newest snapshot,
    /// else at the beginning.
    async fn open(&mut self) -> Result<Feed, Problem> {
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
            Place::Resuming(position) => From::Offset(position.offset),
            _ => From::First,
        };
        let channel = &self.links.reading.channel;
        Feed::open(channel, &self.common.names.route, from, PREFETCH).await
    }

    /// Publishes a marker.
    async fn mark(&mut self) -> Result<(), Problem> {
        self.nonce = rand::random();
        let nonce = self.nonce;
        self.say(self.place.log(), What::Sync(nonce)).await
    }

    async fn say(&self, log: Option<u128>, what: What) -> Result<(), Problem> {
        let said = Said {
            log,
            change_id: "".into(),
            node: self.common.options.node.as_str().into(),
            what,
        };
        self.order(Order::Say(said)).await
    }

    async fn order(&self, order: Order) -> Result<(), Problem> {
        let sent = self.orders.send(order).await;
        sent.map_err(|_| Problem::new("publishing has ended"))
    }

    async fn synced(&self) -> Result<(), Problem> {
        let log = self.place.log().unwrap_or_default();
        self.order(Order::InSync(log)).await?;
        self.common.was_in_sync.set(true);
        self.common.vain.set(0);
        tracing::info!(log = format!("{log:032x}"), "in sync with the route log");
        Ok(())
    }

    async fn see(&mut self, delivered: &Delivered) -> Result<(), Problem> {
        let message = delivered.message();
        match self.place.see(delivered.offset, &message) {
            Seen::Before(Some(nonce)) if nonce == self.nonce => self.found().await,
            Seen::Before(_) => Ok(()),
            Seen::Again => match self.table.take() {
                None => Ok(()),
                Some(table) => self.replace(self.resumed(delivered), table).await,
            },
            Seen::Lost(why) => Err(self.lost(why)),
            Seen::Begins {
                position,
                snapshot,
                previous,
            } => {
                self.begin(position, &snapshot, previous).await?;
                self.mark().await
            }
            Seen::Entry(position, kind) => {
                if let Kind::Bad(bad) = &kind {
                    self.bury(delivered, bad).await?;
                }
                let kind = self.kind(kind);
                self.follow(position, kind).await
            }
        }
    }

    fn resumed(&self, delivered: &Delivered) -> Position {
        Position {
            log: self.place.log().unwrap_or_default(),
            offset: delivered.offset,
            mark: delivered.message().mark(),
        }
    }

    /// What was resumed at is not there. The next session looks for what is.
    fn lost(&self, why: &str) -> Problem {
        match (self.place, &self.table) {
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
    async fn found(&self) -> Result<(), Problem> {
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
    async fn begin(
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

    async fn replace(&self, position: Position, table: Table) -> Result<(), Problem> {
        let Table { seen, apps } = table;
        tracing::info!(apps = apps.len(), "the table is the log's");
        self.common.left.set(None);
        self.follow(position, EntryKind::Replace { apps, seen })
            .await
    }

    /// Keeps a copy of what is no entry.
    async fn bury(&self, delivered: &Delivered, bad: &Bad) -> Result<(), Problem> {
        tracing::warn!(
            offset = delivered.offset,
            reason = bad.reason,
            "no entry of the log: {}",
            bad.detail
        );
        // Whoever catches up is not the first to see it.
        if !self.common.was_in_sync.get() {
            return Ok(());
        }
        let node = &self.common.options.node;
        let letter = DeadLetter::new(&delivered.message(), bad, delivered.offset, node);
        self.order(Order::Dead(letter)).await
    }

    fn kind(&mut self, kind: Kind) -> EntryKind {
        match kind {
            Kind::Change { key, change } => {
                self.due.changed();
                EntryKind::Change {
                    id: key,
                    change,
                    reply: self.common.waiting.take(key),
                }
            }
            Kind::Sync(nonce) if nonce == self.nonce => {
                let (passed, marker) = oneshot::channel();
                self.marker = Some(marker);
                EntryKind::Marker(passed)
            }
            Kind::Saved => {
                self.due.saved(self.common.started.elapsed());
                EntryKind::Other
            }
            Kind::Sync(_) | Kind::Other => EntryKind::Other,
            Kind::Bad(_) => EntryKind::Skipped,
        }
    }

    async fn follow(&self, position: Position, kind: EntryKind) -> Result<(), Problem> {
        let entry = Entry { position, kind };
        let handed = self.common.driver.changes().follow(entry).await;
        handed.map_err(|error| Problem::new(error.to_string()))?;
        self.common.position.set(Some(position));
        Ok(())
    }

    /// A snapshot was written, or not: nothing depends on it.
    async fn saved(&self, written: Result<Written, Problem>) -> Result<(), Problem> {
        let written = match written {
            Ok(written) => written,
            Err(problem) => {
                tracing::warn!("no snapshot was written: {problem}");
                return Ok(());
            }
        };
        tracing::info!(
            apps = written.apps,
            bytes = written.bytes,
            offset = written.offset,
            "a snapshot was written"
        );
        let saved = What::Saved {
            snapshot: written.id,
            offset: written.offset,
        };
        self.say(self.place.log(), saved).await
    }
}

async fn save(common: &Common, links: &Links) -> Result<Written, Problem> {
    let frozen = common.driver.changes().freeze().await;
    let frozen = frozen.map_err(|error| Problem::new(&*error))?;
    snapshot::write(links, &common.names.snapshots, frozen, None).await
}

/// The table of a snapshot.
async fn unpack(bytes: Vec<u8>, apps: u32) -> Result<Table, Problem> {
    // It takes a while for a large table, and this thread has others to see to.
    let unpacked = tokio::task::spawn_blocking(move || table_from_bytes(&bytes));
    let table = unpacked
        .await
        .map_err(|error| Problem::new(error.to_string()))?
        .map_err(|error| Problem::new(format!("a snapshot can't be read: {error}")))?;
    match table.apps.len() == apps as usize {
        true => Ok(table),
        false => Err(Problem::new("a snapshot has not the apps that it says")),
    }
}

/// The next entry. The one that is resumed at is there, or never comes.
async fn next(feed: &mut Feed, place: Place) -> Result<Option<Delivered>, Problem> {
    if !matches!(place, Place::Resuming(_)) {
        return feed.next().await.map(Some);
    }
    match timeout(FIRST_WITHIN, feed.next()).await {
        Ok(next) => next.map(Some),
        Err(_) => Ok(None),
    }
}

/// The writer has passed the marker, if it has one.
async fn passed(marker: &mut Option<oneshot::Receiver<()>>) {
    match marker {
        // An error means that the writer ends; nothing is in sync then.
        Some(marker) => match marker.await {
            Ok(()) => {}
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// What `future` came to, if there is one.
async fn finished<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
