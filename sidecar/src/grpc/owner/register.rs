//! Who asks this sidecar, each over one link at a time.

use std::{collections::HashMap, sync::Arc};

use dynomesh_proto::v1::Introduction;
use mesh::{FarAnswer, PeerId};
use parking_lot::Mutex;
use tonic::Status;

use super::MOST;
use crate::{
    driver::{Line, Peering},
    grpc::status::stopping,
};

/// Members are 64 at most.
const MOST_ASKING: usize = 128;

/// A link from another one.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) peer: PeerId,
    pub(super) line: Arc<Line<FarAnswer>>,
    process: u64,
    link: u64,
}

/// The links that there are. What a peering is told of them is told under this lock, so
/// that one ends before the next one begins.
#[derive(Debug, Default)]
pub(super) struct Register(Mutex<Links>);

#[derive(Debug, Default)]
struct Links {
    by_peer: HashMap<PeerId, Entry>,
    is_stopping: bool,
}

impl Register {
    /// A link comes. If its sidecar has another one here, that one is over.
    pub(super) fn open<P: Peering>(
        &self,
        peering: &P,
        asking: &Introduction,
    ) -> Result<Entry, Status> {
        let (process, link) = (asking.process, asking.link);
        let entry = Entry {
            peer: PeerId::of(&asking.node),
            line: Arc::new(Line::new(MOST)),
            process,
            link,
        };
        let mut links = self.0.lock();
        if links.is_stopping {
            return Err(stopping());
        }
        let all = &mut links.by_peer;
        match all.get(&entry.peer) {
            Some(old) if old.process == process && old.link > link => {
                return Err(Status::failed_precondition(format!(
                    "introduction.link is {link}, and the same sidecar has come over link {} since",
                    old.link
                )));
            }
            None if all.len() >= MOST_ASKING => {
                return Err(Status::resource_exhausted("too many others ask this one"));
            }
            _ => {}
        }
        if let Some(old) = all.remove(&entry.peer) {
            old.line.break_off();
            peering.closed(old.peer);
        }
        all.insert(entry.peer, entry.clone());
        peering.opened(entry.peer, &entry.line);
        Ok(entry)
    }

    /// All are over, and none comes any more.
    pub(super) fn stop<P: Peering>(&self, peering: &P) {
        let mut links = self.0.lock();
        links.is_stopping = true;
        for (peer, entry) in links.by_peer.drain() {
            entry.line.break_off();
            peering.closed(peer);
        }
    }

    /// It is over, unless another one has taken its place.
    pub(super) fn close<P: Peering>(&self, peering: &P, entry: &Entry) {
        let all = &mut self.0.lock().by_peer;
        let is_it = |known: &Entry| Arc::ptr_eq(&known.line, &entry.line);
        if all.get(&entry.peer).is_some_and(is_it) {
            all.remove(&entry.peer);
            peering.closed(entry.peer);
        }
    }
}
