//! What the mesh costs and what it can do, measured: the program `mesh-bench`.
//!
//! What is compared runs on the same machine in the same run, in turns, so that
//! whatever else the machine does falls on both sides; a ratio is taken within
//! each turn. What counts is the median of the turns, and the spread says how far
//! to trust it.
//!
//! - `cost`: beside plain Nginx (and HAProxy), with nothing to wait for.
//! - `queue`: 200 clients for 8 dynos that take one request at a time.
//! - `core`: the crate `mesh` alone.
//! - `scale`: 50,000 apps: loading, restarting, memory.
//! - `churn`: 10,000 changes a second while requests go on.
//! - `exact`: what a decision costs that another sidecar makes.
//! - `one-queue`: the same as `queue` over four routers.
//! - `crowd`: 1,000 apps beside one that gets a hundred times what it can serve.
//! - `restart`: the sidecar that decides is restarted.
//! - `rules`: 10,000 apps with ten rules each, beside as many without.
//! - `tap`: somebody looks at an app's requests.
//! - `traces`: a collector is told of requests.
//! - `auth`: one has to say who one is.
//! - `sync`: three sidecars that share 50,000 apps over RabbitMQ.

mod auth;
mod backend;
mod beside;
mod changes;
mod churn;
mod conf;
mod core;
mod cost;
mod cpu;
mod crowd;
mod dynos;
mod exact;
mod haproxy;
mod hosts;
mod members;
mod nginx;
mod one_queue;
mod order;
mod pace;
mod plan;
mod queue;
mod report;
mod restart;
mod rules;
mod sample;
mod scale;
mod shot;
mod sidecar;
mod sync;
mod tap;
mod traces;
mod trial;
mod turns;
mod unit;

use clap::ValueEnum;

pub use plan::Plan;
pub use report::Report;

/// Why something could not be measured.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Beside plain Nginx and HAProxy.
    Cost,
    /// Few dynos, many clients.
    Queue,
    /// The crate `mesh` alone.
    Core,
    /// 50,000 apps.
    Scale,
    /// Changes while requests go on.
    Churn,
    /// Three sidecars, one table.
    Sync,
    /// Two sidecars, one queue.
    Exact,
    /// Four routers, few dynos, many clients.
    OneQueue,
    /// 1,000 apps beside one with too much to do.
    Crowd,
    /// The owner of a queue is restarted.
    Restart,
    /// Ten rules for each of 10,000 apps.
    Rules,
    /// An app that is looked at.
    Tap,
    /// Requests that a collector is told of.
    Traces,
    /// An app that is not for everybody.
    Auth,
}

impl Part {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 14] = [
        Self::Cost,
        Self::Queue,
        Self::Core,
        Self::Scale,
        Self::Churn,
        Self::Sync,
        Self::Exact,
        Self::OneQueue,
        Self::Crowd,
        Self::Restart,
        Self::Rules,
        Self::Tap,
        Self::Traces,
        Self::Auth,
    ];
}

/// Measures these parts.
pub async fn run(parts: &[Part], plan: &Plan) -> Result<Report, Failure> {
    let mut report = Report::default();
    if let Some(note) = busy() {
        report.note(note);
    }
    for part in parts {
        match part {
            Part::Cost => cost::measure(plan, &mut report).await?,
            Part::Queue => queue::measure(plan, &mut report).await?,
            Part::Core => core::measure(plan, &mut report).await?,
            Part::Scale => scale::measure(plan, &mut report).await?,
            Part::Churn => churn::measure(plan, &mut report).await?,
            Part::Sync => sync::measure(plan, &mut report).await?,
            Part::Exact => exact::measure(plan, &mut report).await?,
            Part::OneQueue => one_queue::measure(plan, &mut report).await?,
            Part::Crowd => crowd::measure(plan, &mut report).await?,
            Part::Restart => restart::measure(plan, &mut report).await?,
            Part::Rules => rules::measure(plan, &mut report).await?,
            Part::Tap => tap::measure(plan, &mut report).await?,
            Part::Traces => traces::measure(plan, &mut report).await?,
            Part::Auth => auth::measure(plan, &mut report).await?,
        }
    }
    Ok(report)
}

/// What else the machine did just before, if it was much.
fn busy() -> Option<String> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = text.split(' ').next()?.parse().ok()?;
    let cores = std::thread::available_parallelism().ok()?;
    (load > 0.5)
        .then(|| format!("the machine was busy before this run: load {load} on {cores} cores"))
}

/// Says on standard error what is being done.
fn progress(what: &str) {
    eprintln!("bench: {what}");
}

/// A directory for one part, gone with it.
fn directory() -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("mesh-bench-").tempdir()
}
