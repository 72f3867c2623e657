//! Whom this sidecar knows among the members: if it founds their list anew after a
//! restart, it has to know of whoever may hold leases.

use members::Known;
use redb::{ReadTransaction, ReadableTable as _, TableError, WriteTransaction};

use super::schema::{KEY_MEMBERS, MEMBERS, META};

pub(super) fn write(transaction: &WriteTransaction, known: &Known) -> Result<(), redb::Error> {
    transaction.delete_table(MEMBERS)?;
    let mut table = transaction.open_table(MEMBERS)?;
    for name in &known.names {
        table.insert(&**name, ())?;
    }
    let mut meta = transaction.open_table(META)?;
    meta.insert(KEY_MEMBERS, known.origin)?;
    Ok(())
}

pub(super) fn read(transaction: &ReadTransaction) -> Result<Known, redb::Error> {
    let table = match transaction.open_table(MEMBERS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Known::default()),
        table => table?,
    };
    let origin = transaction.open_table(META)?.get(KEY_MEMBERS)?;
    let mut known = Known {
        origin: origin.map_or(0, |origin| origin.value()),
        ..Known::default()
    };
    for entry in table.iter()? {
        known.names.insert(entry?.0.value().into());
    }
    Ok(known)
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
        assert_eq!(loaded.known, Known::default());
        let some = |names: [&str; 2], origin| Known {
            origin,
            names: names.map(Into::into).into(),
        };
        let (before, after) = (some(["a", "b"], 7), some(["a", "c"], u64::MAX));
        let write = [before, after.clone()].map(Write::Members);
        store.commit(&write[..1]).expect("written");
        store.commit(&write).expect("written");
        drop(store);
        let mut store = Store::open(dir.path()).expect("a store");
        assert_eq!(store.load(|_| ()).expect("loaded").known, after);
    }
}
