//! A connection to the broker.

use std::time::Duration;

use lapin::{Channel, Connection, ConnectionProperties};

use super::{
    Options,
    problem::{Problem, WITHIN, within},
};

/// A good-bye that takes longer than this is left out.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// A connection with one channel.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) channel: Channel,
}

impl Link {
    /// `role` is shown in the broker's list of connections.
    pub(super) async fn open(options: &Options, role: &str) -> Result<Self, Problem> {
        let limit = u64::try_from(WITHIN.as_millis()).unwrap_or(u64::MAX);
        let what = format!("connecting to {}", options.address());
        let name = format!("meshd {} {role}", options.node);
        // Never recovered by itself: a stream would begin again where it began.
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = lapin::runtime::default_runtime()?;
        let connecting = Connection::connect_uri_with_config(
            options.uri(limit),
            properties,
            options.tls(),
            runtime,
        );
        let connection = within(&what, connecting).await?;
        let channel = within("opening a channel", connection.create_channel()).await?;
        Ok(Self {
            connection,
            channel,
        })
    }

    /// Says good-bye, if the broker listens.
    pub(super) async fn close(self) {
        let closing = self.connection.close(200, "done".into());
        // Whatever comes of it, the connection is gone after this.
        let _ = tokio::time::timeout(CLOSE_WITHIN, closing).await;
    }
}
