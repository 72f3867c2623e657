//! Links to the other members, and from them.
//!
//! Does nothing with what they bring yet: here the core will be asked and told.

use std::sync::Arc;

use mesh::{FarAnswer, PeerId, ToPeer};

use super::{Driver, Line, Peer, Peering};

impl Peering for Driver {
    fn wanted(&self) -> Vec<Peer> {
        self.other_members()
    }

    async fn wanted_changed(&self) {
        self.members_changed().await;
    }

    fn link_up(&self, _owner: PeerId, _line: &Arc<Line<ToPeer>>) {}

    fn answered(&self, _owner: PeerId, _answer: FarAnswer) {}

    fn link_down(&self, _owner: PeerId) {}

    fn opened(&self, _asking: PeerId, _line: &Arc<Line<FarAnswer>>) {}

    fn asked(&self, _asking: PeerId, _word: ToPeer) {}

    fn closed(&self, _asking: PeerId) {}
}
