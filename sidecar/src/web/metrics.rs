//! Figures for Prometheus; docs/metrics.md has them all.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use mesh::AppFigures;
use prometheus_client::{encoding::text, registry::Registry};
use tokio::sync::Mutex;

use crate::driver::Driver;
use look::Look;

pub(super) use apps::status;

mod apps;
mod look;
mod process;
mod shared;
mod sheet;

/// As Prometheus asks for it, and everything that can read its older format.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Looks when it is asked.
pub(super) struct Scraper {
    driver: Arc<Driver>,
    node: Arc<str>,
    /// Seconds since the epoch.
    started: f64,
    /// One after the other: each is some megabytes.
    turn: Mutex<()>,
}

impl Scraper {
    pub(super) fn new(driver: Arc<Driver>, node: Arc<str>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let started = now.unwrap_or_default().saturating_sub(driver.up());
        Self {
            driver,
            node,
            started: started.as_secs_f64(),
            turn: Mutex::new(()),
        }
    }

    async fn scrape(&self) -> Option<String> {
        let _turn = self.turn.lock().await;
        let look = Look::take(&self.driver, &self.node, self.started).await;
        // Some milliseconds of work, and others are served on this thread.
        let text = tokio::task::spawn_blocking(move || {
            let mut registry = Registry::default();
            registry.register_collector(Box::new(look));
            let mut text = String::new();
            text::encode(&mut text, &registry).ok().map(|()| text)
        });
        text.await.ok().flatten()
    }
}

pub(super) async fn get(State(scraper): State<Arc<Scraper>>) -> Response {
    match scraper.scrape().await {
        Some(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What the apps without figures of their own are doing.
fn add(all: &mut AppFigures, app: &AppFigures) {
    all.in_flight = all.in_flight.saturating_add(app.in_flight);
    all.elsewhere = all.elsewhere.saturating_add(app.elsewhere);
    all.waiting = all.waiting.saturating_add(app.waiting);
    all.oldest_wait = all.oldest_wait.max(app.oldest_wait);
    all.capacity = match (all.capacity, app.capacity) {
        (Some(all), Some(more)) => Some(all.saturating_add(more)),
        _ => None,
    };
    all.dynos.add(&app.dynos);
}
