//! A connection to the broker.

use std::{fmt, future::Future, time::Duration};

use lapin::{
    Channel, Connection, ConnectionProperties,
    options::ConfirmSelectOptions,
    tcp::{OwnedIdentity, OwnedTLSConfig},
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo},
};
use tokio::time::timeout;

use crate::config::Broker as Config;

/// Whatever the broker is asked for, it has this long.
const WITHIN: Duration = Duration::from_secs(10);
/// A good-bye that takes longer than this is left out.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// What ends a session, in words for operators.
#[derive(Clone, Debug)]
pub(super) struct Problem(String);

impl Problem {
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<lapin::Error> for Problem {
    fn from(error: lapin::Error) -> Self {
        Self(error.to_string())
    }
}

/// Asks the broker for something.
pub(super) async fn within<T, E: Into<Problem>>(
    what: &str,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, Problem> {
    match timeout(WITHIN, asked).await {
        Ok(answer) => answer.map_err(|error| Problem(format!("{what}: {}", error.into()))),
        Err(_) => Err(Problem(format!("{what}: no answer within {WITHIN:?}"))),
    }
}

/// A connection with one channel.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) channel: Channel,
}

impl Link {
    /// `role` is shown in the broker's list of connections.
    pub(super) async fn open(config: &Config, role: &str) -> Result<Self, Problem> {
        let what = format!("connecting to {}:{}", config.host, config.port);
        let name = format!("{} {role}", config.node);
        // Never recovered by itself: nobody would know what was lost.
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = lapin::runtime::default_runtime()?;
        let connecting =
            Connection::connect_uri_with_config(uri(config), properties, tls(config), runtime);
        let connection = within(&what, connecting).await?;
        let channel = within("opening a channel", connection.create_channel()).await?;
        Ok(Self {
            connection,
            channel,
        })
    }

    /// What is published is confirmed from now on.
    pub(super) async fn confirm(&self) -> Result<(), Problem> {
        let select = self.channel.confirm_select(ConfirmSelectOptions::default());
        within("asking for confirms", select).await
    }

    /// Says good-bye, if the broker listens.
    pub(super) async fn close(&self) {
        let closing = self.connection.close(200, "done".into());
        // Whatever comes of it, the connection is gone after this.
        let _ = timeout(CLOSE_WITHIN, closing).await;
    }
}

fn uri(config: &Config) -> AMQPUri {
    AMQPUri {
        scheme: match config.tls {
            None => AMQPScheme::AMQP,
            Some(_) => AMQPScheme::AMQPS,
        },
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: config.user.clone(),
                password: config.password.expose().to_owned(),
            },
            host: config.host.clone(),
            port: config.port,
        },
        vhost: config.vhost.clone(),
        query: AMQPQueryString {
            heartbeat: Some(config.heartbeat_s),
            connection_timeout: u64::try_from(WITHIN.as_millis()).ok(),
            ..AMQPQueryString::default()
        },
    }
}

fn tls(config: &Config) -> OwnedTLSConfig {
    let tls = config.tls.clone().unwrap_or_default();
    OwnedTLSConfig {
        identity: tls.identity.map(|(chain, key)| OwnedIdentity::PKCS8 {
            pem: chain.into_bytes(),
            key: key.expose().as_bytes().to_vec(),
        }),
        cert_chain: tls.ca,
    }
}
