//! Both connections of a session.

use lapin::{Event, options::ConfirmSelectOptions};

use super::{
    Options,
    connect::Link,
    problem::{Problem, within},
    topology::{self, Names},
};
use futures_util::StreamExt as _;

/// One to read and one to publish: when the broker blocks publishers, nothing is
/// written on their connections, acknowledgements included.
pub(super) struct Links {
    pub(super) reading: Link,
    pub(super) publishing: Link,
}

impl Links {
    /// Connects both and makes what is missing in the broker.
    pub(super) async fn open(options: &Options, names: &Names) -> Result<Self, Problem> {
        let publishing = Link::open(options, "publishes").await?;
        topology::declare(&publishing.channel, names).await?;
        // A channel of its own: a failure closes that.
        let opened = publishing.connection.create_channel();
        let channel = within("opening a channel", opened).await?;
        if let Err(problem) = topology::declare_dead(&channel, names).await {
            tracing::warn!("what is no entry is not copied: {problem}");
        }
        let confirms = publishing
            .channel
            .confirm_select(ConfirmSelectOptions::default());
        within("asking for confirms", confirms).await?;
        let reading = Link::open(options, "reads").await?;
        Ok(Self {
            reading,
            publishing,
        })
    }

    /// Says whether publishers are blocked, until a connection ends.
    pub(super) async fn watch(&self, blocked: impl Fn(Option<String>)) -> Problem {
        let mut publishing = self.publishing.connection.events_listener();
        let mut reading = self.reading.connection.events_listener();
        loop {
            let event = tokio::select! {
                event = publishing.next() => event,
                event = reading.next() => event,
            };
            match event {
                Some(Event::ConnectionBlocked(why)) => blocked(Some(why)),
                Some(Event::ConnectionUnblocked) => blocked(None),
                Some(Event::Error(error)) => return error.into(),
                Some(_) => {}
                None => return Problem::new("the connection ended"),
            }
        }
    }

    pub(super) async fn close(self) {
        tokio::join!(self.reading.close(), self.publishing.close());
    }
}
