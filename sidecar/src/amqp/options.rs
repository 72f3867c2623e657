//! Which broker, as whom.

use std::{fmt, time::Duration};

use lapin::{
    tcp::{OwnedIdentity, OwnedTLSConfig},
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo},
};

use crate::convert::Form;

/// Everything there is to say about the broker.
#[derive(Clone)]
#[allow(missing_docs, reason = "the configuration says it")]
pub struct Options {
    pub host: String,
    pub port: u16,
    pub vhost: String,
    pub user: String,
    pub password: String,
    /// What the names of everything in the broker begin with.
    pub prefix: String,
    pub heartbeat_s: u16,
    /// `None`: without TLS.
    pub tls: Option<Tls>,
    /// Between two snapshots, whoever writes them.
    pub snapshot_every: Duration,
    /// How requests are written.
    pub tap_form: Form,
    /// This node, for people.
    pub node: String,
}

/// What TLS needs, in PEM.
#[derive(Clone, Default)]
pub struct Tls {
    /// Authorities besides the system's.
    pub ca: Option<String>,
    /// Certificate chain and private key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Options {
    /// Where it is, for people.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn uri(&self, connect_within_ms: u64) -> AMQPUri {
        AMQPUri {
            scheme: match self.tls {
                None => AMQPScheme::AMQP,
                Some(_) => AMQPScheme::AMQPS,
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.user.clone(),
                    password: self.password.clone(),
                },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: Some(self.heartbeat_s),
                connection_timeout: Some(connect_within_ms),
                ..AMQPQueryString::default()
            },
        }
    }

    pub(super) fn tls(&self) -> OwnedTLSConfig {
        let tls = self.tls.clone().unwrap_or_default();
        OwnedTLSConfig {
            identity: tls
                .identity
                .map(|(pem, key)| OwnedIdentity::PKCS8 { pem, key }),
            cert_chain: tls.ca,
        }
    }
}

/// Without what is secret.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broker at {} as {}", self.address(), self.user)
    }
}
