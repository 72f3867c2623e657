//! What a sidecar shows over HTTP.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path};

use super::wait;
use crate::client::{Request, Response};

/// What the sidecar says in its log of where it shows things.
const PLACE: &str = "who looks at http://";

/// Where the sidecar that has written this log shows things: one that was started
/// again has another port.
pub(super) fn address(log: &Path) -> Option<SocketAddr> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let (_, rest) = text.rsplit_once(PLACE)?;
    let word = rest.split(|c: char| !"0123456789.:[]abcdef".contains(c));
    word.into_iter().next()?.parse().ok()
}

/// Labels with their values.
pub type Labels = BTreeMap<String, String>;

/// Figures as they were at one moment.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// The text.
    pub text: String,
    samples: Vec<(String, Labels, f64)>,
}

impl Metrics {
    /// Asks for them.
    pub(super) async fn get(address: SocketAddr) -> Self {
        let answer = look(address, "/metrics").await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        Self::parse(&answer.text())
    }

    /// What this text says, which must be as Prometheus has it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self {
            text: text.to_owned(),
            samples: lines.map(sample).collect(),
        }
    }

    /// The names of all samples.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().map(|(name, ..)| &**name)
    }

    /// All of this name, that have these labels among theirs.
    pub fn all<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = (&'a Labels, f64)> {
        let has = |all: &Labels, (key, value): &(&str, &str)| {
            all.get(*key).is_some_and(|found| found == value)
        };
        self.samples
            .iter()
            .filter(move |(found, all, _)| {
                found == name && labels.iter().all(|label| has(all, label))
            })
            .map(|(_, labels, value)| (labels, *value))
    }

    /// The same added up.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(name, labels).map(|(_, value)| value).sum()
    }

    /// Requests that ended: how many with this app, status and code.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<[String; 3], u64> {
        let rows = self.all("dynomesh_requests_total", &[]);
        rows.map(|(labels, value)| {
            let key = ["app", "status", "error"].map(|key| labels[key].clone());
            (key, value as u64)
        })
        .collect()
    }

    /// Requests of an app that ended.
    #[must_use]
    pub fn requests_of(&self, app: &str) -> u64 {
        self.sum("dynomesh_requests_total", &[("app", app)]) as u64
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').expect("labels have an end");
    let labels = labels.split_terminator("\",").map(|label| {
        let (key, value) = label.split_once("=\"").expect("a label has a value");
        (key.to_owned(), value.trim_end_matches('"').to_owned())
    });
    let value = value.parse().expect("a value is a number");
    (name.to_owned(), labels.collect(), value)
}

/// What is there.
pub(super) async fn look(address: SocketAddr, target: &str) -> Response {
    Request::new(address, "GET", &address.to_string(), target)
        .send()
        .await
}

/// Waits until it is so; the routers tell of requests once a second.
pub(super) async fn until(
    what: &str,
    address: SocketAddr,
    mut check: impl FnMut(&Metrics) -> bool,
) -> Metrics {
    wait::some(wait::LIMIT, what, async || {
        let metrics = Metrics::get(address).await;
        check(&metrics).then_some(metrics)
    })
    .await
}
