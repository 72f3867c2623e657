//! The other members: who founds the list of members anew after a restart has to know
//! of whoever may hold leases.

use std::{collections::BTreeMap, sync::Arc};

use redb::{ReadTransaction, ReadableTable as _, TableError, WriteTransaction};

use super::schema::{KEY_MEMBERS, MEMBERS, META};

/// As they were known last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The place in their log of the last change of them.
    pub epoch: u64,
    /// Since when each is gone, in seconds since 1970; `None`: it is a member.
    pub others: BTreeMap<Arc<str>, Option<u64>>,
}

impl Members {
    pub(super) fn write(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        transaction.delete_table(MEMBERS)?;
        let mut table = transaction.open_table(MEMBERS)?;
        for (name, gone) in &self.others {
            table.insert(&**name, *gone)?;
        }
        let mut meta = transaction.open_table(META)?;
        meta.insert(KEY_MEMBERS, self.epoch)?;
        Ok(())
    }

    pub(super) fn read(transaction: &ReadTransaction) -> Result<Self, redb::Error> {
        let table = match transaction.open_table(MEMBERS) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Self::default()),
            table => table?,
        };
        let epoch = transaction.open_table(META)?.get(KEY_MEMBERS)?;
        let mut members = Self {
            epoch: epoch.map_or(0, |epoch| epoch.value()),
            others: BTreeMap::new(),
        };
        for entry in table.iter()? {
            let (name, gone) = entry?;
            members.others.insert(name.value().into(), gone.value());
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, Write};

    #[test]
    fn the_last_ones_are_there_after_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path()).expect("a store");
        let loaded = store.load(|_| ()).expect("loaded");
        assert_eq!(loaded.members, Members::default());
        let some = |others: &[(&str, Option<u64>)], epoch| Members {
            epoch,
            others: others.iter().map(|it| (it.0.into(), it.1)).collect(),
        };
        let before = some(&[("a", None), ("b", Some(5))], 7);
        let after = some(&[("a", Some(u64::MAX)), ("c", None)], 8);
        let write = [before, after.clone()].map(Write::Members);
        store.commit(&write[..1]).expect("written");
        store.commit(&write).expect("written");
        drop(store);
        let mut store = Store::open(dir.path()).expect("a store");
        assert_eq!(store.load(|_| ()).expect("loaded").members, after);
    }
}
