//! What the page asks for, as JSON. Only what it shows: a page of apps, one app.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use mesh::AppFigures;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::history::History;
use crate::driver::Driver;

mod app;
mod overview;
mod requests;

/// Apps on a page.
const PAGE: usize = 50;
/// What is so old is looked at again. All who look share it.
const FRESH: Duration = Duration::from_secs(1);

/// All apps, and when they were looked at.
type Survey = (Instant, Arc<[AppFigures]>);

/// What it answers from.
#[derive(Clone)]
pub(super) struct Api {
    driver: Arc<Driver>,
    node: Arc<str>,
    history: History,
    survey: Arc<Mutex<Option<Survey>>>,
}

impl Api {
    pub(super) fn new(driver: Arc<Driver>, node: Arc<str>, history: History) -> Self {
        Self {
            driver,
            node,
            history,
            survey: Arc::default(),
        }
    }

    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/api/overview", get(overview))
            .route("/api/apps", get(apps))
            .route("/api/apps/{name}", get(one))
            .route("/api/apps/{name}/requests", get(requests::get))
            .with_state(self)
    }

    /// All apps, as they were a moment ago.
    async fn survey(&self) -> Arc<[AppFigures]> {
        // Who comes meanwhile waits for it instead of looking, too.
        let mut survey = self.survey.lock().await;
        if let Some((at, apps)) = &*survey
            && at.elapsed() < FRESH
        {
            return apps.clone();
        }
        let mut apps = Vec::new();
        let mut after = None;
        loop {
            let step = self.driver.survey(after.as_deref());
            apps.extend(step.apps);
            after = step.next;
            if after.is_none() {
                break;
            }
            // Other callers have their turn between the steps.
            tokio::task::yield_now().await;
        }
        let apps: Arc<[_]> = apps.into();
        *survey = Some((Instant::now(), apps.clone()));
        apps
    }
}

async fn overview(State(api): State<Api>) -> Response {
    json(&overview::of(&api.driver, &api.node, &api.history))
}

/// Which apps are wanted.
#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(default)]
    search: String,
    #[serde(default)]
    order: Order,
    #[serde(default)]
    page: usize,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    #[default]
    Busy,
    Waiting,
    Name,
}

impl Order {
    /// Greater comes first; among the same, by name.
    fn weight(self, app: &AppFigures) -> (u64, u64) {
        let busy = u64::from(app.in_flight) + u64::from(app.waiting);
        match self {
            Self::Busy => (busy, app.dynos.sum().into()),
            Self::Waiting => (app.waiting.into(), busy),
            Self::Name => (0, 0),
        }
    }
}

async fn apps(State(api): State<Api>, Query(wanted): Query<Wanted>) -> Response {
    let all = api.survey().await;
    let found = all.iter().filter(|app| app.name.contains(&wanted.search));
    let mut found: Vec<&AppFigures> = found.collect();
    // The survey is by name, and this keeps what is equal as it is.
    found.sort_by_key(|app| std::cmp::Reverse(wanted.order.weight(app)));
    let page = found
        .iter()
        .skip(wanted.page.saturating_mul(PAGE))
        .take(PAGE);
    let rows: Vec<_> = page
        .filter_map(|app| api.driver.glance(&app.name, app::IN_ROW))
        .map(|view| app::row(&view))
        .collect();
    json(&serde_json::json!({
        "apps": rows,
        "found": found.len(),
        "page_size": PAGE,
    }))
}

async fn one(State(api): State<Api>, Path(name): Path<String>) -> Response {
    let Some(view) = api.driver.view(&name) else {
        return (StatusCode::NOT_FOUND, "there is no such app\n").into_response();
    };
    let answers = api.driver.seats().and_then(|seats| {
        let apps = seats.apps().into_iter();
        let mut own = apps.filter(|(app, _)| *app == name);
        own.next().map(|(_, counted)| counted.answers.clone())
    });
    let owner = api.driver.owner_of(&name);
    json(&app::whole(
        &view,
        answers.unwrap_or_default(),
        owner.as_deref(),
    ))
}

fn json(value: &serde_json::Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, value.to_string()).into_response()
}
