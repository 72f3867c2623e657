//! One link, from connect to break.

use std::{sync::Arc, time::Duration};

use dynomesh_proto::{
    MAX_MESSAGE,
    v1::{FromOwner, Introduction, from_owner::Kind, owner_client::OwnerClient},
};
use mesh::{PeerId, ToPeer};
use tokio::time::timeout;
use tonic::{Streaming, transport::Endpoint};

use super::{Asking, outgoing::Outgoing};
use crate::{
    convert::far_answer_from_proto,
    driver::{Line, Peer, Peering},
    grpc::{
        fetch::words,
        owner::{MOST, PROTOCOL, check},
    },
};

/// A sidecar that is there takes a connection within this, ...
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// ... says who it is within this, ...
const GREET_WITHIN: Duration = Duration::from_secs(2);
/// ... and if it answers no ping it is found out after both of these: under 1 s.
const PING_EVERY: Duration = Duration::from_millis(300);
const PING_WITHIN: Duration = Duration::from_millis(400);
/// More bytes may be under way than a burst of answers takes.
const WINDOW: u32 = 4 << 20;

/// Asks the peer for as long as that goes. Says why it ended. `up` is called when it can
/// be asked.
pub(super) async fn link<P: Peering>(
    peering: &P,
    peer: &Peer,
    asking: &Asking,
    up: impl FnOnce(),
) -> String {
    match ask(peering, peer, asking, up).await {
        Ok(()) => "it has ended the link".into(),
        Err(why) => why,
    }
}

async fn ask<P: Peering>(
    peering: &P,
    peer: &Peer,
    asking: &Asking,
    up: impl FnOnce(),
) -> Result<(), String> {
    let line = Arc::new(Line::new(MOST));
    let mut answers = open(peer, asking, &line).await?;
    up();
    let up = Up::new(peering, peer.id(), &line);
    loop {
        let message = tokio::select! {
            message = answers.message() => message.map_err(|status| status.to_string())?,
            () = line.broken() => return Err("it does not take what it is told".into()),
        };
        let Some(message) = message else {
            return Ok(());
        };
        match message.kind {
            Some(Kind::Answer(answer)) => {
                let answer = far_answer_from_proto(answer).map_err(|error| error.to_string())?;
                peering.answered(up.owner, answer);
            }
            Some(Kind::Introduction(_)) => return Err("a second introduction".into()),
            None => return Err("a message of no known kind".into()),
        }
    }
}

/// Connects, and makes sure that it is the one that is meant.
async fn open(
    peer: &Peer,
    asking: &Asking,
    line: &Arc<Line<ToPeer>>,
) -> Result<Streaming<FromOwner>, String> {
    let url = format!("https://{}", peer.address);
    let endpoint = Endpoint::from_shared(url).and_then(|to| to.tls_config(asking.tls.clone()));
    let endpoint = endpoint
        .map_err(|error| words(&error))?
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let channel = timeout(CONNECT_WITHIN, endpoint.connect()).await;
    let channel = channel.map_err(|_| format!("no connection within {CONNECT_WITHIN:?}"))?;
    let channel = channel.map_err(|error| words(&error))?;
    let mut client = OwnerClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let introduction = Introduction {
        protocol: PROTOCOL,
        node: (*asking.node).into(),
        to: (*peer.name).into(),
        process: asking.process,
        link: asking.next_link(),
    };
    let outgoing = Outgoing::new(introduction, line.clone());
    let greeting = async {
        let mut answers = client.session(outgoing).await?.into_inner();
        let first = answers.message().await?;
        Ok::<_, tonic::Status>((answers, first))
    };
    let greeted = timeout(GREET_WITHIN, greeting).await;
    let greeted =
        greeted.map_err(|_| format!("it did not say who it is within {GREET_WITHIN:?}"))?;
    let (answers, first) = greeted.map_err(|status| status.to_string())?;
    match first.and_then(|message| message.kind) {
        Some(Kind::Introduction(it)) if it.node != *peer.name => {
            Err(format!("its address leads to {:?}", it.node))
        }
        Some(Kind::Introduction(it)) => match check(&it, &asking.node) {
            Ok(()) => Ok(answers),
            Err(status) => Err(status.to_string()),
        },
        _ => Err("the first message is no introduction".into()),
    }
}

/// A link that is up, until this is dropped: also when nobody waits for its end.
struct Up<'a, P: Peering> {
    peering: &'a P,
    owner: PeerId,
    line: &'a Line<ToPeer>,
}

impl<'a, P: Peering> Up<'a, P> {
    fn new(peering: &'a P, owner: PeerId, line: &'a Arc<Line<ToPeer>>) -> Self {
        peering.link_up(owner, line);
        Self {
            peering,
            owner,
            line,
        }
    }
}

impl<P: Peering> Drop for Up<'_, P> {
    fn drop(&mut self) {
        self.line.break_off();
        self.peering.link_down(self.owner);
    }
}
