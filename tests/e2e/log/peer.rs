//! A new host begins with the table of another one.

use std::{net::TcpListener, time::Duration};

use e2e::harness::{Broker, Sidecar, broker, run_within};

use super::{
    create,
    secure::{Authority, write_files},
};

const LIMIT: Duration = Duration::from_secs(150);

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A sidecar, not started yet, with the files to be a peer.
fn make(broker: &Broker, prefix: &str, node: &str, authority: &Authority) -> Sidecar {
    let mut sidecar = Sidecar::make(&broker.url(), prefix, node);
    let (chain, key) = authority.issue();
    let files = [
        ("--peer-tls-ca", "ca.pem", authority.pem()),
        ("--tls-cert", "cert.pem", chain),
        ("--tls-key", "key.pem", key),
    ];
    write_files(&mut sidecar, files);
    sidecar
}

/// One that gives its table at this port.
fn give_at(sidecar: &mut Sidecar, port: u16) {
    let place = format!("127.0.0.1:{port}");
    sidecar.more.extend(["--peer-tcp".to_owned(), place]);
}

/// One that gets it at these ports.
fn get_at(sidecar: &mut Sidecar, ports: &[u16]) {
    let urls: Vec<_> = ports
        .iter()
        .map(|port| format!("https://localhost:{port}"))
        .collect();
    sidecar.more.extend(["--peers".to_owned(), urls.join(",")]);
}

#[test]
fn a_cold_start_takes_the_table_of_a_peer() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
        let [nobody, stranger_port, port] = [(); 3].map(|()| free_port());
        let mut first = make(broker, &prefix, "first", &ours);
        give_at(&mut first, port);
        first.start_again().await;
        first.until_in_sync().await;
        for number in 0..40 {
            create(&first, &format!("app-{number}")).await;
        }
        // One that may not know us, of whose table nobody has heard.
        let mut stranger = make(broker, &broker::prefix(), "stranger", &theirs);
        give_at(&mut stranger, stranger_port);
        stranger.start_again().await;
        stranger.until_in_sync().await;

        let mut late = make(broker, &prefix, "late", &ours);
        get_at(&mut late, &[nobody, stranger_port, port]);
        late.start_again().await;
        late.until_in_sync().await;
        let log = late.log();
        assert_eq!(log.matches("no table from a peer").count(), 2, "{log}");
        assert!(log.contains("a peer has given its table"), "{log}");
        assert_eq!(late.status().await.apps, 40);
        // Nothing of the log was gone through again.
        assert_eq!(late.log_status().await.applied, 0);
        late.until_same(&first).await;
        create(&late, "next").await;
        first.until_version("next", 1).await;
        // Who has a table of the log asks nobody.
        let (before, mut late) = (late.log().matches("a peer has given").count(), late);
        late.stop().await;
        late.start_again().await;
        late.until_in_sync().await;
        assert_eq!(late.log().matches("a peer has given").count(), before);
        late.until_same(&first).await;
    });
}

#[test]
fn without_a_peer_of_the_same_log_a_cold_start_takes_what_the_broker_has() {
    run_within(LIMIT, async {
        let (broker, prefix) = (Broker::shared().await, broker::prefix());
        let ours = Authority::new("ours");
        let [nobody, port] = [(); 2].map(|()| free_port());
        let first = Sidecar::start(&broker.url(), &prefix, "first").await;
        create(&first, "shop").await;
        // Its table is of another log.
        let mut astray = make(broker, &broker::prefix(), "astray", &ours);
        give_at(&mut astray, port);
        astray.start_again().await;
        astray.until_in_sync().await;
        for number in 0..3 {
            create(&astray, &format!("astray-{number}")).await;
        }
        let mut late = make(broker, &prefix, "late", &ours);
        get_at(&mut late, &[nobody, port]);
        late.start_again().await;
        late.until_in_sync().await;
        let log = late.log();
        assert!(log.contains("a peer has given its table"), "{log}");
        assert!(log.contains("is of another log than the broker's"), "{log}");
        assert_eq!(late.status().await.apps, 1);
        late.until_same(&first).await;

        // And when nobody is there at all.
        let mut later = make(broker, &prefix, "later", &ours);
        get_at(&mut later, &[nobody]);
        later.start_again().await;
        later.until_in_sync().await;
        assert!(later.log().contains("no peer has given its table"));
        later.until_same(&first).await;
    });
}
