//! Two sidecars that share one queue for each app: what a decision costs that the
//! other one makes.
//!
//! Everything comes to the first sidecar. The apps differ in who decides: this one,
//! since nothing is said, or since it owns the app; or the other one.

use std::{collections::HashMap, path::Path, time::Instant};

use dynomesh_proto::{
    PROTOCOL,
    v1::{
        Ask, Checkin, Exact, Hello, Outcome, Policy, RouterMessage, Settings,
        answer::Result as Reply, router_client::RouterClient, router_message::Kind,
        sidecar_message,
    },
};
use futures_util::stream;
use tokio::sync::mpsc;
use tonic::transport::Endpoint;

use super::{
    Failure, Plan, Report,
    backend::Backend,
    changes,
    conf::Front,
    cpu, directory, members,
    nginx::Nginx,
    progress,
    report::Row,
    shot::{Shot, shoot},
    sidecar::router_socket,
    unit::Unit,
};
use crate::harness::Broker;

const HEADING: &str = "Exact: 2 sidecars, one queue";

/// Of the dynos: so high that nobody waits.
const LIMIT: u32 = 1_000;
/// Requests under way at once, asked for directly.
const DEPTH: usize = 512;
const DECISIONS: u64 = 200_000;

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let dir = dir.path();
    progress("exact: a broker and two sidecars");
    let broker = Broker::start().await;
    let sidecars = members::start(dir, &broker.url(), 2).await?;
    let owned = members::owned(&sidecars).await?;
    let (near, far) = (&owned[0], &owned[1]);
    let backend = Backend::start(&dir.join("dynos"), 3).await?;
    let exact = |exact: Exact| Settings {
        exact: exact.into(),
        ..changes::policy(Policy::IdleOnly, LIMIT)
    };
    let apps = [
        ("each-alone", exact(Exact::Unspecified)),
        (near, exact(Exact::Strict)),
        (far, exact(Exact::Strict)),
    ];
    let all = apps.iter().enumerate();
    let all = all.map(|(at, (name, settings))| changes::app(name, *settings, backend.dynos(at)));
    sidecars[0].load(all.collect()).await?;
    members::until_known(&sidecars[1], 3).await?;

    let socket = router_socket(&dir.join("r0"));
    let front = dir.join("front");
    let nginx = Nginx::start(&front, 1, |listen| {
        Front::Mesh(&socket).text(&front, listen[0], None)
    })
    .await?;
    let mut shots: Vec<Vec<[Shot; 3]>> = Vec::new();
    for connections in [1, 64] {
        let mut turns = Vec::new();
        for turn in 0..plan.turns {
            progress(&format!(
                "exact: {connections} connections, turn {}",
                turn + 1
            ));
            let shot = async |app: &str| {
                let host = changes::host(app);
                shoot(nginx.addresses[0], &host, connections, plan.shot).await
            };
            turns.push([
                shot("each-alone").await?,
                shot(near).await?,
                shot(far).await?,
            ]);
        }
        shots.push(turns);
    }
    let row = |what: &str, unit, values| Row::new(HEADING, what, unit, values);
    let failed: u64 = shots.iter().flatten().flatten().map(Shot::failures).sum();
    let added = |of: usize, to: usize| -> Vec<f64> {
        let turns = shots[0].iter();
        turns.map(|turn| turn[of].p50 - turn[to].p50).collect()
    };
    let ratio = |of: usize, to: usize| -> Vec<f64> {
        let turns = shots[1].iter();
        turns.map(|turn| turn[of].rps / turn[to].rps).collect()
    };
    let what = "1 connection: p50 added by an owner elsewhere";
    report.add(row(what, Unit::Micros, added(2, 1)).at_most(150.0));
    let what = "1 connection: p50 added by being exact, owner here";
    report.add(row(what, Unit::Micros, added(1, 0)));
    let what = "64 connections: requests, owner elsewhere, to owner here";
    report.add(row(what, Unit::Times, ratio(2, 1)));
    report.add(row("failed requests", Unit::Count, vec![failed as f64]).at_most(0.0));

    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for turn in 0..plan.restarts {
        progress(&format!("exact: decisions, turn {}", turn + 1));
        let owner = sidecars[1].pid();
        let (spent, began) = (cpu::spent(owner)?, Instant::now());
        decide(&socket, &changes::host(far), turn as u64 + 1).await?;
        let spent = (cpu::spent(owner)? - spent).as_secs_f64();
        rates.push(DECISIONS as f64 / began.elapsed().as_secs_f64());
        costs.push(DECISIONS as f64 / spent);
    }
    report.add(row("decisions for the other one", Unit::PerSecond, rates));
    let what = "the same, for each second of the owner's processor time";
    report.add(row(what, Unit::PerSecond, costs).at_least(100_000.0));
    Ok(())
}

/// Asks for a dyno as a router does, many times.
async fn decide(socket: &Path, name: &str, worker: u64) -> Result<(), Failure> {
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()))?;
    let mut client = RouterClient::new(endpoint.connect().await?);
    let (to, mut messages) = mpsc::unbounded_channel();
    let say = |kind| {
        let sent = to.send(RouterMessage { kind: Some(kind) });
        sent.map_err(|_| "the session ended")
    };
    say(Kind::Hello(Hello {
        protocol: PROTOCOL,
        worker,
        ..Hello::default()
    }))?;
    let replies = client
        .session(stream::poll_fn(move |cx| messages.poll_recv(cx)))
        .await?;
    let mut replies = replies.into_inner();
    let mut under_way: HashMap<u64, ()> = HashMap::new();
    let (mut next, mut done) = (1, 0);
    while done < DECISIONS {
        while under_way.len() < DEPTH && next <= DECISIONS {
            under_way.insert(next, ());
            say(Kind::Ask(Ask {
                ask: next,
                name: name.to_owned(),
                ..Ask::default()
            }))?;
            next += 1;
        }
        let reply = replies.message().await?.ok_or("the session ended")?;
        let Some(sidecar_message::Kind::Answer(answer)) = reply.kind else {
            continue;
        };
        if let Some(Reply::Refusal(reason)) = answer.result {
            return Err(format!("refused: {reason}").into());
        }
        under_way.remove(&answer.ask);
        done += 1;
        say(Kind::Checkin(Checkin {
            ask: answer.ask,
            outcome: Outcome::Done.into(),
            before: 0,
            next: 0,
        }))?;
    }
    Ok(())
}
