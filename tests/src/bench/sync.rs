//! Three sidecars that share 50,000 apps over RabbitMQ: how soon a change made at
//! one is in effect at all, and how soon a new one has everything.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use dynomesh_proto::v1::{Change, Event, event, operation::Kind};
use futures_util::stream;
use tokio::{task::JoinHandle, time::sleep_until};
use tonic::Streaming;

use super::{
    Failure, Plan, Report, changes, cpu, directory, progress, report::Row, sidecar::Sidecar,
    unit::Unit,
};
use crate::harness::Broker;

const HEADING: &str = "Sync: 3 sidecars, 50,000 apps, RabbitMQ";

const APPS: usize = 50_000;
/// 10,000 a minute.
const RATE: f64 = 10_000.0 / 60.0;
const BURST: usize = 10_000;
/// How often a sidecar is asked how far it is.
const STEP: Duration = Duration::from_millis(2);
/// Longer than anything here takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures it.
pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let dir = directory()?;
    progress("sync: a broker");
    let broker = Broker::start().await;
    let arguments = |more: &[&str]| {
        let url = broker.url();
        let own = ["--broker-url", &url, "--broker-prefix", "mesh"];
        own.iter().chain(more).map(ToString::to_string).collect()
    };
    let mut sidecars = Vec::new();
    for name in ["a", "b", "c"] {
        let at = dir.path().join(name);
        sidecars.push(Sidecar::start_with(&at, arguments(&["--node", name])).await?);
    }
    let row = |what: &str, unit, values| Row::new(HEADING, what, unit, values);

    progress("sync: loading");
    let began = Instant::now();
    sidecars[0].load(changes::fillers(APPS)).await?;
    until_applied(&sidecars, APPS as u64).await?;
    let seconds = began.elapsed().as_secs_f64();
    let rate = APPS as f64 / seconds;
    report.add(row(
        "loading: apps in effect on all",
        Unit::PerSecond,
        vec![rate],
    ));

    progress("sync: 10,000 changes a minute");
    let spent = spent(&sidecars)?;
    let began = Instant::now();
    let mut late = steady(&sidecars, plan.churn * 2).await?;
    let cores = (self::spent(&sidecars)? - spent).as_secs_f64() / began.elapsed().as_secs_f64();
    late.sort_by(f64::total_cmp);
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
    let what = "10,000 a minute: publish to effect on all, p50";
    report.add(row(what, Unit::Millis, vec![at(0.5)]));
    let what = "10,000 a minute: publish to effect on all, p99";
    report.add(row(what, Unit::Millis, vec![at(0.99)]).at_most(50.0));
    let what = "10,000 a minute: the three sidecars, of one core";
    report.add(row(what, Unit::Percent, vec![cores * 100.0]));

    progress("sync: bursts");
    let mut bursts = Vec::new();
    for round in 0..plan.restarts {
        bursts.push(burst(&sidecars, round).await?.as_secs_f64() * 1e3);
    }
    let what = "a burst of 10,000: in effect on all";
    report.add(row(what, Unit::Millis, bursts).at_most(3_000.0));

    progress("sync: cold starts");
    let cold = async |name: &str| -> Result<f64, Failure> {
        let at = dir.path().join(name);
        let sidecar = Sidecar::start_with(&at, arguments(&["--node", name])).await?;
        let apps = sidecar.status().await?.apps as usize;
        match apps == APPS {
            true => Ok(sidecar.took.as_secs_f64() * 1e3),
            false => Err(format!("a cold sidecar has {apps} apps of {APPS}").into()),
        }
    };
    let replayed = cold("replays").await?;
    let what = "a cold sidecar is in sync, from the whole log";
    report.add(row(what, Unit::Millis, vec![replayed]).at_most(5_000.0));
    snapshot(
        dir.path(),
        arguments(&["--broker-snapshot-every-s", "1"]),
        &sidecars,
    )
    .await?;
    let loaded = cold("loads").await?;
    let what = "a cold sidecar is in sync, from a snapshot";
    report.add(row(what, Unit::Millis, vec![loaded]).at_most(5_000.0));
    Ok(())
}

fn spent(sidecars: &[Sidecar]) -> Result<Duration, Failure> {
    let mut sum = Duration::ZERO;
    for sidecar in sidecars {
        sum += cpu::spent(sidecar.pid())?;
    }
    Ok(sum)
}

/// Waits until all have made so many changes.
async fn until_applied(sidecars: &[Sidecar], count: u64) -> Result<(), Failure> {
    let began = Instant::now();
    for sidecar in sidecars {
        loop {
            let log = sidecar.status().await?.log.ok_or("it shares no log")?;
            if log.applied >= count {
                break;
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{} of {count} changes are made", log.applied).into());
            }
            tokio::time::sleep(STEP).await;
        }
    }
    Ok(())
}

async fn applied(sidecar: &Sidecar) -> Result<u64, Failure> {
    let log = sidecar.status().await?.log;
    Ok(log.ok_or("it shares no log")?.applied)
}

/// A change that is known by the name that it adds.
fn tagged(number: usize) -> Change {
    let domain = Kind::AddDomain(tag(number));
    changes::change(&changes::filler(number % APPS), [domain])
}

fn tag(number: usize) -> String {
    format!("tag-{number}.test")
}

/// Changes one by one at [`RATE`]. Returns how late each was in effect on the
/// sidecar that was last, in milliseconds.
async fn steady(sidecars: &[Sidecar], time: Duration) -> Result<Vec<f64>, Failure> {
    let count = (RATE * time.as_secs_f64()) as usize;
    let sent = Arc::new(Mutex::new(HashMap::new()));
    let mut watchers = Vec::new();
    for sidecar in sidecars {
        watchers.push(watcher(sidecar.watch().await?, count));
    }
    let began = tokio::time::Instant::now();
    let times = sent.clone();
    let changes = stream::unfold(0, move |number| {
        let times = times.clone();
        async move {
            sleep_until(began + Duration::from_secs_f64(number as f64 / RATE)).await;
            let mut times = times.lock().ok()?;
            times.insert(tag(number), Instant::now());
            (number < count).then(|| (tagged(number), number + 1))
        }
    });
    sidecars[0].apply(changes).await?.all_made()?;
    let mut last: HashMap<String, Instant> = HashMap::new();
    for watcher in watchers {
        for (tag, at) in watcher.await?? {
            let latest = last.entry(tag).or_insert(at);
            *latest = at.max(*latest);
        }
    }
    let sent = sent.lock().map_err(|_| "a task panicked")?;
    let late = last
        .iter()
        .filter_map(|(tag, at)| Some((*at - *sent.get(tag)?).as_secs_f64() * 1e3))
        .collect();
    Ok(late)
}

type Watched = JoinHandle<Result<Vec<(String, Instant)>, Failure>>;

/// When each of so many tags came.
fn watcher(mut events: Streaming<Event>, count: usize) -> Watched {
    tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < count {
            let event = tokio::time::timeout(PATIENCE, events.message()).await??;
            let at = Instant::now();
            let Some(event::Kind::Changed(change)) = event.and_then(|event| event.kind) else {
                return Err("the watch broke, or missed something".into());
            };
            for operation in change.operations {
                if let Some(Kind::AddDomain(tag)) = operation.kind {
                    seen.push((tag, at));
                }
            }
        }
        Ok(seen)
    })
}

/// As many changes at once as there are in a minute. Returns when they are in
/// effect on all.
async fn burst(sidecars: &[Sidecar], round: usize) -> Result<Duration, Failure> {
    let mut goals = Vec::new();
    for sidecar in sidecars {
        goals.push(applied(sidecar).await? + BURST as u64);
    }
    let first = APPS + round * BURST;
    let changes: Vec<_> = (first..first + BURST).map(tagged).collect();
    let began = Instant::now();
    let made = sidecars[0].apply(stream::iter(changes));
    let all = async {
        for (sidecar, goal) in sidecars.iter().zip(&goals) {
            until_applied(std::slice::from_ref(sidecar), *goal).await?;
        }
        Ok::<_, Failure>(began.elapsed())
    };
    let (made, took) = tokio::join!(made, all);
    made?.all_made()?;
    took
}

/// Has a snapshot written.
async fn snapshot(dir: &Path, arguments: Vec<String>, with: &[Sidecar]) -> Result<(), Failure> {
    let writer = Sidecar::start_with(&dir.join("writes"), arguments).await?;
    with[0]
        .apply(stream::iter([tagged(APPS * 9)]))
        .await?
        .all_made()?;
    let began = Instant::now();
    while !writer.log()?.contains("a snapshot was written") {
        if began.elapsed() > PATIENCE {
            return Err("no snapshot is written".into());
        }
        tokio::time::sleep(STEP).await;
    }
    Ok(())
}
