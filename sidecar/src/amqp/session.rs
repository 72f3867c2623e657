//! A session with the broker: from a connection to what ends it.

use std::{cell::Cell, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    Options,
    consume::{Delivered, Feed, From},
    dead_letter::DeadLetter,
    link::Links,
    place::{Kind, Place, Seen},
    problem::Problem,
    publish::{Order, Outlet, Publisher},
    topology::Names,
    waiting::Waiting,
};
use crate::driver::{Driver, Entry, EntryKind, Position, Proposals, Said, Standing, Sync, What};

/// Orders that wait to be carried out.
const ORDERS: usize = 1_024;
/// A log has its last entry at hand. One that does not begin with it is another.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// What sessions have in common.
pub(super) struct Common {
    pub(super) options: Options,
    pub(super) names: Names,
    pub(super) driver: Arc<Driver>,
    pub(super) waiting: Arc<Waiting>,
    /// The last entry that was handed to the writer.
    pub(super) position: Cell<Option<Position>>,
    /// The session that goes on has been in sync.
    pub(super) was_in_sync: Cell<bool>,
}

impl Common {
    /// Connects, and goes on until something goes wrong.
    pub(super) async fn session(
        &self,
        publisher: &mut Publisher,
        proposals: &mut Proposals,
    ) -> Problem {
        let links = match Links::open(&self.options, &self.names).await {
            Ok(links) => links,
            Err(problem) => return problem,
        };
        proposals.set(Standing {
            sync: Sync::CatchingUp,
            problem: "".into(),
        });
        let problem = self.work(&links, publisher, proposals).await;
        links.close().await;
        problem
    }

    async fn work(
        &self,
        links: &Links,
        publisher: &mut Publisher,
        proposals: &mut Proposals,
    ) -> Problem {
        let (to, mut orders) = mpsc::channel(ORDERS);
        let blocked = proposals.blocking();
        let is_blocked = Cell::new(false);
        let in_sync = proposals.syncing();
        let mut reader = Reader {
            common: self,
            place: Place::new(self.position.get()),
            orders: to,
            nonce: 0,
            marker: None,
        };
        let outlet = Outlet {
            channel: &links.publishing.channel,
            orders: &mut orders,
            proposals,
            is_blocked: &is_blocked,
        };
        let watching = links.watch(|why| {
            is_blocked.set(why.is_some());
            let why = why.map(|why| format!("the broker is short of resources: {why}"));
            match &why {
                Some(why) => tracing::warn!("changes are not taken: {why}"),
                None => tracing::info!("changes are taken again"),
            }
            blocked(why.map(Into::into));
        });
        tokio::select! {
            problem = reader.run(links, in_sync) => problem,
            problem = publisher.run(outlet) => problem,
            problem = watching => problem,
        }
    }
}

/// Reads the log.
struct Reader<'a> {
    common: &'a Common,
    place: Place,
    orders: mpsc::Sender<Order>,
    /// The marker that is waited for.
    nonce: u64,
    /// It is with the writer.
    marker: Option<oneshot::Receiver<()>>,
}

impl Reader<'_> {
    async fn run(&mut self, links: &Links, in_sync: impl Fn()) -> Problem {
        match self.read(links, in_sync).await {
            Ok(never) => match never {},
            Err(problem) => problem,
        }
    }

    async fn read(
        &mut self,
        links: &Links,
        in_sync: impl Fn(),
    ) -> Result<std::convert::Infallible, Problem> {
        let from = match self.place {
            Place::Resuming(position) => From::Offset(position.offset),
            _ => From::First,
        };
        let mut feed = Feed::open(&links.reading.channel, &self.common.names.route, from).await?;
        self.mark().await?;
        loop {
            tokio::select! {
                delivered = next(&mut feed, self.place) => self.see(&delivered?).await?,
                () = passed(&mut self.marker) => {
                    self.marker = None;
                    let log = self.place.log().unwrap_or_default();
                    self.order(Order::InSync(log)).await?;
                    self.common.was_in_sync.set(true);
                    in_sync();
                    tracing::info!(log = format!("{log:032x}"), "in sync with the route log");
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

    async fn see(&mut self, delivered: &Delivered) -> Result<(), Problem> {
        let message = delivered.message();
        match self.place.see(delivered.offset, &message) {
            Seen::Again | Seen::Before(None) => Ok(()),
            Seen::Before(Some(nonce)) if nonce == self.nonce => self.found().await,
            Seen::Before(Some(_)) => Ok(()),
            Seen::Lost(why) => Err(Problem::new(format!("the log can't be followed: {why}"))),
            Seen::Begins { position, .. } => {
                tracing::info!(log = format!("{:032x}", position.log), "a log begins");
                self.follow(position, EntryKind::Other).await?;
                self.mark().await
            }
            Seen::Entry(position, kind) => {
                if let Kind::Bad(bad) = &kind {
                    tracing::warn!(
                        offset = position.offset,
                        reason = bad.reason,
                        "no entry of the log: {}",
                        bad.detail
                    );
                    // Whoever catches up is not the first to see it.
                    if self.common.was_in_sync.get() {
                        let node = &self.common.options.node;
                        let letter = DeadLetter::new(&message, bad, position.offset, node);
                        self.order(Order::Dead(letter)).await?;
                    }
                }
                let kind = self.kind(kind);
                self.follow(position, kind).await
            }
        }
    }

    /// The marker came back before any log began: nobody has made one.
    async fn found(&self) -> Result<(), Problem> {
        let log = rand::random();
        tracing::info!(log = format!("{log:032x}"), "the log is new");
        let genesis = What::Genesis {
            snapshot: "".into(),
            previous: None,
        };
        self.say(Some(log), genesis).await
    }

    fn kind(&mut self, kind: Kind) -> EntryKind {
        match kind {
            Kind::Change { key, change } => EntryKind::Change {
                id: key,
                change,
                reply: self.common.waiting.take(key),
            },
            Kind::Sync(nonce) if nonce == self.nonce => {
                let (passed, marker) = oneshot::channel();
                self.marker = Some(marker);
                EntryKind::Marker(passed)
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
}

/// The next entry. The one that is resumed at is there, or never comes.
async fn next(feed: &mut Feed, place: Place) -> Result<Delivered, Problem> {
    if !matches!(place, Place::Resuming(_)) {
        return feed.next().await;
    }
    match timeout(FIRST_WITHIN, feed.next()).await {
        Ok(next) => next,
        Err(_) => Err(Problem::new(
            "the log can't be followed: it ends before the last entry seen here",
        )),
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
