//! What a request costs in this process, alone and while operators are busy.
//!
//!     cargo build --release -p meshd && cargo run --release -p meshd --example requests
mod shared;

use std::{
    collections::HashMap,
    future::Future,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use dynomesh_proto::{
    PROTOCOL,
    v1::{
        Ask, Checkin, Hello, ListAppsRequest, Outcome, RouterMessage, SetDynoState,
        answer::Result as Reply, operation::Kind as Op, router_message::Kind, sidecar_message,
    },
};
use futures_util::{StreamExt as _, stream};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream};

use shared::{Failure, Meshd, change, control, dyno, new_app};

const APPS: usize = 10_000;
const DYNOS: usize = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let (meshd, _) = Meshd::start(dir.path()).await?;
    let changes: Vec<_> = (0..APPS)
        .map(|app| {
            let dynos = (0..DYNOS).map(|n| dyno(format!("web.{n}"), app * DYNOS + n + 1));
            new_app(&format!("app-{app}"), dynos.collect())
        })
        .collect();
    let mut results = meshd
        .control()
        .await?
        .apply_many(stream::iter(changes))
        .await?
        .into_inner();
    while results.next().await.transpose()?.is_some() {}

    for (depth, requests) in [(1, 100_000), (64, 1_000_000), (512, 1_000_000)] {
        measure(&meshd, depth, requests, "").await?;
    }
    // On a thread of their own, so that they do not delay the requests here.
    let (lister, changer) = (meshd.socket(), meshd.socket());
    thread::spawn(move || on_runtime(lists(lister)));
    thread::spawn(move || on_runtime(changes_forever(changer)));
    measure(&meshd, 1, 50_000, " while operators are busy").await?;
    measure(&meshd, 64, 500_000, " while operators are busy").await?;
    meshd.stop()?;
    Ok(())
}

fn on_runtime(work: impl Future<Output = Result<(), Failure>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime.map(|runtime| runtime.block_on(work)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => eprintln!("{error}"),
        Err(error) => eprintln!("{error}"),
    }
}

/// Lists all apps, over and over.
async fn lists(socket: PathBuf) -> Result<(), Failure> {
    let mut control = control(socket).await?;
    let mut page = String::new();
    loop {
        let request = ListAppsRequest {
            page_size: 1_000,
            page,
            ..ListAppsRequest::default()
        };
        page = control.list_apps(request).await?.into_inner().next_page;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Makes ten thousand changes a second.
async fn changes_forever(socket: PathBuf) -> Result<(), Failure> {
    let mut control = control(socket).await?;
    let mut beat = tokio::time::interval(Duration::from_millis(10));
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (to, changes) = mpsc::channel(100);
    let mut results = control
        .apply_many(ReceiverStream::new(changes))
        .await?
        .into_inner();
    let mut apps = (0..APPS).cycle();
    loop {
        beat.tick().await;
        for app in apps.by_ref().take(100) {
            let set = SetDynoState {
                dyno: "web.0".into(),
                state: 2,
            };
            to.send(change(&format!("app-{app}"), vec![Op::SetDynoState(set)]))
                .await?;
        }
        for _ in 0..100 {
            results.next().await.ok_or("the stream ended")??;
        }
    }
}

async fn measure(meshd: &Meshd, depth: u64, requests: u64, what: &str) -> Result<(), Failure> {
    let (to, messages) = mpsc::unbounded_channel();
    let say = |kind| {
        let sent = to.send(RouterMessage { kind: Some(kind) });
        sent.map_err(|_| "the session ended")
    };
    say(Kind::Hello(Hello {
        protocol: PROTOCOL,
        worker: depth,
        ..Hello::default()
    }))?;
    let mut replies = meshd
        .router()
        .await?
        .session(UnboundedReceiverStream::new(messages))
        .await?
        .into_inner();
    replies.next().await.ok_or("no welcome")??;

    let ask = |ask: u64| {
        let name = format!("app-{}.example.com", ask as usize * 7919 % APPS);
        Kind::Ask(Ask {
            ask,
            name,
            ..Ask::default()
        })
    };
    let (began, cpu) = (Instant::now(), meshd.cpu()?);
    let mut under_way = HashMap::new();
    let mut took = Vec::with_capacity(requests as usize);
    let mut next = 1;
    while (took.len() as u64) < requests {
        while under_way.len() < depth as usize && next <= requests {
            under_way.insert(next, Instant::now());
            say(ask(next))?;
            next += 1;
        }
        let reply = replies.next().await.ok_or("the session ended")??;
        let Some(sidecar_message::Kind::Answer(answer)) = reply.kind else {
            continue;
        };
        if let Some(Reply::Refusal(reason)) = answer.result {
            return Err(format!("refused: {reason}").into());
        }
        let asked = under_way.remove(&answer.ask).ok_or("nobody asked")?;
        took.push(asked.elapsed());
        say(Kind::Checkin(Checkin {
            ask: answer.ask,
            outcome: Outcome::Done.into(),
            before: 0,
            next: 0,
        }))?;
    }
    let (wall, cpu) = (began.elapsed(), meshd.cpu()? - cpu);
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!(
        "{depth} at a time{what}: {:.0}/s, {:.2} us of CPU each, p50 {:?} p99 {:?} p99.9 {:?} max {:?}",
        requests as f64 / wall.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / requests as f64,
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
    );
    Ok(())
}
