//! Who may use an app: what it costs its requests that one has to say who one is, when
//! that is known already; and how many tokens can be looked at that nobody has seen.
//!
//! Apps of one mesh that differ in nothing but that, one load on each, in turns.

use std::{
    net::SocketAddr,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dynomesh_proto::v1::{Auth, Change, Policy, operation::Kind};
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    Failure, Plan, Report,
    backend::Backend,
    beside::{compare, measured},
    changes,
    conf::Front,
    cpu, directory,
    nginx::Nginx,
    progress,
    report::Row,
    shot::shoot_with,
    sidecar::{Sidecar, router_socket},
    unit::Unit,
};
use crate::{
    authorizer::{Authorizer, allowed},
    client::Conn,
    token::{Issuer, jwks},
};

const HEADING: &str =
    "Auth: one app, by how one says who one is, beside the same for anybody, one worker";

const CONNECTIONS: usize = 64;
/// The ways, of which the first is none.
const WAYS: [&str; 4] = ["anybody", "password", "token", "key"];
const TOKEN: usize = 2;
/// Of "secret", by bcrypt at little cost: it is looked at once.
const BCRYPT: &str = "$2b$04$zfWSRFB9AYeTB0qC9VCFH.jYKS.Yx4AtRUtfRLvanISsoUfwHMtU6";
/// Tokens that are looked at for the first time, by so many connections.
const TOKENS: usize = 4_000;
const ASKING: usize = 16;

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    let backend = Backend::start(&dir.path().join("dynos"), WAYS.len()).await?;
    let authorizer = Authorizer::start(|_| allowed(&[], 300_000)).await;
    let place = format!("keys=http://{}", authorizer.address);
    let more = vec!["--authorizers".to_owned(), place];
    let sidecar = Sidecar::start_with(dir.path(), more).await?;
    let issuer = Issuer::new("k1");
    let apps = WAYS.iter().enumerate();
    let apps = apps.map(|(at, way)| app(way, backend.dynos(at), &issuer));
    sidecar.load(apps.collect()).await?;
    let (front, socket) = (dir.path().join("front"), router_socket(dir.path()));
    let conf = |listen: &[SocketAddr]| Front::Mesh(&socket).text(&front, listen[0], None);
    let nginx = Nginx::start(&front, 1, conf).await?;
    sidecar.until_sessions(1).await?;

    let headers = WAYS.map(|way| header(way, &issuer));
    let fire = async |at: usize| {
        let host = changes::host(WAYS[at]);
        let arguments = ["--host", &host, "--header", &headers[at]];
        let load = shoot_with(nginx.addresses[0], &arguments, CONNECTIONS, plan.shot);
        measured(nginx.worker, Some(sidecar.pid()), load).await
    };
    compare(HEADING, &WAYS, fire, plan, report).await?;
    cold(&nginx, &sidecar, &issuer, plan, report).await
}

fn app(way: &str, dynos: &[SocketAddr], issuer: &Issuer) -> Change {
    let settings = changes::policy(Policy::LeastLoad, 0);
    let mut change = changes::app(way, settings, dynos);
    let lines = match way {
        "password" => vec!["basic".to_owned(), format!("user ann {BCRYPT}")],
        "token" => vec![
            "jwt issuer https://id.example audience token".to_owned(),
            format!("keys {}", jwks(&[issuer])),
        ],
        "key" => vec!["authorizer keys shown X-Key".to_owned()],
        _ => return change,
    };
    let auth = changes::change(way, [Kind::PutAuth(Auth { lines })]);
    change.operations.extend(auth.operations);
    change
}

/// What a client says; of nobody in particular something that is as long.
fn header(way: &str, issuer: &Issuer) -> String {
    match way {
        "password" => format!("Authorization: Basic {}", STANDARD.encode("ann:secret")),
        "token" => format!("Authorization: Bearer {}", token(issuer, "ann")),
        "key" => "X-Key: 0123456789abcdef0123456789abcdef".to_owned(),
        _ => "X-Other: 0123456789abcdef0123456789abcdef".to_owned(),
    }
}

fn token(issuer: &Issuer, user: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let exp = now.unwrap_or_default().as_secs() + 3_600;
    issuer.sign(&json!({ "iss": "https://id.example", "aud": "token", "sub": user, "exp": exp }))
}

/// Tokens that are all new: each has its signature looked at.
async fn cold(
    nginx: &Nginx,
    sidecar: &Sidecar,
    issuer: &Issuer,
    plan: &Plan,
    report: &mut Report,
) -> Result<(), Failure> {
    progress(&format!(
        "auth: {TOKENS} new tokens, {} turns",
        plan.queue_turns
    ));
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for turn in 0..plan.queue_turns {
        let tokens = (0..TOKENS).map(|at| token(issuer, &format!("{turn}-{at}")));
        let tokens: Vec<_> = tokens.collect();
        let before = cpu::spent(sidecar.pid())?;
        let began = Instant::now();
        let mut asking = JoinSet::new();
        for part in tokens.chunks(TOKENS.div_ceil(ASKING)) {
            asking.spawn(ask(nginx.addresses[0], part.to_vec()));
        }
        while let Some(asked) = asking.join_next().await {
            asked??;
        }
        rates.push(TOKENS as f64 / began.elapsed().as_secs_f64());
        let spent = (cpu::spent(sidecar.pid())? - before).as_secs_f64() * 1e6;
        costs.push(spent / TOKENS as f64);
    }
    let what = "new tokens (ES256), each looked at once: requests";
    report.add(Row::new(HEADING, what, Unit::PerSecond, rates));
    let what = "new tokens (ES256): sidecar CPU of each";
    report.add(Row::new(HEADING, what, Unit::Micros, costs));
    Ok(())
}

async fn ask(address: SocketAddr, tokens: Vec<String>) -> Result<(), Failure> {
    let host = changes::host(WAYS[TOKEN]);
    let mut conn = Conn::open(address).await?;
    for token in tokens {
        let request =
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
        conn.send(request).await?;
        let status = conn.response().await?.status();
        if status != 200 {
            return Err(format!("a good token is answered with {status}").into());
        }
    }
    Ok(())
}
