//! SIGKILL at any moment: what was acknowledged is there, and nothing by halves.

use std::{collections::HashMap, time::Duration};

use dynomesh_proto::v1::{AppStatus, Change, Dyno, ListAppsRequest, operation::Kind};
use tokio_stream::wrappers::ReceiverStream;

use crate::harness::{Meshd, change, create, put};

const APPS: u64 = 50;

/// The change that makes an app's version `version`. All that it says carries
/// the version, so an app that has only a part of one shows it.
fn change_to(app: u64, version: u64) -> Change {
    let name = format!("app-{app:02}");
    let dynos = [1, 2].map(|n| {
        let instance = format!("{name}.{n}.{version}");
        let address = format!("10.{app}.{n}.{}:{}", version % 250, 1_000 + version / 250);
        put(Dyno {
            name: format!("web.{n}"),
            instance,
            address,
            ..Dyno::default()
        })
    });
    let mut kinds = Vec::new();
    match version {
        1 => kinds.push(create(Default::default())),
        _ => kinds.push(Kind::RemoveDomain(format!("v{}.{name}.test", version - 1))),
    }
    kinds.push(Kind::AddDomain(format!("v{version}.{name}.test")));
    kinds.extend(dynos);
    change(&name, kinds)
}

fn check(status: &AppStatus, acknowledged: u64, sent: u64) -> u64 {
    let app = status.app.as_ref().expect("app");
    let version = app.version;
    assert!(
        version >= acknowledged,
        "{} lost a change: {version} < {acknowledged}",
        app.name
    );
    assert!(
        version <= sent,
        "{} has a change that nobody made: {version} > {sent}",
        app.name
    );
    assert_eq!(app.domains, [format!("v{version}.{}.test", app.name)]);
    let instances: Vec<_> = app.dynos.iter().map(|dyno| dyno.instance.clone()).collect();
    assert_eq!(
        instances,
        [1, 2].map(|n| format!("{}.{n}.{version}", app.name))
    );
    version
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_lose_nothing_that_was_acknowledged() {
    let mut meshd = Meshd::start(&[]).await;
    let mut versions: HashMap<u64, u64> = HashMap::new();
    for round in 0..20_u64 {
        let (to, changes) = tokio::sync::mpsc::channel(64);
        let mut control = meshd.control().await;
        let mut results = control
            .apply_many(ReceiverStream::new(changes))
            .await
            .expect("accepted")
            .into_inner();
        let start = versions.clone();
        let sender = tokio::spawn(async move {
            let mut sent = start;
            loop {
                for app in 0..APPS {
                    let version = sent.get(&app).copied().unwrap_or(0) + 1;
                    if to.send(change_to(app, version)).await.is_err() {
                        return sent;
                    }
                    sent.insert(app, version);
                }
            }
        });
        // Each time at another moment of the writer's round.
        let kill = tokio::time::sleep(Duration::from_micros(20_000 + round * 3_137));
        tokio::pin!(kill);
        let mut acknowledged = versions.clone();
        loop {
            tokio::select! {
                () = &mut kill => break,
                result = results.message() => {
                    let result = result.expect("goes on").expect("a result");
                    assert_eq!(result.error, None);
                    let app = result.app[4..].parse().expect("a number");
                    acknowledged.insert(app, result.version);
                }
            }
        }
        let (dir, options) = meshd.kill();
        // What was acknowledged before the kill may still be in the socket.
        while let Ok(Some(result)) = results.message().await {
            let app = result.app[4..].parse().expect("a number");
            acknowledged.insert(app, result.version);
        }
        drop(results);
        let sent = sender.await.expect("the sender ends");
        meshd = Meshd::start_in(dir, options).await;

        let request = ListAppsRequest {
            page_size: 1_000,
            ..Default::default()
        };
        let listed = meshd
            .control()
            .await
            .list_apps(request)
            .await
            .expect("listed")
            .into_inner();
        versions.clear();
        for status in &listed.apps {
            let app = status.app.as_ref().expect("app").name[4..]
                .parse()
                .expect("a number");
            let of = |versions: &HashMap<u64, u64>| versions.get(&app).copied().unwrap_or(0);
            versions.insert(app, check(status, of(&acknowledged), of(&sent)));
        }
        for (app, version) in &acknowledged {
            assert!(versions.get(app) >= Some(version), "app-{app:02} is gone");
        }
    }
    let changes: u64 = versions.values().sum();
    assert!(
        changes > 20 * APPS,
        "it was killed while it worked: {changes}"
    );
}
