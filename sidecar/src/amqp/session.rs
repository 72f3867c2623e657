//! A session with the broker: from a connection to what ends it.

use std::{cell::Cell, pin::Pin, sync::Arc, time::Instant};

use tokio::sync::mpsc;

use super::{
    Options,
    link::Links,
    problem::Problem,
    publish::{Outlet, Publisher},
    reader::Reader,
    stumble::Stumble,
    topology::Names,
    waiting::Waiting,
};
use crate::{
    convert::Table,
    driver::{Driver, Position, Proposals, Standing, Sync},
};

/// Orders that wait to be carried out.
const ORDERS: usize = 1_024;

/// What sessions have in common.
pub(super) struct Common {
    pub(super) options: Options,
    pub(super) names: Names,
    pub(super) driver: Arc<Driver>,
    pub(super) waiting: Arc<Waiting>,
    /// The last entry that was handed to the writer.
    pub(super) position: Cell<Option<Position>>,
    /// The last entry that was seen to in a log that is not as it was.
    pub(super) left: Cell<Option<Position>>,
    /// How often that entry was looked for in vain, in that very log.
    pub(super) vain: Cell<u32>,
    /// A table that a peer has offered, and where in its log it is.
    pub(super) offered: Cell<Option<(Position, Table)>>,
    /// The newest snapshot is of another log.
    pub(super) without_snapshot: Cell<bool>,
    /// What can't be read stands in the way.
    pub(super) stumble: Cell<Stumble>,
    pub(super) started: Instant,
    /// The session that goes on has been in sync.
    pub(super) was_in_sync: Cell<bool>,
}

impl Common {
    /// Connects, and goes on until something goes wrong; `None`: until `stopped`.
    pub(super) async fn session(
        &self,
        publisher: &mut Publisher,
        proposals: &mut Proposals,
        mut stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> Option<Problem> {
        let opened = tokio::select! {
            opened = Links::open(&self.options, &self.names) => opened,
            () = &mut stopped => return None,
        };
        let links = match opened {
            Ok(links) => links,
            Err(problem) => return Some(problem),
        };
        proposals.set(Standing {
            sync: Sync::CatchingUp,
            problem: "".into(),
        });
        let problem = tokio::select! {
            problem = self.work(&links, publisher, proposals) => Some(problem),
            () = &mut stopped => None,
        };
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
        let mut reader = Reader::new(self, links, to);
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
            problem = reader.run(in_sync) => problem,
            problem = publisher.run(outlet) => problem,
            problem = watching => problem,
        }
    }
}
