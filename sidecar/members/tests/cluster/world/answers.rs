//! A core: what it hears of its routers, and what it says.

use std::time::Duration;

use mesh::{Answer, Ask, FarAnswer, Mesh, Output, PeerId, WorkerId};
use rand::RngExt;

use super::{World, name};
use crate::node::Said;

impl World {
    pub(super) fn hear_routers(&mut self, at: usize) {
        let time = self.time(at);
        while let Some(said) = self.nodes[at].said.pop_front() {
            let node = &mut self.nodes[at];
            let Some(core) = &mut node.core else { return };
            let session = |router: usize| node.routers[router].session;
            match said {
                Said::Hello {
                    router,
                    worker,
                    held,
                } => {
                    let key = core.hello(WorkerId(worker), held, time).unwrap();
                    node.sessions.insert(key, router);
                    node.routers[router].session = Some(key);
                }
                Said::Ask {
                    router,
                    ask,
                    app,
                    arrived,
                    held,
                } => {
                    let waited = Duration::from_micros(self.now - arrived);
                    let name = format!("{app}.test");
                    let asked = Ask {
                        waited,
                        held,
                        // Some have a preference.
                        prefer: (ask.0 % 3 == 0).then_some(mesh::Prefer::Hash(ask.0 % 7)),
                        ..Ask::new(ask, &name)
                    };
                    let key = session(router).unwrap();
                    assert!(core.ask(key, asked, time));
                }
                Said::Cancel { router, ask } => core.cancel(session(router).unwrap(), ask, time),
                Said::Done {
                    router,
                    ask,
                    outcome,
                } => core.checkin(session(router).unwrap(), ask, outcome, time),
                Said::Gone { router } => {
                    if let Some(key) = node.routers[router].session.take() {
                        core.lose_session(key, time);
                        node.sessions.remove(&key);
                    }
                }
            }
            self.pass_on(at);
        }
    }

    pub(super) fn pass_on(&mut self, at: usize) {
        while let Some(output) = self.nodes[at].core.as_mut().and_then(Mesh::poll_output) {
            match output {
                Output::Answer(answer) => self.pass_answer(at, answer),
                Output::ToPeer(peer, word) => {
                    let to = (0..self.nodes.len()).find(|to| PeerId::of(&name(*to)) == peer);
                    let due = self.now + self.latency();
                    let link = self.links.get_mut(&(at, to.unwrap())).unwrap();
                    if link.up {
                        let last = link.down.back().map_or(0, |(due, _)| *due);
                        link.down.push_back((due.max(last), word));
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn pass_answer(&mut self, at: usize, answer: Answer) {
        let due = self.now + self.rng.random_range(50..2_000);
        if let Some(router) = self.nodes[at].sessions.get(&answer.session).copied() {
            self.nodes[at].routers[router]
                .answers
                .push_back((due, answer));
            return;
        }
        let mut links = self.links.iter_mut();
        let link = links.find(|((_, to), it)| *to == at && it.session == Some(answer.session));
        if let Some((_, link)) = link {
            let last = link.back.back().map_or(0, |(due, _)| *due);
            let far = FarAnswer {
                ask: answer.ask,
                wait: answer.wait,
                depth: answer.depth,
                in_use: answer.in_use,
                result: answer.result,
            };
            link.back.push_back((due.max(last), far));
        }
    }
}
