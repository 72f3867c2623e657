//! A router's worker, as far as meshd can tell.

use std::{
    collections::HashMap, net::Shutdown, os::unix::net::UnixStream, path::Path, time::Duration,
};

use dynomesh_proto::{
    PROTOCOL,
    v1::{
        Answer, Ask, Cancel, Checkin, DynoInfo, Held, Hello, Outcome, Recalled, Refusal, Reserve,
        Route, RouterMessage, SidecarMessage, Welcome, answer::Result as Result_,
        router_client::RouterClient, router_message::Kind, sidecar_message,
    },
};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Status, Streaming};

use super::{channel, within};

/// An answer in short: the dyno's instance, or why not.
pub(crate) type Reply = Result<String, Refusal>;

pub(crate) struct Worker {
    to: Option<UnboundedSender<RouterMessage>>,
    from: Streaming<SidecarMessage>,
    /// Who has which number.
    dynos: HashMap<u32, DynoInfo>,
    below: UnixStream,
    pub(crate) welcome: Welcome,
}

impl Worker {
    pub(crate) async fn hello(socket: &Path, worker: u64) -> Self {
        Self::hello_with(socket, worker, &[]).await
    }

    pub(crate) async fn hello_with(socket: &Path, worker: u64, held: &[(u64, &str)]) -> Self {
        let held = held.iter().map(|(ask, instance)| Held {
            ask: *ask,
            instance: (*instance).into(),
        });
        let hello = Hello {
            protocol: PROTOCOL,
            node: "test".into(),
            worker,
            link: 0,
            pid: std::process::id(),
            held: held.collect(),
        };
        Self::open(socket, Kind::Hello(hello))
            .await
            .expect("welcome")
    }

    /// Opens a session with any first message.
    pub(crate) async fn open(socket: &Path, first: Kind) -> Result<Self, Status> {
        let (to, messages) = mpsc::unbounded_channel();
        let first = RouterMessage { kind: Some(first) };
        to.send(first).expect("the receiver is here");
        let (channel, below) = channel(socket)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let mut client = RouterClient::new(channel);
        let session = client.session(UnboundedReceiverStream::new(messages));
        let mut from = within("the session opens", session).await?.into_inner();
        let welcome = within("welcome", from.message()).await?.expect("a message");
        let Some(sidecar_message::Kind::Welcome(welcome)) = welcome.kind else {
            panic!("{welcome:?} is no welcome");
        };
        Ok(Self {
            to: Some(to),
            from,
            dynos: HashMap::new(),
            below,
            welcome,
        })
    }

    pub(crate) fn say(&self, kind: Kind) {
        let to = self.to.as_ref().expect("it is open");
        // An error means that the session is over, which the next receipt says.
        let _ = to.send(RouterMessage { kind: Some(kind) });
    }

    pub(crate) fn ask(&self, ask: u64, name: &str) {
        self.say(Kind::Ask(Ask {
            ask,
            name: name.into(),
            ..Ask::default()
        }));
    }

    pub(crate) fn cancel(&self, ask: u64) {
        self.say(Kind::Cancel(Cancel { ask }));
    }

    pub(crate) fn checkin(&self, ask: u64, outcome: Outcome) {
        self.say(Kind::Checkin(Checkin {
            ask,
            outcome: outcome.into(),
            before: 0,
            next: 0,
        }));
    }

    pub(crate) fn done(&self, ask: u64) {
        self.checkin(ask, Outcome::Done);
    }

    /// The next answer. What is recalled before it is nothing that it has.
    pub(crate) async fn answer(&mut self) -> Answer {
        loop {
            match self.message().await {
                sidecar_message::Kind::Answer(answer) => return answer,
                sidecar_message::Kind::Recall(recall) => {
                    let recall = recall.recall;
                    self.say(Kind::Recalled(Recalled { recall }));
                }
                other => panic!("{other:?} is no answer"),
            }
        }
    }

    /// The next message that does not tell who a dyno is, or who is next.
    pub(crate) async fn message(&mut self) -> sidecar_message::Kind {
        loop {
            let message = within("a message", self.from.message())
                .await
                .expect("the session goes on");
            match message.expect("a message").kind.expect("a kind") {
                sidecar_message::Kind::Dyno(info) => {
                    self.dynos.insert(info.number, info);
                }
                sidecar_message::Kind::Next(_) => {}
                other => return other,
            }
        }
    }

    /// Leases ahead: the instances, in order.
    pub(crate) async fn reserve(&mut self, first: u64, count: u32, name: &str) -> Vec<String> {
        self.say(Kind::Reserve(Reserve {
            first,
            count,
            name: name.into(),
        }));
        let (mut instances, mut next) = (Vec::new(), first);
        loop {
            let part = match self.message().await {
                sidecar_message::Kind::Reserved(part) => part,
                other => panic!("{other:?} is no reservation"),
            };
            assert_eq!(part.first, next);
            next += part.dynos.len() as u64;
            instances.extend(part.dynos.iter().map(|n| self.dynos[n].instance.clone()));
            if !part.more {
                return instances;
            }
        }
    }

    /// The dyno of a route.
    pub(crate) fn dyno(&self, route: &Route) -> &DynoInfo {
        self.dynos.get(&route.dyno).expect("it was told of")
    }

    /// The next message, which has to be about this ask.
    pub(crate) async fn reply(&mut self, ask: u64) -> Reply {
        let answer = self.answer().await;
        assert_eq!(answer.ask, ask, "{answer:?}");
        match answer.result.expect("a result") {
            Result_::Route(route) => Ok(self.dyno(&route).instance.clone()),
            Result_::Refusal(reason) => Err(Refusal::try_from(reason).expect("known")),
        }
    }

    /// Asks, and gets its answer at once.
    pub(crate) async fn route(&mut self, ask: u64, name: &str) -> Reply {
        self.ask(ask, name);
        self.reply(ask).await
    }

    /// Nothing comes, as far as one can see: a question behind it is answered
    /// first.
    pub(crate) async fn waits(&mut self, probe: u64) {
        assert_eq!(
            self.route(probe, "nobody.test").await,
            Err(Refusal::UnknownName)
        );
    }

    /// The status that the session ends with; `None` for a proper end.
    pub(crate) async fn end(&mut self) -> Option<Status> {
        within("the end", async {
            loop {
                match self.from.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(status) => return Some(status),
                }
            }
        })
        .await
    }

    /// As a worker that is killed: the kernel closes its connection.
    pub(crate) fn break_off(self) {
        self.below.shutdown(Shutdown::Both).expect("shut down");
    }

    /// This side is done; the other one is still heard.
    pub(crate) fn close(&mut self) {
        self.to = None;
    }

    /// Takes less time than a session's grace, more than anything else.
    pub(crate) const MOMENT: Duration = Duration::from_millis(100);
}
