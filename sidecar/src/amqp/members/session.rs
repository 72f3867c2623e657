//! A session with the broker about members: from a connection to what ends it.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use lapin::{BasicProperties, Channel, Event, options::BasicPublishOptions};
use members::Entry;
use tokio::time::{sleep_until, timeout};

use super::{
    message::{self, KIND},
    trail::{Step, Trail},
};
use crate::{
    amqp::{
        Options,
        connect::Link,
        consume::{Delivered, Feed},
        meaning::PROTOBUF,
        problem::Problem,
        topology::declare_members,
    },
    convert::members_entry_to_bytes,
    driver::Driver,
};

/// Entries that may be under way to here.
const PREFETCH: u16 = 500;
/// The entry that is resumed at is at hand, or never comes.
const FIRST_WITHIN: Duration = Duration::from_secs(2);
/// A broker that does not take an entry within this does not work.
const WRITE_WITHIN: Duration = Duration::from_secs(1);
/// So many ticks without a single entry: nothing of what is written comes back.
const MOST_UNHEARD: u32 = 12;

/// What sessions have in common.
pub(super) struct Session<'a> {
    options: &'a Options,
    driver: &'a Arc<Driver>,
    stream: String,
    trail: Trail,
    entries: u64,
    /// Ticks since the last one.
    unheard: u32,
}

impl<'a> Session<'a> {
    pub(super) fn new(options: &'a Options, driver: &'a Arc<Driver>, stream: String) -> Self {
        Self {
            options,
            driver,
            stream,
            trail: Trail::default(),
            entries: 0,
            unheard: 0,
        }
    }

    /// How many entries were read.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// Connects, and goes on until something goes wrong; `None`: until `stopped`.
    pub(super) async fn run(
        &mut self,
        mut stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> Option<Problem> {
        let opened = tokio::select! {
            opened = Link::open(self.options, "is a member") => opened,
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
        declare_members(&link.channel, &self.stream).await?;
        let mut events = link.connection.events_listener();
        let from = self.trail.resume();
        let mut feed = Feed::open(&link.channel, &self.stream, from, PREFETCH).await?;
        match self.trail.is_resuming() {
            true => self.resume(&mut feed).await?,
            // Whatever it writes from now on, it reads everything from before that.
            false => self.driver.begin_membership(),
        }
        self.driver.set_members_problem(None);
        self.unheard = 0;
        let mut blocked = false;
        loop {
            self.write(&link.channel, blocked).await?;
            let driver = self.driver;
            tokio::select! {
                delivered = feed.next(), if !blocked => self.hear(&delivered?)?,
                () = due(driver), if !blocked => self.tick()?,
                () = driver.members_to_write() => {}
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(why)) => {
                        blocked = true;
                        let why = format!("the broker is short of resources: {why}");
                        driver.set_members_problem(Some(why.into()));
                    }
                    Some(Event::ConnectionUnblocked) => {
                        blocked = false;
                        driver.set_members_problem(None);
                    }
                    Some(Event::Error(error)) => return Err(error.into()),
                    Some(_) => {}
                    None => return Err(Problem::new("the connection ended")),
                },
            }
        }
    }

    /// Finds the entry that was the last one.
    async fn resume(&mut self, feed: &mut Feed) -> Result<(), Problem> {
        match timeout(FIRST_WITHIN, feed.next()).await {
            Ok(delivered) => self.hear(&delivered?),
            Err(_) => Err(self.lost("it ends before the last entry that was read")),
        }
    }

    fn hear(&mut self, delivered: &Delivered) -> Result<(), Problem> {
        self.unheard = 0;
        let message = delivered.message();
        match self.trail.see(delivered.offset, message.mark()) {
            Step::Next => {}
            Step::Again => return Ok(()),
            Step::Lost(why) => return Err(self.lost(why)),
        }
        self.entries += 1;
        match message::entry(&message) {
            Ok(entry) => self.driver.members_entry(delivered.offset, &entry),
            Err(problem) => {
                let place = delivered.offset;
                tracing::debug!(place, "no entry about members: {problem}");
                self.driver.count_members_skipped();
            }
        }
        Ok(())
    }

    /// The next session begins anew.
    fn lost(&mut self, why: &str) -> Problem {
        self.trail.forget();
        Problem::new(format!("{why}: this sidecar joins anew"))
    }

    fn tick(&mut self) -> Result<(), Problem> {
        self.driver.members_timeout();
        self.unheard += 1;
        match self.unheard > MOST_UNHEARD {
            true => Err(Problem::new("nothing comes back of what is written")),
            false => Ok(()),
        }
    }

    /// Writes what there is. What a broker does not take is lost: it would come too
    /// late.
    async fn write(&self, channel: &Channel, blocked: bool) -> Result<(), Problem> {
        while let Some(entry) = self.driver.next_members_entry() {
            if !blocked {
                self.publish(channel, &entry).await?;
            }
        }
        Ok(())
    }

    async fn publish(&self, channel: &Channel, entry: &Entry) -> Result<(), Problem> {
        let properties = BasicProperties::default()
            .with_content_type(PROTOBUF.into())
            .with_type(KIND.into());
        let body = members_entry_to_bytes(entry);
        let published = channel.basic_publish(
            "".into(),
            (&*self.stream).into(),
            BasicPublishOptions::default(),
            &body,
            properties,
        );
        match timeout(WRITE_WITHIN, published).await {
            Ok(published) => published
                .map(drop)
                .map_err(|error| Problem::from(error).while_("writing an entry")),
            Err(_) => Err(Problem::new(format!(
                "the broker did not take an entry within {WRITE_WITHIN:?}"
            ))),
        }
    }
}

/// Returns when time has something to do.
async fn due(driver: &Driver) {
    match driver.members_due() {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
