//! Links between sidecars, seen from the core's side. Who carries what is said is the
//! module `grpc`.

use std::{fmt::Debug, future::Future, sync::Arc};

use mesh::{FarAnswer, PeerId, ToPeer};

use super::Line;

/// Another sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name among the members.
    pub name: Arc<str>,
    /// HOST:PORT.
    pub address: Arc<str>,
}

impl Peer {
    /// What the core calls it.
    pub fn id(&self) -> PeerId {
        PeerId::of(&self.name)
    }
}

/// What links bring, and what they are for. Nothing here may wait.
pub trait Peering: Debug + Send + Sync + 'static {
    /// Those to whom there shall be a link from here.
    fn wanted(&self) -> Vec<Peer>;

    /// Returns when that may have changed since this was last called.
    fn wanted_changed(&self) -> impl Future<Output = ()> + Send;

    /// This owner can be asked, over this line.
    fn link_up(&self, owner: PeerId, line: &Arc<Line<ToPeer>>);

    /// It has answered.
    fn answered(&self, owner: PeerId, answer: FarAnswer);

    /// It can't be asked any more. Once for each [`Peering::link_up`].
    fn link_down(&self, owner: PeerId);

    /// Another one asks from now on, and is answered over this line.
    fn opened(&self, asking: PeerId, line: &Arc<Line<FarAnswer>>);

    /// It has said this.
    fn asked(&self, asking: PeerId, word: ToPeer);

    /// It asks nothing any more. Once for each [`Peering::opened`], and before the next.
    fn closed(&self, asking: PeerId);
}
