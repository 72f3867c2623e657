//! What a person does to the broker.

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeleteOptions},
    types::AMQPValue,
};

/// A connection to a broker.
pub struct Hand {
    _connection: Connection,
    channel: Channel,
}

/// A message of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it says.
    pub body: Vec<u8>,
    /// The header `x-mesh-reason`.
    pub reason: String,
}

impl Hand {
    /// Connects.
    pub async fn connect(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default())
            .await
            .expect("the broker is there");
        let channel = connection.create_channel().await.expect("a channel");
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .expect("confirms");
        Self {
            _connection: connection,
            channel,
        }
    }

    /// Publishes a message as JSON, as `rabbitmqadmin publish` does.
    pub async fn publish(&self, exchange: &str, key: &str, kind: &str, id: &str, body: &str) {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_type(kind.into())
            .with_message_id(id.into())
            .with_delivery_mode(2);
        self.publish_with(exchange, key, properties, body.as_bytes())
            .await;
    }

    /// Publishes anything.
    pub async fn publish_with(
        &self,
        exchange: &str,
        key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let published = self
            .channel
            .basic_publish(exchange.into(), key.into(), options, body, properties)
            .await
            .expect("published");
        let confirmation = published.await.expect("confirmed");
        assert!(confirmation.is_ack(), "{confirmation:?}");
        assert!(confirmation.take_message().is_none(), "it went nowhere");
    }

    /// Deletes a queue.
    pub async fn delete(&self, queue: &str) {
        self.channel
            .queue_delete(queue.into(), QueueDeleteOptions::default())
            .await
            .expect("deleted");
    }

    /// Takes the next message of a queue.
    pub async fn take(&self, queue: &str) -> Option<Letter> {
        let got = self
            .channel
            .basic_get(queue.into(), BasicGetOptions { no_ack: true })
            .await
            .expect("a queue")?;
        let headers = got.delivery.properties.headers().clone();
        let reason = headers.and_then(|headers| match headers.inner().get("x-mesh-reason") {
            Some(AMQPValue::LongString(reason)) => Some(reason.to_string()),
            _ => None,
        });
        Some(Letter {
            body: got.delivery.data.clone(),
            reason: reason.unwrap_or_default(),
        })
    }
}
