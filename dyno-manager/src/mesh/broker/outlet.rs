//! Into the route log, in one session.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use lapin::{BasicProperties, Channel, Confirmation, options::BasicPublishOptions};
use tokio::{sync::watch, time::timeout};

use super::link::{Problem, within};

/// A broker that takes longer to confirm an entry does not work.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Outlet {
    channel: Channel,
    /// The broker takes nothing at the moment, and said so.
    blocked: AtomicBool,
    /// Why the session is over.
    problem: watch::Sender<Option<Problem>>,
}

impl Outlet {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            channel,
            blocked: AtomicBool::new(false),
            problem: watch::channel(None).0,
        }
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Relaxed);
    }

    /// Returns why publishing does not work, when it does not.
    pub(super) async fn failed(&self) -> Problem {
        let mut problem = self.problem.subscribe();
        let failed = problem.wait_for(Option::is_some).await;
        let problem = failed.ok().and_then(|problem| problem.clone());
        problem.unwrap_or_else(|| Problem::new("publishing has ended"))
    }

    /// Returns when it is in the log.
    pub(super) async fn publish(
        &self,
        prefix: &str,
        app: &str,
        id: &str,
        entry: &[u8],
    ) -> Result<(), Problem> {
        if self.blocked.load(Relaxed) {
            return Err(Problem::new("the broker is short of resources"));
        }
        let published = self.try_publish(prefix, app, id, entry).await;
        if let Err(problem) = &published {
            self.problem.send_replace(Some(problem.clone()));
        }
        published
    }

    async fn try_publish(
        &self,
        prefix: &str,
        app: &str,
        id: &str,
        entry: &[u8],
    ) -> Result<(), Problem> {
        let options = BasicPublishOptions {
            // Confirmed is also what went nowhere.
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let properties = BasicProperties::default()
            .with_content_type("application/x-protobuf".into())
            .with_type("route.entry.v1".into())
            .with_message_id(id.into())
            .with_delivery_mode(2);
        let (exchange, key) = (format!("{prefix}.route"), format!("route.app.{app}"));
        let published = self.channel.basic_publish(
            exchange.as_str().into(),
            key.as_str().into(),
            options,
            entry,
            properties,
        );
        let confirm = within("publishing", published).await?;
        match timeout(CONFIRM_WITHIN, confirm).await {
            Ok(confirmation) => taken(confirmation?),
            Err(_) => Err(Problem::new(format!(
                "an entry was not confirmed within {CONFIRM_WITHIN:?}"
            ))),
        }
    }
}

fn taken(confirmation: Confirmation) -> Result<(), Problem> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => Err(Problem::new(
            "an entry came back: there is no route log yet, which the first sidecar makes",
        )),
        Confirmation::Nack(_) => Err(Problem::new("the broker did not store an entry")),
        Confirmation::NotRequested => Err(Problem::new("the broker confirms nothing")),
    }
}
