//! Which dynos a router knows: each is told of once, so that answers are short.

use std::{collections::VecDeque, sync::Arc};

use dynomesh_proto::v1::SidecarMessage;
use mesh::{Answer, DynoInfo, Reserved};
use rustc_hash::FxHashMap;

use crate::{convert, driver::Reply};

/// Dynos that a router knows at once. When there are more, the one that it has
/// known for longest is told of anew when it is needed again.
const MOST: usize = 16_384;

/// The dynos that one router was told of.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    known: Vec<Arc<DynoInfo>>,
    /// By where they are in memory, which is one place for as long as they are
    /// in `known`.
    numbers: FxHashMap<usize, u32>,
    /// Whose number is given away next, when all are in use.
    oldest: usize,
    /// What comes after an introduction.
    held_back: VecDeque<SidecarMessage>,
}

impl Introductions {
    /// What to send now for a reply.
    pub(super) fn reply(&mut self, reply: Reply) -> SidecarMessage {
        match reply {
            Reply::Answer(answer) => self.answer(answer),
            Reply::Reserved(reserved) => self.reserved(&reserved),
            Reply::Next(next) => convert::next(&next),
            Reply::Recall(recall) => convert::recall(&recall),
            Reply::Tap(order) => convert::tap_order(&order),
            Reply::Tracing(order) => convert::tracing(order),
            Reply::Told(number) => convert::told(number),
            Reply::Rules(ruled) => convert::app_rules(&ruled.name, ruled.terms.as_ref()),
            Reply::Pages(app, pages) => convert::app_pages(&app, &pages),
            Reply::Authenticated(number, finding) => convert::authenticated(number, finding),
        }
    }

    fn answer(&mut self, answer: Answer) -> SidecarMessage {
        let Ok(route) = &answer.result else {
            return convert::answer(&answer, 0);
        };
        if let Some(number) = self.numbers.get(&place(&route.dyno)) {
            return convert::answer(&answer, *number);
        }
        let number = self.introduce(route.dyno.clone());
        self.held_back.push_back(convert::answer(&answer, number));
        convert::dyno_info(number, &route.dyno)
    }

    /// What has to follow what was sent last.
    pub(super) fn take_held_back(&mut self) -> Option<SidecarMessage> {
        self.held_back.pop_front()
    }

    /// An introduction may give a number away that is in use here, so the routes
    /// before it are a part of their own.
    fn reserved(&mut self, reserved: &Reserved) -> SidecarMessage {
        let mut messages = VecDeque::new();
        let (mut first, mut numbers) = (reserved.first.0, Vec::new());
        for dyno in &reserved.dynos {
            let known = self.numbers.get(&place(dyno)).copied();
            let number = known.unwrap_or_else(|| {
                let part = std::mem::take(&mut numbers);
                let next = first + part.len() as u64;
                if !part.is_empty() {
                    messages.push_back(convert::reserved(reserved, first, part, true));
                    first = next;
                }
                let number = self.introduce(dyno.clone());
                messages.push_back(convert::dyno_info(number, dyno));
                number
            });
            numbers.push(number);
        }
        let last = convert::reserved(reserved, first, numbers, false);
        let now = match messages.pop_front() {
            None => last,
            Some(now) => {
                messages.push_back(last);
                now
            }
        };
        self.held_back.extend(messages);
        now
    }

    fn introduce(&mut self, dyno: Arc<DynoInfo>) -> u32 {
        let at = if self.known.len() < MOST {
            self.known.push(dyno.clone());
            self.known.len() - 1
        } else {
            let at = self.oldest;
            self.oldest = (at + 1) % MOST;
            let former = std::mem::replace(&mut self.known[at], dyno.clone());
            self.numbers.remove(&place(&former));
            at
        };
        self.numbers.insert(place(&dyno), at as u32);
        at as u32
    }
}

fn place(dyno: &Arc<DynoInfo>) -> usize {
    Arc::as_ptr(dyno).addr()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dynomesh_proto::v1::{self, sidecar_message::Kind};
    use mesh::{AskId, Limits, Mesh, Refusal, Route, Time, WorkerId};

    use super::*;

    fn dyno(n: usize) -> Arc<DynoInfo> {
        Arc::new(DynoInfo {
            app: "shop".into(),
            name: format!("web.{n}").into(),
            instance: format!("i{n}").into(),
            address: "127.0.0.1:80".parse().expect("an address"),
        })
    }

    fn answer(result: Result<Arc<DynoInfo>, Refusal>) -> Answer {
        let mut mesh = Mesh::new(Limits::default(), 1);
        let session = mesh.hello(WorkerId(1), [], Time::ZERO).expect("a session");
        Answer {
            session,
            ask: AskId(1),
            app: Some("shop".into()),
            wait: Duration::ZERO,
            depth: 0,
            in_use: 0,
            queue_headers: false,
            result: result.map(|dyno| Route {
                dyno,
                limited: true,
                others: 0,
                counted: false,
                gone: false,
                again: Duration::ZERO,
                edition: None,
            }),
        }
    }

    /// The number that a dyno is told of with, if it is, and that of the route.
    fn sent(all: &mut Introductions, dyno: &Arc<DynoInfo>) -> (Option<u32>, u32) {
        let first = all.answer(answer(Ok(dyno.clone())));
        let (told, routed) = match first.kind {
            Some(Kind::Dyno(info)) => {
                assert_eq!(info.instance, *dyno.instance);
                let next = all.take_held_back().expect("the answer follows");
                (Some(info.number), next)
            }
            _ => (None, first),
        };
        assert!(all.take_held_back().is_none());
        match routed.kind {
            Some(Kind::Answer(v1::Answer {
                result: Some(v1::answer::Result::Route(route)),
                ..
            })) => (told, route.dyno),
            other => panic!("{other:?} is no route"),
        }
    }

    #[test]
    fn each_dyno_is_told_of_once() {
        let mut all = Introductions::default();
        let (a, b) = (dyno(1), dyno(2));
        assert_eq!(sent(&mut all, &a), (Some(0), 0));
        assert_eq!(sent(&mut all, &b), (Some(1), 1));
        assert_eq!(sent(&mut all, &a), (None, 0));
        // The same name again is not the same dyno.
        assert_eq!(sent(&mut all, &dyno(1)), (Some(2), 2));
        let refused = all.answer(answer(Err(Refusal::QueueFull)));
        assert!(matches!(refused.kind, Some(Kind::Answer(refused)) if refused.app == "shop"));
    }

    #[test]
    fn numbers_are_used_again() {
        let mut all = Introductions::default();
        let dynos: Vec<_> = (0..=MOST).map(dyno).collect();
        for (n, dyno) in dynos.iter().enumerate() {
            let number = (n % MOST) as u32;
            assert_eq!(sent(&mut all, dyno), (Some(number), number));
        }
        assert_eq!(sent(&mut all, &dynos[MOST]), (None, 0));
        assert_eq!(sent(&mut all, &dynos[1]), (None, 1));
        assert_eq!(sent(&mut all, &dynos[0]), (Some(1), 1));
        assert_eq!((all.known.len(), all.numbers.len()), (MOST, MOST));
    }
}
