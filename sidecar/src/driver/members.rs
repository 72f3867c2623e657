//! Which sidecars there are: this one's part. Who carries what is written and read is
//! the module `amqp`.

mod lives;
mod view;

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use members::{
    Entry, Kind, Known, Listed, Membership, Node, Output, Place, Standing, Time, Timing,
};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::timeout};

pub use view::{MemberView, MembersView, Part};

use super::{Driver, Peer};
use crate::panics;
use lives::Lives;

/// Entries that wait to be written. With more the oldest are left out: any may be lost.
const MOST: usize = 256;
/// Who leaves waits so long for the others to know it.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

/// This sidecar among the others. Its lock may be held while the core's is asked for,
/// never the other way round.
#[derive(Debug, Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    /// There is something to write that did not come of an entry or of time.
    more: Notify,
    /// The others know that this one has left.
    left: Notify,
    /// Who is a member has changed.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: it takes no part.
    post: Option<Post>,
    /// `None`: it has not begun yet.
    membership: Option<Membership>,
    /// Those that wait to be written.
    outbox: VecDeque<Entry>,
    /// Why it takes no part, or is cut off from the others.
    problem: Option<Arc<str>>,
    lives: Lives,
    /// The other members, as they were known last.
    others: Vec<Peer>,
    /// The same, with those that are gone, for the disk ...
    known: Known,
    /// ... which does not have it yet.
    is_known_new: bool,
    is_leaving: bool,
    /// Another one has its name, and that was said.
    is_twin_told: bool,
    /// What was no entry.
    skipped: u64,
}

/// What it is called, and where it is reached.
#[derive(Debug)]
struct Post {
    name: Box<str>,
    address: Box<str>,
}

impl Driver {
    /// This sidecar shall be a member: of this name, reached at this address. `known`: who
    /// the others were when it was one last.
    pub fn take_part(&self, name: &str, address: &str, known: Known) {
        let mut state = self.members.state.lock();
        state.post = Some(Post {
            name: name.into(),
            address: address.into(),
        });
        state.known = known;
        state.problem = Some("not connected yet".into());
    }

    /// It shall be none, for this reason.
    pub fn take_no_part(&self, why: &str) {
        self.members.state.lock().problem = Some(why.into());
    }

    /// Begins to join, as somebody new. The log is told from here on.
    pub fn begin_membership(&self) {
        let mut guard = self.members.state.lock();
        let state = &mut *guard;
        let Some(post) = state.post.as_ref().filter(|_| !state.is_leaving) else {
            return;
        };
        let now = self.clock.now();
        let membership = match &mut state.membership {
            // It has not forgotten whom it knew.
            Some(membership) => {
                membership.begin_anew(now);
                membership
            }
            None => {
                let me = Node {
                    name: (*post.name).into(),
                    life: rand::random(),
                };
                let (timing, known) = (Timing::default(), state.known.clone());
                let new = Membership::new(me, &post.address, timing, known, now);
                state.membership.insert(new)
            }
        };
        state.lives.add(membership.me());
        state.outbox.clear();
        self.seat(membership);
    }

    /// The next entry of the log of members.
    pub fn members_entry(&self, place: Place, entry: &Entry) {
        let mut guard = self.members.state.lock();
        let state = &mut *guard;
        let Some(before) = state.membership.as_ref().map(Membership::standing) else {
            return;
        };
        self.act_on_members(
            state,
            matches!(entry.kind, Kind::Yield { .. }),
            |it, now| {
                it.entry(place, entry, now);
            },
        );
        if matches!(entry.kind, Kind::Leave { .. }) && state.lives.has(&entry.from) {
            self.members.left.notify_one();
        }
        let is_out = before == Standing::Member && !state.is(Standing::Member);
        if is_out && matches!(entry.kind, Kind::Join { .. }) && !state.lives.has(&entry.from) {
            state.tell_of_twin();
        }
    }

    /// Some time has passed.
    pub fn members_timeout(&self) {
        let mut state = self.members.state.lock();
        self.act_on_members(&mut state, false, Membership::handle_timeout);
    }

    /// When [`Driver::members_timeout`] has something to do.
    pub fn members_due(&self) -> Option<Instant> {
        let state = self.members.state.lock();
        let due = state.membership.as_ref()?.poll_timeout()?;
        Some(self.clock.instant(due))
    }

    /// Tells all that the one of this name, who is no member any more, is dead. Says whether
    /// it is one of those, and this one can say so.
    pub fn forget_member(&self, name: &str) -> bool {
        let mut guard = self.members.state.lock();
        let state = &mut *guard;
        let mut told = false;
        self.act_on_members(state, false, |it, _| told = it.forget(name));
        drop(guard);
        if told {
            self.members.more.notify_one();
        }
        told
    }

    /// The next entry to be written.
    pub fn next_members_entry(&self) -> Option<Entry> {
        self.members.state.lock().outbox.pop_front()
    }

    /// Returns when there is one, though nothing was read and no time has passed.
    pub async fn members_to_write(&self) {
        self.members.more.notified().await;
    }

    /// Entries are written and read, or why not.
    pub fn set_members_problem(&self, problem: Option<Arc<str>>) {
        self.members.state.lock().problem = problem;
    }

    /// The other members. Who is out for a moment has those that it knew last.
    pub(super) fn other_members(&self) -> Vec<Peer> {
        self.members.state.lock().others.clone()
    }

    /// Returns when they may have changed since this was last called.
    pub(super) async fn members_changed(&self) {
        self.members.changed.notified().await;
    }

    /// Who they are is not on disk: it is tried again with the next tick.
    pub(super) fn keep_members_again(&self) {
        self.members.state.lock().is_known_new = true;
    }

    /// What came is no entry.
    pub fn count_members_skipped(&self) {
        self.members.state.lock().skipped += 1;
    }

    /// Decides for nothing any more and says so to the others. Returns when they know
    /// it, if they can be told, after half a second at most.
    pub async fn leave(&self) {
        let can_tell = {
            let mut guard = self.members.state.lock();
            let state = &mut *guard;
            state.is_leaving = true;
            self.act_on_members(state, false, Membership::leave);
            state.membership.is_some() && state.problem.is_none()
        };
        if !can_tell {
            return;
        }
        self.members.more.notify_one();
        if timeout(LEAVE_WITHIN, self.members.left.notified())
            .await
            .is_err()
        {
            tracing::warn!("the other sidecars do not know that this one stops");
        }
    }

    /// Gives the membership an input, and keeps what it says. `is_moving`: it may grant
    /// something else after it in any case.
    fn act_on_members(
        &self,
        state: &mut State,
        is_moving: bool,
        input: impl FnOnce(&mut Membership, Time),
    ) {
        let Some(membership) = &mut state.membership else {
            return;
        };
        let lease = membership.lease();
        // Read under the lock, so that it never sees time go back.
        panics::in_core(|| input(membership, self.clock.now()));
        let is_moving = is_moving || membership.lease() != lease;
        let mut has_changed = false;
        while let Some(output) = membership.poll_output() {
            match output {
                Output::Changed => has_changed = true,
                Output::Write(entry) => {
                    if state.outbox.len() >= MOST {
                        state.outbox.pop_front();
                    }
                    state.outbox.push_back(entry);
                }
            }
        }
        state.lives.add(membership.me());
        if has_changed && membership.epoch().is_some() {
            state.others = others(membership);
            let known = membership.known();
            state.is_known_new |= known != state.known;
            state.known = known;
            self.members.changed.notify_one();
        }
        if state.is_known_new {
            state.is_known_new = !self.changes.keep_members(&state.known);
        }
        if is_moving || has_changed {
            self.seat(membership);
        }
    }
}

fn others(membership: &Membership) -> Vec<Peer> {
    let others = membership.members();
    let others = others.filter(|it| it.node.name != membership.me().name);
    let peer = |it: &Listed| Peer {
        name: it.node.name.clone(),
        address: it.address.clone(),
    };
    others.map(peer).collect()
}

impl State {
    fn is(&self, standing: Standing) -> bool {
        let membership = self.membership.as_ref();
        membership.is_some_and(|it| it.standing() == standing)
    }

    fn tell_of_twin(&mut self) {
        if !mem::replace(&mut self.is_twin_told, true) {
            let node = self.post.as_ref().map(|post| &*post.name);
            tracing::error!(
                node,
                "another sidecar has the same name, and they put each other out: \
                 give each one a `node` of its own"
            );
        }
    }
}
