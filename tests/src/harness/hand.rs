//! What a person does to the broker.

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::Delivery,
    options::{
        BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
        QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
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

    /// A queue of this connection's own that gets what is published with such keys.
    pub async fn bind(&self, exchange: &str, key: &str) -> String {
        let own = QueueDeclareOptions {
            exclusive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = self
            .channel
            .queue_declare("".into(), own, FieldTable::default())
            .await
            .expect("declared");
        let name = queue.name().to_string();
        self.channel
            .queue_bind(
                name.as_str().into(),
                exchange.into(),
                key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .expect("bound");
        name
    }

    /// Messages that wait in a queue.
    pub async fn waiting(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let found = self
            .channel
            .queue_declare(queue.into(), passive, FieldTable::default())
            .await
            .expect("a queue");
        found.message_count()
    }

    /// Takes the next message of a queue, as it is.
    pub async fn take_whole(&self, queue: &str) -> Option<Delivery> {
        let got = self
            .channel
            .basic_get(queue.into(), BasicGetOptions { no_ack: true })
            .await
            .expect("a queue")?;
        Some(got.delivery)
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
        let delivery = self.take_whole(queue).await?;
        let headers = delivery.properties.headers().clone();
        let reason = headers.and_then(|headers| match headers.inner().get("x-mesh-reason") {
            Some(AMQPValue::LongString(reason)) => Some(reason.to_string()),
            _ => None,
        });
        Some(Letter {
            body: delivery.data.clone(),
            reason: reason.unwrap_or_default(),
        })
    }
}
