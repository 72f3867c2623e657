//! Rules: what they cost each request, where 10,000 apps have ten each and every one
//! of them was asked for.
//!
//! Two meshes differ in nothing but that. Requests are for some of the apps in turn,
//! so that each finds rules that the one before it did not look at.

use std::net::SocketAddr;

use dynomesh_proto::v1::{Change, Policy, Rules, operation::Kind};

use super::{
    Failure, Plan, Report,
    backend::Backend,
    changes,
    conf::Front,
    cpu, directory,
    nginx::Nginx,
    progress,
    report::Row,
    shot::{Shot, shoot_with},
    sidecar::{Sidecar, router_socket},
    turns,
    unit::Unit,
};
use crate::client::Conn;

const HEADING: &str = "Rules: 10,000 apps with ten each, beside none, one worker";

/// Apps in each mesh.
const APPS: usize = 10_000;
/// Of these, the ones that are asked for under load, with two dynos each.
const ASKED: usize = 64;
/// Ports of the backend for so many apps of eight dynos.
const BACKENDS: usize = ASKED / 4;
const CONNECTIONS: usize = 64;

/// Of each kind that there is. The first one ends what only makes them known.
const TEN: [&str; 10] = [
    "when header x-known present then deny 410",
    "when path = /admin and not client 10.0.0.0/8 then deny",
    "when method POST PUT and path ^= /import then deny 405",
    "when path ^= /old then redirect 301 /new",
    "when cookie canary = on then app canary",
    "when share 5% by cookie session then app canary",
    "when query debug = 1 then set request header X-Debug 1",
    "when path ~ ^/api/v[0-9]+/ then set request header X-Api 1",
    "always set request header X-Client $client_addr, remove request header X-Forwarded-Server",
    "always set response header X-Frame-Options DENY, remove response header X-Powered-By",
];

struct Side {
    sidecar: Sidecar,
    nginx: Nginx,
}

/// One load on one of the two.
struct Figures {
    shot: Shot,
    /// CPU of the worker per request, in µs.
    worker: f64,
}

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let backend = Backend::start(&dir.path().join("dynos"), BACKENDS).await?;
    let dynos: Vec<_> = (0..BACKENDS).flat_map(|at| backend.dynos(at)).collect();
    let mut sides = Vec::new();
    for (name, ruled) in [("none", false), ("ten", true)] {
        progress(&format!("rules: {APPS} apps, {name}"));
        let dir = dir.path().join(name);
        let sidecar = Sidecar::start(&dir).await?;
        let apps = (0..APPS).map(|at| app(at, &dynos, ruled));
        sidecar.load(apps.collect()).await?;
        let (front, socket) = (dir.join("front"), router_socket(&dir));
        let conf = |listen: &[SocketAddr]| Front::Mesh(&socket).text(&front, listen[0], None);
        let nginx = Nginx::start(&front, 1, conf).await?;
        sidecar.until_sessions(1).await?;
        if ruled {
            make_known(nginx.addresses[0]).await?;
        }
        sides.push(Side { sidecar, nginx });
    }
    compare(&sides, plan, report).await
}

fn app(at: usize, dynos: &[&SocketAddr], ruled: bool) -> Change {
    let own = dynos.get(at * 2..at * 2 + 2).unwrap_or_default();
    let settings = changes::policy(Policy::LeastLoad, 0);
    let mut change = changes::app(&changes::filler(at), settings, own);
    if ruled {
        let lines = TEN.map(str::to_owned).to_vec();
        let kinds = [Kind::PutRules(Rules { lines })];
        let rules = changes::change(&change.app, kinds);
        change.operations.extend(rules.operations);
    }
    change
}

/// Has the worker ask for the rules of every app.
async fn make_known(address: SocketAddr) -> Result<(), Failure> {
    progress("rules: every name is asked for");
    let mut conn = Conn::open(address).await?;
    for at in 0..APPS {
        let host = changes::host(&changes::filler(at));
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Known: 1\r\n\r\n");
        conn.send(request).await?;
        let status = conn.response().await?.status();
        if status != 410 {
            return Err(format!("{host} answers {status}: its rules do not hold").into());
        }
        // Nginx ends a connection after so many.
        if at % 500 == 499 {
            conn = Conn::open(address).await?;
        }
    }
    Ok(())
}

async fn compare(sides: &[Side], plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    // A target in absolute form says which app it is for.
    let targets = (0..ASKED).map(|at| format!("http://{}/", changes::host(&changes::filler(at))));
    let targets: Vec<_> = targets.collect();
    let arguments: Vec<_> = targets.iter().flat_map(|to| ["--target", to]).collect();
    progress(&format!("rules: {} turns", plan.turns));
    let (mut turns, mut failed) = (Vec::new(), 0);
    for turn in 0..=plan.turns {
        let mut figures = [None, None];
        for at in turns::order(turn, sides.len()) {
            let side = &sides[at];
            let before = cpu::spent(side.nginx.worker)?;
            let address = side.nginx.addresses[0];
            let shot = shoot_with(address, &arguments, CONNECTIONS, plan.shot).await?;
            let spent = (cpu::spent(side.nginx.worker)? - before).as_secs_f64() * 1e6;
            failed += shot.failures();
            if shot.failures() > 0 {
                report.note(format!("rules: {}", shot.words()));
            }
            let worker = spent / shot.ended as f64;
            figures[at] = Some(Figures { shot, worker });
        }
        // The first turn opens the connections to the dynos.
        if let ([Some(none), Some(ten)], 1..) = (figures, turn) {
            turns.push((none, ten));
        }
    }
    let row = |what: &str, unit, figure: &dyn Fn(&(Figures, Figures)) -> f64| {
        Row::new(HEADING, what, unit, turns.iter().map(figure).collect())
    };
    report.add(row("none: rps", Unit::PerSecond, &|(none, _)| {
        none.shot.rps
    }));
    report.add(
        row("ten: rps", Unit::Times, &|(none, ten)| {
            ten.shot.rps / none.shot.rps
        })
        .at_least(0.95),
    );
    report.add(row("ten: worker CPU", Unit::Times, &|(none, ten)| {
        ten.worker / none.worker
    }));
    report.add(row("none: worker CPU per request", Unit::Micros, &|(
        none,
        _,
    )| {
        none.worker
    }));
    report.add(row("ten: worker CPU added", Unit::Micros, &|(
        none,
        ten,
    )| {
        ten.worker - none.worker
    }));
    report.add(Row::new(HEADING, "failed requests", Unit::Count, vec![failed as f64]).at_most(0.0));
    // They were there all the time.
    for side in sides {
        side.sidecar.until_sessions(1).await?;
    }
    Ok(())
}
