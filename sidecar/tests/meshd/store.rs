//! The data directory: what is wrong with it is said, and nothing is touched.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use redb::{Database, ReadableDatabase as _, TableDefinition};

use crate::harness::{Meshd, Options, app};

fn file(dir: &Path) -> std::path::PathBuf {
    dir.join("data/mesh.redb")
}

/// Refused with these words, and the file is as before.
fn refused(dir: &Path, words: &[&str]) {
    let before = fs::read(file(dir)).expect("a file");
    let complaint = Options::new(dir, &[]).complaint();
    for word in words {
        assert!(complaint.contains(word), "{complaint} does not say {word}");
    }
    assert!(
        fs::read(file(dir)).expect("a file") == before,
        "the file was touched"
    );
    assert!(!dir.join("router.sock").exists());
}

#[tokio::test]
async fn a_second_meshd_on_the_same_store_is_refused() {
    let meshd = Meshd::start(&[]).await;
    let data = meshd.path("data").display().to_string();
    let other = tempfile::tempdir().expect("a directory");
    let mut options = Options::new(other.path(), &[]);
    options.args[1] = data.clone();
    let complaint = options.complaint();
    for word in [&data, "in use", &meshd.pid().to_string(), "--data-dir"] {
        assert!(complaint.contains(word), "{complaint} does not say {word}");
    }
    assert!(meshd.status().await.is_some());
    // One that was killed holds nothing.
    meshd.restart().await;
}

#[tokio::test]
async fn what_is_no_store_is_refused() {
    for content in [&b""[..], b"hello", &[0; 100_000]] {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("data")).expect("made");
        fs::write(file(dir.path()), content).expect("written");
        refused(dir.path(), &["mesh.redb", "cannot be read", "backup"]);
    }
}

#[tokio::test]
async fn a_damaged_store_is_refused() {
    let meshd = Meshd::start(&[]).await;
    meshd
        .control()
        .await
        .apply(app("shop", &[5001]))
        .await
        .expect("applied");
    meshd.signal("TERM");
    let (_, _, _, dir, _) = meshd.end().await;
    let whole = fs::read(file(dir.path())).expect("a file");
    // Cut off, and with a hole where the data is.
    fs::write(file(dir.path()), &whole[..whole.len() / 2]).expect("written");
    refused(dir.path(), &["mesh.redb", "cannot be read"]);
    let mut holed = whole.clone();
    holed[4_096..].fill(0xff);
    fs::write(file(dir.path()), holed).expect("written");
    refused(dir.path(), &["mesh.redb", "cannot be read"]);
    fs::write(file(dir.path()), whole).expect("written");
    let options = Options::new(dir.path(), &[]);
    let meshd = Meshd::start_in(dir, options).await;
    assert_eq!(
        meshd.status().await.expect("status").apps,
        1,
        "the backup works"
    );
}

#[tokio::test]
async fn a_newer_store_is_refused() {
    let meshd = Meshd::start(&[]).await;
    meshd.signal("TERM");
    let (_, _, _, dir, _) = meshd.end().await;
    let database = Database::open(file(dir.path())).expect("a database");
    let transaction = database.begin_write().expect("begun");
    let meta = TableDefinition::<&str, u64>::new("meta");
    transaction
        .open_table(meta)
        .expect("the table")
        .insert("schema", 99)
        .expect("written");
    transaction.commit().expect("committed");
    drop(database);
    refused(dir.path(), &["mesh.redb", "newer meshd", "99"]);
}

#[tokio::test]
async fn a_foreign_database_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("data")).expect("made");
    drop(Database::create(file(dir.path())).expect("a database"));
    refused(dir.path(), &["mesh.redb", "not a store of meshd"]);
}

#[tokio::test]
async fn an_app_that_cannot_be_read_is_named() {
    let meshd = Meshd::start(&[]).await;
    meshd.signal("TERM");
    let (_, _, _, dir, _) = meshd.end().await;
    let database = Database::open(file(dir.path())).expect("a database");
    let transaction = database.begin_write().expect("begun");
    let apps = TableDefinition::<&str, &[u8]>::new("apps");
    transaction
        .open_table(apps)
        .expect("the table")
        .insert("shop", &b"\xff"[..])
        .expect("written");
    transaction.commit().expect("committed");
    drop(database);
    let complaint = Options::new(dir.path(), &[]).complaint();
    assert!(
        complaint.contains("mesh.redb") && complaint.contains("\"shop\""),
        "{complaint}"
    );
    let database = Database::open(file(dir.path())).expect("a database");
    let apps = database
        .begin_read()
        .expect("begun")
        .open_table(apps)
        .expect("the table");
    assert_eq!(
        apps.get("shop")
            .expect("read")
            .expect("still there")
            .value(),
        b"\xff"
    );
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("data"), "a file").expect("written");
    let complaint = Options::new(dir.path(), &[]).complaint();
    assert!(
        complaint.contains("data") && complaint.contains("--data-dir"),
        "{complaint}"
    );

    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("made");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o500)).expect("set");
    if fs::write(data.join("probe"), "").is_ok() {
        // Root may write everywhere.
        return;
    }
    let complaint = Options::new(dir.path(), &[]).complaint();
    assert!(
        complaint.contains("data") && complaint.contains("writable"),
        "{complaint}"
    );
}

#[tokio::test]
async fn a_start_that_was_killed_half_way_is_no_obstacle() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("data")).expect("made");
    fs::write(dir.path().join("data/mesh.redb.new"), "half").expect("written");
    let options = Options::new(dir.path(), &[]);
    Meshd::start_in(dir, options).await;
}
