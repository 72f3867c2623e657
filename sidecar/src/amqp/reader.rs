//! The reading side of a session: entries in their order, from where this
//! sidecar is to wherever the log ends.

mod table;

use std::{convert::Infallible, pin::Pin, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{interval, timeout},
};

use super::{
    consume::{Delivered, Feed},
    dead_letter::DeadLetter,
    link::Links,
    meaning::Bad,
    place::{Kind, Place, Seen},
    problem::Problem,
    publish::Order,
    session::Common,
    snapshot::{self, Due, Written},
};
use crate::{
    convert::Table,
    driver::{Entry, EntryKind, Position, Said, What},
};

/// A log has its last entry at hand. One that does not begin with it is another.
const FIRST_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked at whether a snapshot is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

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
    /// A peer has offered it.
    is_offered: bool,
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
            is_offered: false,
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
        self.order(Order::Dead(Box::new(letter))).await
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
            Kind::Report { node, report } => {
                let own = *node == *self.common.options.node;
                EntryKind::Report(report, own)
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
