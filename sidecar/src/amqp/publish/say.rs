//! An entry as a message, and its confirmation.

use std::pin::Pin;

use futures_util::stream::FuturesUnordered;
use lapin::{BasicProperties, Channel, Confirmation, options::BasicPublishOptions};

use super::super::{
    meaning::{PROTOBUF, TYPE},
    problem::{Problem, within},
};
use crate::{
    convert::said_to_bytes,
    driver::{Said, What},
};

/// Of which outstanding entry, if of one, and what the broker says.
pub(super) type Confirm = (Option<u64>, Result<Confirmation, lapin::Error>);
type Confirming = Pin<Box<dyn Future<Output = Confirm>>>;
/// Those that are waited for.
pub(super) type Confirms = FuturesUnordered<Confirming>;

/// Publishes an entry. Returns what its confirmation will be.
pub(super) async fn say(
    channel: &Channel,
    exchange: &str,
    number: Option<u64>,
    said: &Said,
) -> Result<Confirming, Problem> {
    let options = BasicPublishOptions {
        // Confirmed is also what went nowhere.
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let mut properties = BasicProperties::default()
        .with_content_type(PROTOBUF.into())
        .with_type(TYPE.into())
        .with_delivery_mode(2);
    if !said.change_id.is_empty() {
        properties = properties.with_message_id((*said.change_id).into());
    }
    let key = routing_key(&said.what);
    let body = said_to_bytes(said);
    let key = key.as_str().into();
    let published = channel.basic_publish(exchange.into(), key, options, &body, properties);
    let confirm = within("publishing", published).await?;
    Ok(Box::pin(async move { (number, confirm.await) }))
}

/// So that who wants to hear of one app only can bind a queue for it.
fn routing_key(what: &What) -> String {
    match what {
        // What is no name of an app is refused by everybody, and may be longer
        // than a key.
        What::Change(change) if mesh::check_app_name(&change.app).is_ok() => {
            format!("route.app.{}", change.app)
        }
        What::Report(_) => "route.report".into(),
        What::Change(_) | What::Sync(_) | What::Genesis { .. } | What::Saved { .. } => {
            "route.log".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_too_long() {
        let change = |app: &str| {
            What::Change(mesh::Change {
                app: app.into(),
                base_version: None,
                operations: Vec::new(),
            })
        };
        assert_eq!(routing_key(&change("shop")), "route.app.shop");
        let most = "a".repeat(128);
        assert!(routing_key(&change(&most)).ends_with(&most));
        for wrong in ["", "a.b", &"a".repeat(129), &"ä".repeat(1_000)] {
            assert_eq!(routing_key(&change(wrong)), "route.log");
        }
    }
}
