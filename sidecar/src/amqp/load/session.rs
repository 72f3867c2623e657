//! A session with the broker about load: from a connection to what ends it.

use std::{pin::Pin, sync::Arc, time::Instant};

use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Consumer, Event,
    message::Delivery,
    options::{BasicConsumeOptions, BasicPublishOptions},
    types::FieldTable,
};
use tokio::time::sleep_until;

use super::{
    message::{self, KIND},
    pace::Pace,
    teller::{Message, Teller},
};
use crate::{
    amqp::{
        Options,
        connect::Link,
        meaning::PROTOBUF,
        problem::{Problem, within},
        topology::declare_load,
    },
    driver::Driver,
};

/// What sessions have in common.
pub(super) struct Session<'a> {
    pub(super) options: &'a Options,
    pub(super) driver: &'a Arc<Driver>,
    pub(super) exchange: String,
    pub(super) teller: Teller,
    pub(super) pace: Pace,
    /// Another sidecar has this one's identity, and that was said.
    pub(super) twin: bool,
}

impl Session<'_> {
    /// Connects, and goes on until something goes wrong; `None`: until `stopped`.
    pub(super) async fn run(
        &mut self,
        mut stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> Option<Problem> {
        let opened = tokio::select! {
            opened = Link::open(self.options, "shares load") => opened,
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
        let mut reports = self.listen(&link.channel).await?;
        let mut events = link.connection.events_listener();
        self.note(None);
        // Whoever heard this node before may have missed something.
        self.pace.whole_now(Instant::now());
        let mut blocked = false;
        loop {
            let due = self.pace.due();
            tokio::select! {
                report = reports.next() => match report {
                    Some(report) => self.hear(&report?),
                    None => return Err(Problem::new("the broker ended the reading of load")),
                },
                () = self.driver.untold() => self.pace.untold(),
                () = sleep_until(due.into()), if !blocked => self.tell(&link.channel).await?,
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(why)) => {
                        blocked = true;
                        let why = format!("the broker is short of resources: {why}");
                        self.note(Some(why.into()));
                    }
                    Some(Event::ConnectionUnblocked) => {
                        blocked = false;
                        self.note(None);
                    }
                    Some(Event::Error(error)) => return Err(error.into()),
                    Some(_) => {}
                    None => return Err(Problem::new("the connection ended")),
                },
            }
        }
    }

    async fn listen(&self, channel: &Channel) -> Result<Consumer, Problem> {
        // Of this connection alone: the broker may take a while to notice that the
        // one before is gone.
        let queue = format!("{}.{:016x}", self.exchange, rand::random::<u64>());
        declare_load(channel, &self.exchange, &queue).await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            exclusive: true,
            ..BasicConsumeOptions::default()
        };
        let consumer =
            channel.basic_consume((&*queue).into(), "".into(), options, FieldTable::default());
        within("reading load", consumer).await
    }

    fn hear(&mut self, delivery: &Delivery) {
        let properties = &delivery.properties;
        let kind = properties.kind().as_ref().map(|kind| kind.as_str());
        let report = match message::report(kind, &delivery.data) {
            Ok(report) => report,
            Err(problem) => {
                tracing::debug!("a message about load is skipped: {problem}");
                return self.driver.count_load_skipped();
            }
        };
        if report.node == self.teller.node() {
            if report.epoch != self.teller.epoch() && !std::mem::replace(&mut self.twin, true) {
                tracing::error!(
                    node = %report.name,
                    "another sidecar has a copy of this one's data directory: \
                     they don't share load. Delete one of the copies"
                );
            }
            return;
        }
        let nodes = self.driver.hear_load(report);
        let before = self.pace.interval();
        self.pace.heard(nodes, Instant::now(), rand::random());
        if self.pace.interval() != before {
            self.note(None);
        }
    }

    async fn tell(&mut self, channel: &Channel) -> Result<(), Problem> {
        let now = Instant::now();
        let changes = self.driver.take_untold();
        self.teller.learn(&changes);
        let messages = match self.pace.is_whole_due(now) {
            true => self.teller.whole(),
            false => self.teller.changes(changes),
        };
        let parts = messages.len();
        let nodes = self.driver.node_count();
        self.pace.told(now, nodes, parts, rand::random());
        for message in messages {
            self.publish(channel, message).await?;
        }
        self.driver.count_load_sent(parts);
        Ok(())
    }

    async fn publish(&self, channel: &Channel, Message(body): Message) -> Result<(), Problem> {
        let properties = BasicProperties::default()
            .with_content_type(PROTOBUF.into())
            .with_type(KIND.into());
        let published = channel.basic_publish(
            (&*self.exchange).into(),
            "".into(),
            BasicPublishOptions::default(),
            &body,
            properties,
        );
        within("telling load", published).await.map(drop)
    }

    pub(super) fn note(&self, problem: Option<Arc<str>>) {
        let interval = self.pace.interval();
        self.driver.set_load_standing(interval, problem);
    }
}
