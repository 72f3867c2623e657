//! What a service manager hears.

use tokio::net::UnixDatagram;

use crate::harness::{Meshd, Options, within};

#[tokio::test]
async fn a_sidecar_that_answers_says_so_again_and_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("notify.sock");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    let mut options = Options::new(dir.path(), &[]);
    options.env = vec![
        ("NOTIFY_SOCKET".into(), socket.display().to_string()),
        ("WATCHDOG_USEC".into(), "60000".into()),
    ];
    let meshd = Meshd::start_in(dir, options).await;
    let mut heard = Vec::new();
    while heard.len() < 6 {
        heard.push(word(&manager).await);
    }
    assert_eq!(heard[0], "READY=1");
    assert!(
        heard[1..].iter().all(|words| words == "WATCHDOG=1"),
        "{heard:?}"
    );

    // Whoever stands still is silent: what comes after the rest is said when it goes on.
    meshd.signal("STOP");
    let mut buffer = [0; 256];
    while manager.try_recv(&mut buffer).is_ok() {}
    meshd.signal("CONT");
    assert_eq!(word(&manager).await, "WATCHDOG=1");
    meshd.signal("TERM");
    while word(&manager).await != "STOPPING=1" {}
    let (status, ..) = meshd.end().await;
    assert!(status.success(), "{status}");
}

async fn word(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = within("a word", manager.recv(&mut buffer)).await;
    let words = String::from_utf8_lossy(&buffer[..length.expect("a word")]).into_owned();
    words.trim().to_owned()
}
