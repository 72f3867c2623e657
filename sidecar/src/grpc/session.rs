//! A session under way: the path of every request.
//!
//! The reply stream itself reads the router's messages: each goes to the core
//! under its lock, and the answer comes straight back. There is no channel and
//! no task between, so a request costs one wake-up in this process.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use dynomesh_proto::v1::{
    self, RouterMessage, SidecarMessage, router_message::Kind, sidecar_message,
};
use futures_core::Stream;
use mesh::{Ask, AskId, Outcome, RecallId};
use tonic::{Status, Streaming};

use super::{ending::Ending, introductions::Introductions, status::closed};
use crate::{convert, driver::Session};

/// Messages handled before other sessions have their turn.
const TURN: u32 = 128;

/// Longest name that is looked up, in bytes. No app has one over 253, and an ask
/// for such a name is answered; this much means that something else is wrong.
const MAX_NAME: usize = 65_536;

/// The reply stream of a session.
#[derive(Debug)]
pub struct SessionStream {
    welcome: Option<v1::Welcome>,
    incoming: Streaming<RouterMessage>,
    ending: Ending,
    /// `None` when it is over.
    session: Option<Session>,
    introductions: Introductions,
}

impl SessionStream {
    pub(super) fn new(
        welcome: v1::Welcome,
        incoming: Streaming<RouterMessage>,
        ending: Ending,
        session: Session,
    ) -> Self {
        Self {
            welcome: Some(welcome),
            incoming,
            ending,
            session: Some(session),
            introductions: Introductions::default(),
        }
    }

    /// The router's side has ended. What it holds is released at once only if it
    /// said so; a session that is just dropped is a lost one.
    fn end(&mut self) {
        match self.session.take() {
            Some(session) if self.ending.is_proper() => session.close(),
            _ => {}
        }
    }
}

impl Stream for SessionStream {
    type Item = Result<SidecarMessage, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(message) = this.introductions.take_held_back() {
            return Poll::Ready(Some(Ok(message)));
        }
        if let Some(welcome) = this.welcome.take() {
            let kind = Some(sidecar_message::Kind::Welcome(welcome));
            return Poll::Ready(Some(Ok(SidecarMessage { kind })));
        }
        for _ in 0..TURN {
            let Some(session) = &mut this.session else {
                return Poll::Ready(None);
            };
            match session.poll_reply(cx) {
                Poll::Ready(Ok(reply)) => {
                    return Poll::Ready(Some(Ok(this.introductions.reply(reply))));
                }
                Poll::Ready(Err(reason)) => {
                    this.session = None;
                    return Poll::Ready(Some(Err(closed(reason))));
                }
                Poll::Pending => {}
            }
            let handled = match ready!(Pin::new(&mut this.incoming).poll_next(cx)) {
                Some(message) => message.and_then(|message| handle(session, message)),
                None => {
                    this.end();
                    return Poll::Ready(None);
                }
            };
            if let Err(status) = handled {
                this.session = None;
                return Poll::Ready(Some(Err(status)));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn handle(session: &mut Session, message: RouterMessage) -> Result<(), Status> {
    match message.kind {
        Some(Kind::Ask(ask)) => handle_ask(session, ask)?,
        Some(Kind::Checkin(done)) => {
            let (ask, next) = (AskId(done.ask), done.next);
            match (next, convert::outcome(done.outcome)) {
                (1.., Outcome::Done) => session.hand_on(ask, AskId(next), done.before),
                (0, outcome) => session.checkin(ask, outcome, done.before),
                _ => return Err(Status::invalid_argument("checkin.next, and it is not done")),
            }
        }
        Some(Kind::Reserve(reserve)) => handle_reserve(session, reserve)?,
        Some(Kind::Taken(taken)) => session.taken(taken.asks.into_iter().map(AskId)),
        Some(Kind::Passed(passed)) => session.passed(passed.asks.into_iter().map(AskId)),
        Some(Kind::Recalled(done)) => session.recalled(RecallId(done.recall)),
        Some(Kind::Tally(tally)) => session.tally(convert::tally(tally)),
        Some(Kind::Tapped(tapped)) => session.tapped(convert::tapped(tapped)),
        Some(Kind::Traced(traced)) => session.traced(convert::traced(traced)),
        Some(Kind::Cancel(left)) => session.cancel(AskId(left.ask)),
        Some(Kind::AskRules(ask)) => {
            check_name("ask_rules", &ask.name)?;
            session.rules(&ask.name);
        }
        Some(Kind::AskPages(ask)) => {
            check_name("ask_pages", &ask.app)?;
            session.pages(&ask.app);
        }
        Some(Kind::Authenticate(asked)) => {
            let asked = convert::authenticate(asked);
            let (number, asked) = asked.map_err(|e| Status::invalid_argument(e.to_string()))?;
            session.authenticate(number, asked);
        }
        Some(Kind::Hello(_)) => {
            return Err(Status::invalid_argument("hello is only the first message"));
        }
        None => return Err(Status::invalid_argument("a message of no known kind")),
    }
    Ok(())
}

fn handle_ask(session: &mut Session, ask: v1::Ask) -> Result<(), Status> {
    if ask.ask == 0 {
        return Err(Status::invalid_argument("ask.ask is 0"));
    }
    check_name("ask", &ask.name)?;
    let asked = Ask {
        id: AskId(ask.ask),
        name: &ask.name,
        waited: Duration::from_millis(ask.waited_ms.into()),
        served: Duration::from_millis(ask.served_ms.into()),
        held: ask.held,
        tried: ask.tried.into_iter().map(Into::into).collect(),
        prefer: convert::prefer(ask.prefer_dyno, ask.prefer_hash),
        client: ask.client,
        passes_on: ask.passes_on,
    };
    match session.ask(asked) {
        true => Ok(()),
        false => Err(not_taken(session, ask.ask)),
    }
}

fn check_name(message: &str, name: &str) -> Result<(), Status> {
    if name.len() > MAX_NAME {
        return Err(Status::invalid_argument(format!(
            "{message}.name is longer than {MAX_NAME} bytes"
        )));
    }
    Ok(())
}

fn handle_reserve(session: &mut Session, reserve: v1::Reserve) -> Result<(), Status> {
    if reserve.first == 0 {
        return Err(Status::invalid_argument("reserve.first is 0"));
    }
    check_name("reserve", &reserve.name)?;
    match session.reserve(AskId(reserve.first), reserve.count, &reserve.name) {
        true => Ok(()),
        false => Err(not_taken(session, reserve.first)),
    }
}

fn not_taken(session: &Session, ask: u64) -> Status {
    match session.is_closed() {
        Some(reason) => closed(reason),
        None => Status::invalid_argument(format!("ask {ask} is asked already")),
    }
}
