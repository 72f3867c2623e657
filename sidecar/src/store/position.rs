//! How far the table is along the log that it is made from.

/// A place in a log: that of the last entry that was seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which log.
    pub log: u128,
    /// Where in it.
    pub offset: u64,
    /// Tells the entry there from any other one.
    pub mark: u128,
}

/// Changes that are known to have been seen to.
pub const SEEN: usize = 65_536;

/// Which they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// By place.
    pub ring: Vec<u128>,
    /// The place of the next one.
    pub next: usize,
}

#[cfg(test)]
mod tests {
    use redb::{Database, ReadableDatabase as _};

    use super::*;
    use crate::store::{
        Store, Write,
        schema::{ALONE, KEY_VERSION, META, VERSION},
    };

    const POSITION: Position = Position {
        log: 1,
        offset: 9,
        mark: u128::MAX,
    };

    /// The form of the file, which is closed.
    fn form(path: &std::path::Path) -> u64 {
        let database = Database::open(path).expect("a database");
        let transaction = database.begin_read().expect("begun");
        let meta = transaction.open_table(META).expect("the table");
        meta.get(KEY_VERSION).expect("read").expect("there").value()
    }

    fn seen(slot: u64, id: u128) -> Write {
        let next = slot + 1;
        Write::Seen { slot, id, next }
    }

    #[test]
    fn a_table_has_its_place_as_long_as_a_log_makes_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path()).expect("a store");
        let path = store.path().to_owned();
        let loaded = store.load(|_| {}).expect("loaded");
        assert_eq!((loaded.position, loaded.seen), (None, Seen::default()));

        let first = [seen(0, 7), seen(1, 8), Write::Log(Some(POSITION))];
        store.commit(&first).expect("written");
        // A transaction without changes leaves what was seen to as it is.
        let later = Position {
            offset: 10,
            ..POSITION
        };
        store.commit(&[Write::Log(Some(later))]).expect("written");
        drop(store);
        assert_eq!(form(&path), VERSION);
        let mut store = Store::open(dir.path()).expect("a store");
        let loaded = store.load(|_| {}).expect("loaded");
        let ring = vec![7, 8];
        assert_eq!(loaded.position, Some(later));
        assert_eq!(loaded.seen, Seen { ring, next: 2 });

        let other = [Write::ForgetSeen, seen(0, 9), Write::Log(Some(POSITION))];
        store.commit(&other).expect("written");
        let ring = vec![9];
        let loaded = store.load(|_| {}).expect("loaded");
        assert_eq!(loaded.seen, Seen { ring, next: 1 });

        store.commit(&[Write::Log(None)]).expect("written");
        let loaded = store.load(|_| {}).expect("loaded");
        assert_eq!((loaded.position, loaded.seen), (None, Seen::default()));
        drop(store);
        assert_eq!(form(&path), ALONE, "older ones can read it again");
    }

    #[test]
    fn a_copy_is_a_store() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path()).expect("a store");
        store
            .commit(&[Write::Log(Some(POSITION))])
            .expect("written");
        let copies: Vec<_> = (0..5)
            .map(|_| {
                // Their names are the time.
                std::thread::sleep(std::time::Duration::from_millis(2));
                store.backup().expect("copied")
            })
            .collect();
        let kept: Vec<_> = copies.iter().map(|copy| copy.exists()).collect();
        assert_eq!(kept, [false, false, true, true, true]);
        let other = tempfile::tempdir().expect("a directory");
        std::fs::copy(&copies[4], other.path().join("mesh.redb")).expect("copied");
        let mut copy = Store::open(other.path()).expect("a store");
        let loaded = copy.load(|_| {}).expect("loaded");
        assert_eq!(loaded.position, Some(POSITION));
    }
}
