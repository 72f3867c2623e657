//! A session with the broker about requests: from a connection to what ends it.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use lapin::{
    Channel, Confirmation, Event,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::time::interval;

use super::message::{properties, routing_key};
use crate::{
    amqp::{
        Options,
        connect::Link,
        problem::{Problem, within},
        topology::declare_events,
    },
    convert::tap_event_to_bytes,
    driver::{Driver, Told},
};

/// Messages that are not confirmed yet, at most; others wait, and are lost if it takes
/// long.
const WINDOW: usize = 256;
/// Whoever has a queue that takes longer holds up everybody.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

type Confirm = (u64, Result<Confirmation, lapin::Error>);
type Confirms = FuturesUnordered<Pin<Box<dyn Future<Output = Confirm>>>>;

/// What sessions have in common.
pub(super) struct Session<'a> {
    options: &'a Options,
    driver: &'a Arc<Driver>,
    exchange: String,
    /// When each was published that is not confirmed.
    outstanding: BTreeMap<u64, Instant>,
    next: u64,
    confirmed: u64,
    /// Somebody's queue has refused one in this session.
    refused: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(options: &'a Options, driver: &'a Arc<Driver>, exchange: String) -> Self {
        Self {
            options,
            driver,
            exchange,
            outstanding: BTreeMap::new(),
            next: 0,
            confirmed: 0,
            refused: false,
        }
    }

    /// How many messages the broker has taken.
    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Connects, and goes on until no app wants it any more, or something goes wrong.
    pub(super) async fn run(&mut self) -> Result<(), Problem> {
        let link = Link::open(self.options, "tells requests").await?;
        let ended = self.work(&link).await;
        link.close().await;
        ended
    }

    async fn work(&mut self, link: &Link) -> Result<(), Problem> {
        let channel = &link.channel;
        declare_events(channel, &self.exchange).await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        within("asking for confirms", select).await?;
        let mut events = link.connection.events_listener();
        let mut confirms = Confirms::new();
        (self.refused, self.outstanding) = (false, BTreeMap::new());
        // Requests are tapped from here on, and no longer than this.
        let mut feed = self.driver.feed();
        let mut looks = interval(LOOK_EVERY);
        let mut blocked = false;
        loop {
            let is_free = !blocked && self.outstanding.len() < WINDOW;
            tokio::select! {
                told = feed.next(), if is_free => match told {
                    Some(told) => self.publish(channel, told, &mut confirms).await?,
                    None => return Ok(()),
                },
                Some(confirm) = confirms.next() => self.hear(confirm)?,
                _ = looks.tick(), if !blocked => self.look()?,
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(_)) => blocked = true,
                    Some(Event::ConnectionUnblocked) => blocked = false,
                    Some(Event::Error(error)) => return Err(error.into()),
                    Some(_) => {}
                    None => return Err(Problem::new("the connection ended")),
                },
            }
        }
    }

    async fn publish(
        &mut self,
        channel: &Channel,
        told: Told,
        confirms: &mut Confirms,
    ) -> Result<(), Problem> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let form = self.options.tap_form;
        let key = routing_key(&told);
        let body = tap_event_to_bytes(told.news, form);
        let body = body.map_err(|error| Problem::new(error.to_string()))?;
        let published = channel.basic_publish(
            (&*self.exchange).into(),
            key.as_str().into(),
            // Not mandatory: that nobody listens is the rule.
            BasicPublishOptions::default(),
            &body,
            properties(form, &self.options.node, now.as_secs()),
        );
        let confirm = within("telling a request", published).await?;
        let number = self.next;
        self.next += 1;
        self.outstanding.insert(number, Instant::now());
        confirms.push(Box::pin(async move { (number, confirm.await) }));
        Ok(())
    }

    fn hear(&mut self, (number, confirmation): Confirm) -> Result<(), Problem> {
        self.outstanding.remove(&number);
        if matches!(confirmation?, Confirmation::Nack(_))
            && !std::mem::replace(&mut self.refused, true)
        {
            tracing::warn!("requests are left out: a queue of them takes no more");
        }
        self.confirmed += 1;
        Ok(())
    }

    fn look(&self) -> Result<(), Problem> {
        match self.outstanding.values().min() {
            Some(oldest) if oldest.elapsed() > CONFIRM_WITHIN => Err(Problem::new(format!(
                "a request was not confirmed within {CONFIRM_WITHIN:?}: a queue of them is stuck"
            ))),
            _ => Ok(()),
        }
    }
}
