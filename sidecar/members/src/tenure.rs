//! Who had a shard before, and may still grant.

use std::time::Duration;

use crate::{Node, Place, SHARDS, Shard, Time, list::List};

/// What a member waits for, and what others wait for of it.
#[derive(Debug)]
pub(crate) struct Tenure {
    /// By shard, of the own ones.
    blocks: Vec<Option<Block>>,
    /// A yield that has to be written.
    owed: Option<Owed>,
}

#[derive(Clone, Debug)]
struct Block {
    until: Time,
    /// Whose yield ends it, if it is of this epoch or a later one.
    by: Option<Node>,
    epoch: Place,
}

#[derive(Debug)]
struct Owed {
    epoch: Place,
    /// Whoever had it before has an end by then.
    after: Time,
}

/// Owners by shard.
pub(crate) type Owners = Vec<Option<Node>>;

pub(crate) fn owners(list: &List) -> Owners {
    Shard::all()
        .map(|shard| list.owner(shard).cloned())
        .collect()
}

impl Tenure {
    /// Nobody grants but who had any shard `before`, and these not after `until`.
    pub(crate) fn new(before: Owners, epoch: Place, until: Time) -> Self {
        let block = |by| Some(Block { until, by, epoch });
        Self {
            blocks: before.into_iter().map(block).collect(),
            owed: None,
        }
    }

    /// Nobody knows who had what.
    pub(crate) fn unknown(epoch: Place, until: Time) -> Self {
        Self::new(vec![None; SHARDS], epoch, until)
    }

    pub(crate) fn is_blocked(&self, shard: Shard, now: Time) -> bool {
        self.blocks[shard.index()]
            .as_ref()
            .is_some_and(|block| now < block.until)
    }

    /// Until when, of those that are.
    pub(crate) fn blocked(&self) -> impl Iterator<Item = (Shard, Time)> {
        let blocks = Shard::all().zip(&self.blocks);
        blocks.filter_map(|(shard, block)| Some((shard, block.as_ref()?.until)))
    }

    /// The list has changed, in this epoch. Whom it has lost in a clear state is past.
    pub(crate) fn change(
        &mut self,
        (before, after): (&Owners, &Owners),
        (clear, epoch): (Option<&Node>, Place),
        me: &Node,
        (now, wait): (Time, Duration),
    ) {
        let mut lost = None;
        for (at, (old, new)) in before.iter().zip(after).enumerate() {
            let (had, has) = (old.as_ref() == Some(me), new.as_ref() == Some(me));
            if had && !has {
                let block = self.blocks[at].take();
                let until = block.map_or(now, |block| block.until.max(now));
                lost = lost.max(Some(until));
            } else if has && !had {
                let is_clear = clear.is_some() && old.as_ref() == clear;
                self.blocks[at] = (!is_clear).then(|| Block {
                    until: now + wait,
                    by: old.clone(),
                    epoch,
                });
            }
        }
        if let Some(after) = lost {
            let earlier = self.owed.as_ref().map_or(now, |owed| owed.after);
            let after = after.max(earlier);
            self.owed = Some(Owed { epoch, after });
        }
    }

    /// Somebody does not grant any more what it lost by then.
    pub(crate) fn yielded(&mut self, by: &Node, epoch: Place) {
        for block in &mut self.blocks {
            if block
                .as_ref()
                .is_some_and(|it| it.by.as_ref() == Some(by) && it.epoch <= epoch)
            {
                *block = None;
            }
        }
    }

    /// The epoch to yield now.
    pub(crate) fn poll_yield(&mut self, now: Time) -> Option<Place> {
        let owed = self.owed.take_if(|owed| owed.after <= now)?;
        Some(owed.epoch)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.owed.as_ref().map(|owed| owed.after)
    }

    /// Nothing of what it has is anybody else's still.
    pub(crate) fn is_clear(&self, now: Time) -> bool {
        let blocked = self.blocks.iter().flatten().any(|block| now < block.until);
        !blocked && self.owed.is_none()
    }
}
