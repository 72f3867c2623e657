//! Copies of what was no entry, for people to look at.

use lapin::{
    BasicProperties, Channel,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable},
};

use super::{
    meaning::{Bad, Message},
    problem::{Problem, within},
    topology::text,
};

/// Longest copy, in bytes; a longer message is cut.
const MOST: usize = 128 << 10;
/// Longest detail, in bytes.
const DETAIL: usize = 1_024;

/// One copy.
#[derive(Debug)]
pub(super) struct DeadLetter {
    body: Vec<u8>,
    properties: BasicProperties,
    reason: &'static str,
}

impl DeadLetter {
    pub(super) fn new(message: &Message<'_>, bad: &Bad, offset: u64, node: &str) -> Self {
        let mut headers = FieldTable::default();
        let detail: String = bad.detail.chars().take(DETAIL / 4).collect();
        headers.insert("x-mesh-reason".into(), text(bad.reason));
        headers.insert("x-mesh-detail".into(), text(&detail));
        headers.insert("x-mesh-node".into(), text(node));
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        headers.insert("x-mesh-offset".into(), AMQPValue::LongLongInt(offset));
        let mut properties = BasicProperties::default()
            .with_headers(headers)
            .with_delivery_mode(2);
        if let Some(kind) = message.content_type {
            properties = properties.with_content_type(kind.into());
        }
        if let Some(kind) = message.kind {
            properties = properties.with_type(kind.into());
        }
        if let Some(id) = message.message_id {
            properties = properties.with_message_id(id.into());
        }
        let body = message.body.get(..MOST).unwrap_or(message.body);
        Self {
            body: body.to_vec(),
            properties,
            reason: bad.reason,
        }
    }

    /// Nobody waits until it has arrived: it is a copy.
    pub(super) async fn publish(self, channel: &Channel, exchange: &str) -> Result<(), Problem> {
        let published = channel.basic_publish(
            exchange.into(),
            self.reason.into(),
            BasicPublishOptions::default(),
            &self.body,
            self.properties,
        );
        within("copying a dead letter", published).await.map(drop)
    }
}
