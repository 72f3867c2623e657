//! What comes out of a stream, in its order.

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::{
    Acker, Channel, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable},
};

use super::{
    meaning::Message,
    problem::{Problem, within},
    topology::text,
};

/// Entries that may be under way to here. With far more, a stream of many small
/// chunks was seen to deliver nothing for seconds.
pub(super) const PREFETCH: u16 = 1_000;
/// The header, and the argument, that says where in the stream something is.
const OFFSET: &str = "x-stream-offset";

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// With the oldest entry that there is.
    First,
    /// With the next one that comes.
    Next,
    /// With this one.
    Offset(u64),
}

/// The entries of a stream.
pub(super) struct Feed {
    consumer: Consumer,
    last: Option<Acker>,
    unacked: u16,
    /// Entries that one acknowledgement is for, at most.
    ack_every: u16,
}

/// One of them.
pub(super) struct Delivered {
    pub(super) offset: u64,
    delivery: Delivery,
}

impl Delivered {
    pub(super) fn message(&self) -> Message<'_> {
        let properties = &self.delivery.properties;
        Message {
            content_type: properties.content_type().as_ref().map(|text| text.as_str()),
            kind: properties.kind().as_ref().map(|text| text.as_str()),
            message_id: properties.message_id().as_ref().map(|text| text.as_str()),
            body: &self.delivery.data,
        }
    }
}

impl Feed {
    pub(super) async fn open(
        channel: &Channel,
        stream: &str,
        from: From,
        prefetch: u16,
    ) -> Result<Self, Problem> {
        let qos = channel.basic_qos(prefetch, BasicQosOptions::default());
        within("limiting what is under way", qos).await?;
        let mut arguments = FieldTable::default();
        let from = match from {
            From::First => text("first"),
            From::Next => text("next"),
            From::Offset(offset) => {
                AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX))
            }
        };
        arguments.insert(OFFSET.into(), from);
        let consumer = channel.basic_consume(
            stream.into(),
            "".into(),
            BasicConsumeOptions::default(),
            arguments,
        );
        Ok(Self {
            consumer: within("reading the log", consumer).await?,
            last: None,
            unacked: 0,
            ack_every: prefetch / 4,
        })
    }

    /// The next one. What came before it is acknowledged, sooner or later.
    pub(super) async fn next(&mut self) -> Result<Delivered, Problem> {
        if self.unacked >= self.ack_every {
            self.ack().await?;
        }
        let next = match self.consumer.next().now_or_never() {
            Some(next) => next,
            None => {
                self.ack().await?;
                self.consumer.next().await
            }
        };
        let delivery = next.ok_or_else(|| {
            Problem::new(
                "the broker ended the reading of the log: the stream was deleted, or moved",
            )
        })??;
        let headers = delivery.properties.headers().as_ref();
        let offset = headers.and_then(|headers| match headers.inner().get(OFFSET) {
            Some(AMQPValue::LongLongInt(offset)) => u64::try_from(*offset).ok(),
            _ => None,
        });
        let offset =
            offset.ok_or_else(|| Problem::new("an entry without its offset: no stream"))?;
        self.last = Some(delivery.acker.clone());
        self.unacked += 1;
        Ok(Delivered { offset, delivery })
    }

    async fn ack(&mut self) -> Result<(), Problem> {
        self.unacked = 0;
        if let Some(last) = self.last.take() {
            let acked = last.ack(BasicAckOptions { multiple: true });
            within("acknowledging entries", acked).await?;
        }
        Ok(())
    }
}
