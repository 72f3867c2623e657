//! A request as a message. Pure.

use lapin::{BasicProperties, types::FieldTable};

use crate::{
    amqp::{
        meaning::{JSON, PROTOBUF},
        topology::text,
    },
    convert::Form,
    driver::{TapNews, Told},
};

/// The AMQP type of every message; its end counts incompatible forms.
const KIND: &str = "tap.v1";

/// Where it goes: `app.NAME.request`, or `app.NAME.lost`.
pub(super) fn routing_key(told: &Told) -> String {
    let what = match told.news {
        TapNews::Request(_) => "request",
        TapNews::Lost(_) | TapNews::Set(_) => "lost",
    };
    format!("app.{}.{what}", told.app)
}

/// `time`: seconds since 1970, for people.
pub(super) fn properties(form: Form, node: &str, time: u64) -> BasicProperties {
    let content = match form {
        Form::Protobuf => PROTOBUF,
        Form::Json => JSON,
    };
    let mut headers = FieldTable::default();
    headers.insert("x-mesh-node".into(), text(node));
    BasicProperties::default()
        .with_content_type(content.into())
        .with_type(KIND.into())
        .with_timestamp(time)
        .with_headers(headers)
        // No disk is asked to keep it.
        .with_delivery_mode(1)
}
