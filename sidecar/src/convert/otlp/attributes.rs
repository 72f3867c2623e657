//! What is said of a span.

use dynomesh_proto::otlp::{AnyValue, KeyValue, any_value::Value};

/// Longest text, in bytes.
const MOST: usize = 256;

/// Keys with values. Empty texts and zeros are left out.
#[derive(Debug, Default)]
pub(super) struct Attributes(pub(super) Vec<KeyValue>);

impl Attributes {
    pub(super) fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            let text = &text[..text.floor_char_boundary(MOST)];
            self.0.push(pair(key, Value::StringValue(text.into())));
        }
    }

    pub(super) fn number(&mut self, key: &str, number: i64) {
        if number != 0 {
            self.0.push(self::number(key, number));
        }
    }
}

/// One that may be zero.
pub(super) fn number(key: &str, number: i64) -> KeyValue {
    pair(key, Value::IntValue(number))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

/// A name, and the port that may stand behind it.
pub(super) fn split_host(whole: &str) -> (&str, Option<u16>) {
    let split = whole.rsplit_once(':');
    let port = split.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match port {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (whole, None),
    }
}
