//! Two sidecars that share one queue for each app: what a decision costs that the
//! other one makes.
//!
//! Everything comes to the first sidecar. The apps differ in who decides: this one,
//! since nothing is said, or since it owns the app; or the other one.

use std::{collections::HashMap, fs, path::Path, time::Instant};

use dynomesh_proto::{
    PROTOCOL,
    v1::{
        Ask, Checkin, Exact, Hello, Outcome, Policy, RouterMessage, Settings,
        answer::Result as Reply, router_client::RouterClient, router_message::Kind,
        sidecar_message,
    },
};
use futures_util::stream;
use mesh::{SHARDS, Shard};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::sync::mpsc;
use tonic::transport::Endpoint;

use super::{
    Failure, Plan, Report,
    backend::Backend,
    changes,
    conf::Front,
    cpu, directory,
    nginx::Nginx,
    progress,
    report::Row,
    shot::{Shot, shoot},
    sidecar::{Sidecar, router_socket},
    unit::Unit,
};
use crate::harness::Broker;

const HEADING: &str = "Exact: 2 sidecars, one queue";

/// Of the dynos: so high that nobody waits.
const LIMIT: u32 = 1_000;
/// Requests under way at once, asked for directly.
const DEPTH: usize = 512;
const DECISIONS: u64 = 200_000;
/// Times for the sidecars to agree.
const PATIENCE: u32 = 2_000;

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let dir = dir.path();
    progress("exact: a broker and two sidecars");
    let broker = Broker::start().await;
    let sidecars = sidecars(dir, &broker.url()).await?;
    let [near, far] = owned(&sidecars).await?;
    let backend = Backend::start(&dir.join("dynos"), 3).await?;
    let exact = |exact: Exact| Settings {
        exact: exact.into(),
        ..changes::policy(Policy::IdleOnly, LIMIT)
    };
    let apps = [
        ("each-alone", exact(Exact::Unspecified)),
        (&near, exact(Exact::Strict)),
        (&far, exact(Exact::Strict)),
    ];
    let all = apps.iter().enumerate();
    let all = all.map(|(at, (name, settings))| changes::app(name, *settings, backend.dynos(at)));
    sidecars[0].load(all.collect()).await?;
    until_known(&sidecars[1], 3).await?;

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
                shot(&near).await?,
                shot(&far).await?,
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
        decide(&socket, &changes::host(&far), turn as u64 + 1).await?;
        let spent = (cpu::spent(owner)? - spent).as_secs_f64();
        rates.push(DECISIONS as f64 / began.elapsed().as_secs_f64());
        costs.push(DECISIONS as f64 / spent);
    }
    report.add(row("decisions for the other one", Unit::PerSecond, rates));
    let what = "the same, for each second of the owner's processor time";
    report.add(row(what, Unit::PerSecond, costs).at_least(100_000.0));
    Ok(())
}

/// Two that are members.
async fn sidecars(dir: &Path, url: &str) -> Result<Vec<Sidecar>, Failure> {
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "ours");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let mut sidecars = Vec::new();
    for name in ["r0", "r1"] {
        let at = dir.join(name);
        fs::create_dir_all(&at)?;
        let key = KeyPair::generate()?;
        let own = CertificateParams::new(["localhost".to_owned()])?;
        let chain = own.signed_by(&key, &authority)?;
        let mut arguments: Vec<String> = Vec::new();
        for (flag, text) in [
            ("--peer-tls-ca", authority.pem()),
            ("--tls-cert", chain.pem()),
            ("--tls-key", key.serialize_pem()),
        ] {
            let file = at.join(flag.trim_start_matches('-'));
            fs::write(&file, text)?;
            arguments.extend([flag.to_owned(), file.display().to_string()]);
        }
        let more = [
            "--broker-url",
            url,
            "--node",
            name,
            "--peer-tcp",
            "127.0.0.1:0",
        ];
        let more = more.iter().chain(&["--peer-address", "localhost:0"]);
        arguments.extend(more.map(ToString::to_string));
        sidecars.push(Sidecar::start_with(&at, arguments).await?);
    }
    Ok(sidecars)
}

/// Names of apps that the first one owns, and the second, once they have agreed.
async fn owned(sidecars: &[Sidecar]) -> Result<[String; 2], Failure> {
    for _ in 0..PATIENCE {
        let mut own = Vec::new();
        for sidecar in sidecars {
            let bits = sidecar.nodes().await?.may_grant;
            let has = move |shard: Shard| {
                let at = shard.index();
                bits.get(at / 8)
                    .is_some_and(|bits| bits >> (at % 8) & 1 == 1)
            };
            own.push(has);
        }
        let count = |at: usize| Shard::all().filter(|shard| own[at](*shard)).count();
        if count(0) > 0 && count(1) > 0 && count(0) + count(1) == SHARDS {
            let mut names = (0..).map(|number| format!("exact-{number}"));
            let mut of = |at: usize| names.find(|name| own[at](Shard::of(name)));
            let (near, far) = (of(0), of(1));
            return Ok([near, far].map(Option::unwrap_or_default));
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Err("the sidecars don't agree who decides".into())
}

async fn until_known(sidecar: &Sidecar, apps: u64) -> Result<(), Failure> {
    for _ in 0..PATIENCE {
        if u64::from(sidecar.status().await?.apps) >= apps {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Err("the other sidecar does not know the apps".into())
}

/// Asks for a dyno as a router does, many times.
async fn decide(socket: &Path, name: &str, worker: u64) -> Result<(), Failure> {
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()))?;
    let mut client = RouterClient::new(endpoint.connect().await?);
    let (to, mut messages) = mpsc::unbounded_channel();
    let say = |kind| to.send(RouterMessage { kind: Some(kind) });
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
        }))?;
    }
    Ok(())
}
