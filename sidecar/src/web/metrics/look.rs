//! One look at everything, taken in steps.

use std::sync::Arc;

use mesh::{AppFigures, DynoCounts, Totals};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::{add, apps, process, shared, sheet::Sheet};
use crate::driver::{Counted, Driver, EVENTS, LoadView, LogView, MembersView, TraceCounts};

/// What was seen.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) node: Arc<str>,
    pub(super) started: f64,
    pub(super) totals: Totals,
    pub(super) ready: bool,
    pub(super) events: [u64; EVENTS.len()],
    pub(super) commits: [u64; 2],
    /// Kind, result, how many.
    pub(super) credentials: Vec<((&'static str, &'static str), u64)>,
    /// Of a sidecar that traces.
    pub(super) traces: Option<TraceCounts>,
    pub(super) log: Option<LogView>,
    pub(super) load: Option<LoadView>,
    pub(super) members: MembersView,
    /// Those with figures of their own.
    pub(super) apps: Vec<AppFigures>,
    /// The others together.
    pub(super) rest: AppFigures,
    /// What became of requests, by what the app is called here.
    pub(super) requests: Vec<(Box<str>, Counted)>,
}

/// All apps without figures of their own. No app can have this name, nor the next.
pub(super) const OTHERS: &str = "_other";
/// No app at all.
const NOBODY: &str = "_none";

impl Look {
    pub(super) async fn take(driver: &Driver, node: &Arc<str>, started: f64) -> Self {
        let mut rest = AppFigures {
            name: OTHERS.into(),
            in_flight: 0,
            elsewhere: 0,
            waiting: 0,
            oldest_wait: std::time::Duration::ZERO,
            capacity: Some(0),
            dynos: DynoCounts::default(),
        };
        let apps = survey(driver, &mut rest).await;
        let (totals, ready) = driver.totals();
        Self {
            node: node.clone(),
            started,
            totals,
            ready,
            events: driver.events(),
            commits: driver.commits(),
            credentials: driver.verifier().counts().collect(),
            traces: driver.trace_counts(),
            log: driver.changes().log(),
            load: driver.load_view(),
            members: driver.members_view(),
            requests: requests(driver, &apps),
            apps,
            rest,
        }
    }
}

/// The apps with figures of their own, by name.
async fn survey(driver: &Driver, rest: &mut AppFigures) -> Vec<AppFigures> {
    let mut apps = Vec::new();
    let mut after = None;
    loop {
        let step = driver.survey(after.as_deref());
        if let Some(mut seats) = driver.seats() {
            for app in step.apps {
                match seats.has_seat(&app.name) {
                    true => apps.push(app),
                    false => add(rest, &app),
                }
            }
        }
        after = step.next;
        if after.is_none() {
            return apps;
        }
        // Other callers have their turn between the steps.
        tokio::task::yield_now().await;
    }
}

fn requests(driver: &Driver, apps: &[AppFigures]) -> Vec<(Box<str>, Counted)> {
    let Some(mut seats) = driver.seats() else {
        return Vec::new();
    };
    seats.retain(|name| apps.binary_search_by(|app| (*app.name).cmp(name)).is_ok());
    let own = seats.apps().into_iter();
    let rest = [(OTHERS, seats.others()), (NOBODY, seats.nobody())];
    own.chain(rest)
        .map(|(app, counted)| (app.into(), counted.clone()))
        .collect()
}

impl Collector for Look {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut sheet = Sheet(encoder);
        process::write(self, &mut sheet)?;
        apps::write(self, &mut sheet)?;
        shared::log(self.log.as_ref(), &mut sheet)?;
        shared::load(self.load.as_ref(), &mut sheet)?;
        shared::members(&self.members, &self.totals, &mut sheet)
    }
}
