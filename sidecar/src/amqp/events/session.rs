//! A session with the broker about events: from a connection to what ends it.

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
    convert::event_to_json,
    driver::{Announcement, Driver},
};

/// Events that are not confirmed yet, at most; others wait.
const WINDOW: usize = 256;
/// Whoever has a queue that takes longer holds up everybody.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An event that was never confirmed is published so often.
const TRIES: u32 = 3;

type Confirm = (u64, Result<Confirmation, lapin::Error>);
type Confirms = FuturesUnordered<Pin<Box<dyn Future<Output = Confirm>>>>;

/// What sessions have in common.
pub(super) struct Session<'a> {
    options: &'a Options,
    driver: &'a Arc<Driver>,
    exchange: String,
    /// By the number that it was published under.
    outstanding: BTreeMap<u64, Outgoing>,
    next: u64,
    confirmed: u64,
    /// Somebody's queue has refused an event in this session.
    refused: bool,
}

struct Outgoing {
    announcement: Announcement,
    tries: u32,
    published: Instant,
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

    /// How many events the broker has taken.
    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Connects, and goes on until something goes wrong; `None`: until `stopped`.
    pub(super) async fn run(
        &mut self,
        mut stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> Option<Problem> {
        let opened = tokio::select! {
            opened = Link::open(self.options, "tells events") => opened,
            () = &mut stopped => return None,
        };
        let link = match opened {
            Ok(link) => link,
            Err(problem) => return Some(problem),
        };
        let problem = tokio::select! {
            Err(problem) = self.work(&link) => Some(problem),
            () = &mut stopped => None,
        };
        link.close().await;
        problem
    }

    /// Never ends well.
    async fn work(&mut self, link: &Link) -> Result<(), Problem> {
        let channel = &link.channel;
        declare_events(channel, &self.exchange).await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        within("asking for confirms", select).await?;
        let mut events = link.connection.events_listener();
        let mut confirms = Confirms::new();
        self.refused = false;
        self.again(channel, &mut confirms).await?;
        let mut looks = interval(LOOK_EVERY);
        let mut blocked = false;
        loop {
            let is_free = !blocked && self.outstanding.len() < WINDOW;
            tokio::select! {
                announcement = self.driver.next_announcement(), if is_free => {
                    self.publish(channel, announcement, 1, &mut confirms).await?;
                }
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

    /// What the last session left, if it still holds.
    async fn again(&mut self, channel: &Channel, confirms: &mut Confirms) -> Result<(), Problem> {
        for (_, outgoing) in std::mem::take(&mut self.outstanding) {
            let Outgoing {
                announcement,
                tries,
                ..
            } = outgoing;
            if tries < TRIES && self.driver.holds(&announcement) {
                self.publish(channel, announcement, tries + 1, confirms)
                    .await?;
            }
        }
        Ok(())
    }

    async fn publish(
        &mut self,
        channel: &Channel,
        announcement: Announcement,
        tries: u32,
        confirms: &mut Confirms,
    ) -> Result<(), Problem> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let properties = properties(&announcement, &self.options.node, now.as_secs());
        let key = routing_key(&announcement.event);
        let body = event_to_json(&announcement.event);
        let body = body.map_err(|error| Problem::new(error.to_string()))?;
        let number = self.next;
        self.next += 1;
        let outgoing = Outgoing {
            announcement,
            tries,
            published: Instant::now(),
        };
        // Before it is published: it may be, whatever comes of this.
        self.outstanding.insert(number, outgoing);
        let published = channel.basic_publish(
            (&*self.exchange).into(),
            key.as_str().into(),
            // Not mandatory: that nobody listens here is the rule.
            BasicPublishOptions::default(),
            &body,
            properties,
        );
        let confirm = within("telling an event", published).await?;
        confirms.push(Box::pin(async move { (number, confirm.await) }));
        Ok(())
    }

    fn hear(&mut self, (number, confirmation): Confirm) -> Result<(), Problem> {
        let confirmation = confirmation?;
        let outgoing = self.outstanding.remove(&number);
        if let (Confirmation::Nack(_), Some(outgoing)) = (&confirmation, outgoing) {
            let key = routing_key(&outgoing.announcement.event);
            // Those who hear nothing of it would hear of it much too late.
            if !std::mem::replace(&mut self.refused, true) {
                tracing::warn!(key, "events are left out: a queue of them takes no more");
            }
        }
        self.confirmed += 1;
        Ok(())
    }

    fn look(&self) -> Result<(), Problem> {
        let oldest = self.outstanding.values().map(|out| out.published).min();
        match oldest {
            Some(oldest) if oldest.elapsed() > CONFIRM_WITHIN => Err(Problem::new(format!(
                "an event was not confirmed within {CONFIRM_WITHIN:?}: a queue of it is stuck"
            ))),
            _ => Ok(()),
        }
    }
}
