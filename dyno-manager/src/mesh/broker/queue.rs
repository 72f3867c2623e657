//! The queue of this manager: what was said while it was away waits there.

use lapin::{
    Channel, Consumer, ExchangeKind,
    options::{
        BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};

use super::link::{Problem, within};
use crate::config::Broker as Config;

/// Events that may be under way to here.
const PREFETCH: u16 = 100;
/// Events that wait; sidecars are told that more are not taken.
const LENGTH: i64 = 10_000;
/// A queue that no manager has used for a week goes.
const EXPIRES_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// An event that so many sessions ended on is a dead letter.
const TRIES: i64 = 20;

/// Events as they come, and how many of them were there before.
pub(super) async fn consume(
    channel: &Channel,
    config: &Config,
    apps: &[String],
) -> Result<(Consumer, u32), Problem> {
    let (name, exchange) = (config.queue.as_str(), format!("{}.events", config.prefix));
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = channel.exchange_declare(
        exchange.as_str().into(),
        ExchangeKind::Topic,
        durable,
        FieldTable::default(),
    );
    within(&format!("exchange {exchange}"), declared).await?;
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(name.into(), durable, arguments(&config.prefix));
    let queue = within(&format!("queue {name}"), declared).await?;
    // It may be this manager's own, over a connection that is dead and not missed yet.
    if queue.consumer_count() > 0 {
        return Err(Problem::new(format!(
            "somebody else listens at the queue {name}: each manager has one of its own (broker-queue)"
        )));
    }
    for app in apps {
        let bound = channel.queue_bind(
            name.into(),
            exchange.as_str().into(),
            format!("app.{app}.*").as_str().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        within(&format!("binding of {name}"), bound).await?;
    }
    let qos = channel.basic_qos(PREFETCH, BasicQosOptions::default());
    within("limiting what is under way", qos).await?;
    let consumer = channel.basic_consume(
        name.into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let consumer = within(&format!("listening at {name}"), consumer).await?;
    Ok((consumer, queue.message_count()))
}

fn arguments(prefix: &str) -> FieldTable {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut arguments = FieldTable::default();
    for (name, value) in [
        ("x-queue-type", text("quorum")),
        ("x-max-length", AMQPValue::LongLongInt(LENGTH)),
        ("x-overflow", text("reject-publish")),
        ("x-expires", AMQPValue::LongLongInt(EXPIRES_MS)),
        ("x-delivery-limit", AMQPValue::LongLongInt(TRIES)),
        // Two who came at the same moment would have half of the events each.
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-dead-letter-exchange", text(&format!("{prefix}.dlx"))),
        ("x-dead-letter-strategy", text("at-least-once")),
    ] {
        arguments.insert(name.into(), value);
    }
    arguments
}
