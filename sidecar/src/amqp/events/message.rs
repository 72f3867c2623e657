//! An event as a message. Pure.

use lapin::{BasicProperties, types::FieldTable};
use mesh::Event;

use crate::{
    amqp::{meaning::JSON, topology::text},
    driver::Announcement,
};

/// The AMQP type of every event; its end counts incompatible forms.
const KIND: &str = "event.v1";

/// Where it goes: `app.NAME.EVENT`.
pub(super) fn routing_key(event: &Event) -> String {
    let (app, what): (&str, _) = match event {
        Event::NeedDyno { app, .. } => (app, "need_dyno"),
        Event::Idle { app } => (app, "idle"),
        Event::Drained(dyno) => (&dyno.app, "drained"),
        Event::Scale(hint) => (&hint.app, "scale"),
        Event::Quarantined(dyno, _) => (&dyno.app, "quarantined"),
    };
    format!("app.{app}.{what}")
}

/// `time`: seconds since 1970, for people.
pub(super) fn properties(announcement: &Announcement, node: &str, time: u64) -> BasicProperties {
    let position = announcement.position;
    // No other event comes of this entry of this log.
    let id = format!("{:032x}-{}", position.log, position.offset);
    let mut headers = FieldTable::default();
    headers.insert("x-mesh-node".into(), text(node));
    BasicProperties::default()
        .with_content_type(JSON.into())
        .with_type(KIND.into())
        .with_message_id(id.as_str().into())
        .with_timestamp(time)
        .with_headers(headers)
        .with_delivery_mode(2)
}
