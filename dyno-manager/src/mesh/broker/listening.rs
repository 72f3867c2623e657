//! A session: events as they come, and what ends it.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use futures_util::{Stream, StreamExt as _};
use lapin::{
    Acker, Consumer, Event as Happened,
    message::Delivery,
    options::{BasicAckOptions, BasicRejectOptions},
};

use super::{
    link::{Link, Problem, within},
    lock,
    message::{Known, event},
    outlet::Outlet,
    queue::consume,
    unreachable,
};
use crate::{
    config::Broker as Config,
    mesh::{Error, Event, Events},
};

type Connection = Box<dyn Stream<Item = Happened> + Send + Unpin>;

/// See the module's documentation.
pub(crate) struct Listening {
    links: [Link; 2],
    /// What happens to the connections.
    connection: Connection,
    outlet: Arc<Outlet>,
    consumer: Consumer,
    /// Events that waited in the queue before this session.
    old: u32,
    known: Arc<Mutex<Known>>,
    /// Of the event that is being passed on.
    acker: Option<Acker>,
    at_end: Box<dyn Fn() + Send>,
}

impl Listening {
    pub(super) async fn open(
        config: &Config,
        apps: &[String],
        publishing: Link,
        known: Arc<Mutex<Known>>,
    ) -> Result<Self, Problem> {
        let reading = Link::open(config, "listens").await?;
        let (consumer, old) = consume(&reading.channel, config, apps).await?;
        let links = [publishing, reading];
        let [publishing, reading] = &links;
        let outlet = Outlet::new(publishing.channel.clone());
        let happens = futures_util::stream::select(
            publishing.connection.events_listener(),
            reading.connection.events_listener(),
        );
        Ok(Self {
            connection: Box::new(happens),
            outlet: Arc::new(outlet),
            links,
            consumer,
            old,
            known,
            acker: None,
            at_end: Box::new(|| {}),
        })
    }

    pub(super) fn outlet(&self) -> Arc<Outlet> {
        self.outlet.clone()
    }

    /// What to do when the session is over.
    pub(super) fn at_end(&mut self, action: impl Fn() + Send + 'static) {
        self.at_end = Box::new(action);
    }

    async fn listen(&mut self) -> Result<Event, Problem> {
        // The one before has been passed on.
        if let Some(acker) = self.acker.take() {
            ack(&acker).await?;
        }
        loop {
            tokio::select! {
                delivery = self.consumer.next() => {
                    let ended = || Problem::new("the queue was deleted");
                    let delivery = delivery.ok_or_else(ended)??;
                    if let Some(event) = self.hear(&delivery).await? {
                        self.acker = Some(delivery.acker);
                        return Ok(event);
                    }
                }
                happened = self.connection.next() => match happened {
                    Some(Happened::ConnectionBlocked(why)) => {
                        tracing::warn!("nothing can be said: the broker is short of resources: {why}");
                        self.outlet.set_blocked(true);
                    }
                    Some(Happened::ConnectionUnblocked) => self.outlet.set_blocked(false),
                    Some(Happened::Error(error)) => return Err(error.into()),
                    Some(_) => {}
                    None => return Err(Problem::new("the connection ended")),
                },
                problem = self.outlet.failed() => return Err(problem),
            }
        }
    }

    /// The event, if it is one to be passed on; else the message is done with.
    async fn hear(&mut self, delivery: &Delivery) -> Result<Option<Event>, Problem> {
        let is_old = self.old > 0 || delivery.redelivered;
        self.old = self.old.saturating_sub(1);
        let properties = &delivery.properties;
        let text = |text: &Option<lapin::types::ShortString>| {
            text.as_ref().map(|text| text.as_str().to_owned())
        };
        let kind = text(properties.kind());
        let content_type = text(properties.content_type());
        let event = match event(kind.as_deref(), content_type.as_deref(), &delivery.data) {
            Ok(event) => event,
            Err(why) => {
                let key = delivery.routing_key.as_str();
                tracing::warn!(key, "a message is no event, and a dead letter now: {why}");
                let reject = BasicRejectOptions { requeue: false };
                within("rejecting a message", delivery.acker.reject(reject)).await?;
                return Ok(None);
            }
        };
        let id = text(properties.message_id());
        let again = lock(&self.known).again(id.as_deref());
        // A hint says how it was.
        let is_stale = is_old && matches!(event, Some(Event::Scale { .. }));
        match event {
            Some(event) if !again && !is_stale => Ok(Some(event)),
            _ => ack(&delivery.acker).await.map(|()| None),
        }
    }
}

async fn ack(acker: &Acker) -> Result<(), Problem> {
    let acked = acker.ack(BasicAckOptions::default());
    within("acknowledging an event", acked).await.map(drop)
}

impl Events for Listening {
    async fn next(&mut self) -> Result<Event, Error> {
        match self.listen().await {
            Ok(event) => Ok(event),
            Err(problem) => {
                (self.at_end)();
                let [publishing, reading] = &self.links;
                tokio::join!(publishing.close(), reading.close());
                Err(unreachable(problem))
            }
        }
    }
}

/// Nobody says anything over a session that is over.
impl Drop for Listening {
    fn drop(&mut self) {
        (self.at_end)();
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listening")
    }
}
