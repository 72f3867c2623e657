//! What there has to be in the broker, made whenever it is missing.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::problem::{Problem, within};

/// Retention drops whole segments.
const SEGMENT: i64 = 20_000_000;
/// The log keeps so much, and nothing older than a week: a sidecar that was away
/// for longer starts from a snapshot.
const LOG_BYTES: i64 = 2_000_000_000;
const LOG_AGE: &str = "7D";
/// Snapshots are kept so long as they fit: those of 50,000 apps have 2 MB each.
const SNAPSHOT_BYTES: i64 = 1_000_000_000;
/// Copies of what was no entry; the oldest make room.
const DEAD: i64 = 10_000;
const DEAD_BYTES: i64 = 64_000_000;
/// Messages about load that wait for a sidecar, and for how long: what is older is
/// said again.
const LOADS: i64 = 10_000;
const LOAD_MS: i64 = 5_000;

/// The stream of members is read by who is there: what is older than some minutes is
/// of no use to anybody.
const MEMBERS_BYTES: i64 = 8_000_000;
const MEMBERS_SEGMENT: i64 = 2_000_000;

/// What things are called.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The exchange that entries are published to, and the stream they end in.
    pub(super) route: String,
    /// The stream of snapshots.
    pub(super) snapshots: String,
    /// The exchange for what was no entry.
    pub(super) dead_exchange: String,
    /// The queue that it ends in.
    pub(super) dead: String,
    /// The exchange by which sidecars tell each other of their load.
    pub(super) load: String,
    /// The stream in which sidecars say that they are there.
    pub(super) members: String,
    /// The exchange by which dyno managers are told of events.
    pub(super) events: String,
    /// The exchange for requests of apps that want it.
    pub(super) taps: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            route: format!("{prefix}.route"),
            snapshots: format!("{prefix}.snap"),
            dead_exchange: format!("{prefix}.dlx"),
            dead: format!("{prefix}.dead"),
            load: format!("{prefix}.load"),
            members: format!("{prefix}.members"),
            events: format!("{prefix}.events"),
            taps: format!("{prefix}.tap"),
        }
    }
}

/// Makes what is missing. What is there must be like this.
pub(super) async fn declare(channel: &Channel, names: &Names) -> Result<(), Problem> {
    let log = [
        ("x-queue-type", text("stream")),
        ("x-max-length-bytes", AMQPValue::LongLongInt(LOG_BYTES)),
        ("x-max-age", text(LOG_AGE)),
        (
            "x-stream-max-segment-size-bytes",
            AMQPValue::LongLongInt(SEGMENT),
        ),
    ];
    let snapshots = [
        ("x-queue-type", text("stream")),
        ("x-max-length-bytes", AMQPValue::LongLongInt(SNAPSHOT_BYTES)),
        ("x-max-age", text(LOG_AGE)),
        (
            "x-stream-max-segment-size-bytes",
            AMQPValue::LongLongInt(SEGMENT),
        ),
    ];
    exchange(channel, &names.route).await?;
    queue(channel, &names.route, table(log)).await?;
    bind(channel, &names.route, &names.route).await?;
    queue(channel, &names.snapshots, table(snapshots)).await?;
    exchange(channel, &names.dead_exchange).await
}

/// Makes the queue of dead letters. It is on one node of a cluster only, which may
/// be away: nothing else depends on it.
pub(super) async fn declare_dead(channel: &Channel, names: &Names) -> Result<(), Problem> {
    let dead = [
        ("x-max-length", AMQPValue::LongLongInt(DEAD)),
        ("x-max-length-bytes", AMQPValue::LongLongInt(DEAD_BYTES)),
        ("x-overflow", text("drop-head")),
    ];
    queue(channel, &names.dead, table(dead)).await?;
    bind(channel, &names.dead, &names.dead_exchange).await
}

/// Makes an exchange for events. Whoever wants some binds a queue of their own.
pub(super) async fn declare_events(channel: &Channel, exchange: &str) -> Result<(), Problem> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = channel.exchange_declare(
        exchange.into(),
        ExchangeKind::Topic,
        durable,
        FieldTable::default(),
    );
    within(&format!("exchange {exchange}"), declared).await
}

/// Makes the stream of members, if it is missing.
pub(super) async fn declare_members(channel: &Channel, stream: &str) -> Result<(), Problem> {
    let small = [
        ("x-queue-type", text("stream")),
        ("x-max-length-bytes", AMQPValue::LongLongInt(MEMBERS_BYTES)),
        (
            "x-stream-max-segment-size-bytes",
            AMQPValue::LongLongInt(MEMBERS_SEGMENT),
        ),
    ];
    queue(channel, stream, table(small)).await
}

/// Makes what is missing for load, and a queue for this connection alone, which
/// ends with it.
pub(super) async fn declare_load(
    channel: &Channel,
    exchange: &str,
    name: &str,
) -> Result<(), Problem> {
    let transient = ExchangeDeclareOptions::default();
    let declared = channel.exchange_declare(
        exchange.into(),
        ExchangeKind::Fanout,
        transient,
        FieldTable::default(),
    );
    within(&format!("exchange {exchange}"), declared).await?;
    let own = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let arguments = table([
        ("x-max-length", AMQPValue::LongLongInt(LOADS)),
        ("x-message-ttl", AMQPValue::LongLongInt(LOAD_MS)),
        ("x-overflow", text("drop-head")),
    ]);
    let declared = channel.queue_declare(name.into(), own, arguments);
    within(&format!("queue {name}"), declared).await?;
    let bound = channel.queue_bind(
        name.into(),
        exchange.into(),
        "".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    within(&format!("binding of {name}"), bound).await
}

async fn exchange(channel: &Channel, name: &str) -> Result<(), Problem> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let none = FieldTable::default();
    let declared = channel.exchange_declare(name.into(), ExchangeKind::Topic, durable, none);
    within(&format!("exchange {name}"), declared).await
}

/// The queue gets everything from the exchange.
async fn bind(channel: &Channel, queue: &str, exchange: &str) -> Result<(), Problem> {
    let bound = channel.queue_bind(
        queue.into(),
        exchange.into(),
        "#".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    within(&format!("binding of {queue}"), bound).await
}

async fn queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), Problem> {
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(name.into(), durable, arguments);
    within(&format!("queue {name}"), declared).await.map(drop)
}

pub(super) fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}
