//! The driver: it owns the core, reads the clock, and carries out what the core
//! says.
//!
//! **What.** Everything else meets here. A session's requests go through
//! [`Session`], what operators look at through [`Driver::view`] and
//! [`Driver::scan`], changes through [`Changes`] and the thread of [`Writer`].
//!
//! **How.** The core is behind one lock. Whoever has an input takes the lock,
//! calls the core and distributes its outputs: an answer for the caller's own
//! session is handed straight back, one for another session goes to that
//! session's outbox. Nothing waits for a disk or a socket while it has the lock,
//! and nobody has it for longer than a few hundred apps take.
mod announce;
mod clock;
mod line;
mod load;
mod log;
mod members;
mod notice;
mod outbox;
mod peering;
mod peers;
mod recalls;
mod recovery;
mod seats;
mod session;
mod state;
mod tally;
mod tap;
#[cfg(test)]
mod tests;
mod timer;
mod traces;
mod view;
mod workers;
mod writer;

use std::sync::Arc;

use mesh::{Mesh, Time};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, broadcast, watch};

pub use announce::Announcement;
pub use clock::Clock;
pub use line::Line;
pub use load::LoadView;
pub use log::{
    Entry, EntryKind, Frozen, LogView, Matter, OutcomeSender, Position, Proposal, Proposals,
    QueueView, Report, Said, Seen, Standing, Sync, Wanted, What, Word, digest, key_of_id,
};
pub use members::{MemberView, MembersView, Part};
pub use notice::{Notice, Watcher};
pub use outbox::{Reply, Ruled};
pub use peering::{Peer, Peering};
pub use recovery::watch_recovery;
pub use session::{Closed, Hello, OpenError, Session};
pub use state::WorkerName;
pub use tally::{Answers, BUCKETS, Counted, EVENTS, Seats, Spread, Tally, Whose};
pub use tap::{Choice, TapError, TapFeed, TapNews, TapOrder, TapView, TapWatch, Told};
pub use timer::keep_time;
pub use traces::{SPANS, SpanEnd, TRACED, TraceCounts, TraceOrder};
pub use view::Survey;
pub use writer::{
    Applied, ApplyError, Changes, History, Inbox, Journal, Outcome, Pending, Workers, Writer,
};

use crate::{panics, verify::Verifier};
use outbox::{Delivery, Own};
use state::State;

/// Events that a watcher may be behind before it misses some.
const WATCH_BACKLOG: usize = 4_096;

/// See the module's documentation.
#[derive(Debug)]
pub struct Driver {
    clock: Clock,
    state: Mutex<State>,
    notices: broadcast::Sender<Notice>,
    /// An earlier timer than the one slept for was set.
    earlier: Notify,
    stopping: watch::Sender<bool>,
    changes: Changes,
    limits: mesh::Limits,
    load: load::Board,
    desk: announce::Desk,
    members: members::Desk,
    board: tally::Board,
    taps: tap::Board,
    traces: traces::Desk,
    verifier: Verifier,
}

impl Driver {
    /// Drives `mesh`. `changes` leads to the thread of a [`Writer`].
    pub fn new(mesh: Mesh, limits: mesh::Limits, clock: Clock, changes: Changes) -> Arc<Self> {
        Arc::new(Self {
            clock,
            state: Mutex::new(State::new(mesh)),
            notices: broadcast::channel(WATCH_BACKLOG).0,
            earlier: Notify::new(),
            stopping: watch::channel(false).0,
            changes,
            limits,
            load: load::Board::default(),
            desk: announce::Desk::default(),
            members: members::Desk::default(),
            board: tally::Board::default(),
            taps: tap::Board::default(),
            traces: traces::Desk::default(),
            verifier: Verifier::default(),
        })
    }

    /// The bounds of what it drives.
    pub fn limits(&self) -> &mesh::Limits {
        &self.limits
    }

    /// Who looks at credentials.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Where changes of apps go.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Ends every session in a way that says "come again", and every watch. What
    /// the workers hold is not forgotten: they will say it to the next process.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
        let mut state = self.state.lock();
        state.stopping = true;
        let outboxes: Vec<_> = state.sessions.drain().map(|(_, outbox)| outbox).collect();
        // No router answers any more, and no time passes.
        let unanswered = std::mem::take(&mut state.recalls);
        drop(state);
        drop(unanswered);
        for outbox in outboxes {
            outbox.close(Closed::Stopping);
        }
    }

    /// Returns when the core is free for somebody.
    pub fn touch(&self) {
        drop(self.state.lock());
    }

    /// Returns when [`Driver::stop`] was called.
    pub async fn stopped(&self) {
        // An error would mean that the sender, which is ours, is gone.
        let _ = self
            .stopping
            .subscribe()
            .wait_for(|stopping| *stopping)
            .await;
    }

    /// Gives the core an input, then distributes its outputs. What is for the
    /// session that calls goes to its own queue.
    fn act<R>(&self, own: Option<Own<'_>>, input: impl FnOnce(&mut Mesh, Time) -> R) -> R {
        self.act_on_state(own, |state, now| input(&mut state.mesh, now))
    }

    fn act_on_state<R>(
        &self,
        own: Option<Own<'_>>,
        input: impl FnOnce(&mut State, Time) -> R,
    ) -> R {
        let by_session = own.is_some();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let told = (&self.notices, &self.board, &self.taps);
        let mut delivery = Delivery::new(own, told, self.changes.way());
        let result = panics::in_core(|| {
            // Read under the lock, so that the core never sees time go back.
            let result = input(state, self.clock.now());
            delivery.distribute(state);
            result
        });
        let earlier = state.rearm();
        let untold = state.rouse();
        if by_session {
            drop(guard);
        } else {
            // Whoever waits gets the lock now: a writer with a long batch would
            // otherwise take it again before the routers' thread is awake.
            MutexGuard::unlock_fair(guard);
        }
        if earlier {
            self.earlier.notify_one();
        }
        if untold {
            self.load.rouse();
        }
        delivery.wake();
        result
    }
}
