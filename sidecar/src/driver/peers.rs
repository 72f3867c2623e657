//! Links to the other members, and from them: who owns apps of routers here is asked,
//! and whoever asks about apps of this sidecar's has a session like a router's.

use std::{collections::HashMap, sync::Arc, task::Waker, time::Duration};

use mesh::{Answer, FarAnswer, PeerId, SessionKey, ToPeer};

use tokio::time::{sleep, timeout};

use super::{Driver, Line, Peer, Peering};

/// Where what the core says to other sidecars goes.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// To those that can be asked.
    to: HashMap<PeerId, Arc<Line<ToPeer>>>,
    /// From those that ask. Without a session: it has not said hello yet.
    from: HashMap<PeerId, (Option<SessionKey>, Arc<Line<FarAnswer>>)>,
    /// The answers of each session.
    answers: HashMap<SessionKey, Arc<Line<FarAnswer>>>,
}

impl Lines {
    /// Returns whom to wake.
    pub(super) fn tell(&self, peer: PeerId, word: ToPeer) -> Option<Waker> {
        self.to.get(&peer)?.put(word)
    }

    /// Returns whom to wake.
    pub(super) fn answer(&self, answer: Answer) -> Option<Waker> {
        self.answers.get(&answer.session)?.put(FarAnswer {
            ask: answer.ask,
            wait: answer.wait,
            depth: answer.depth,
            in_use: answer.in_use,
            result: answer.result,
        })
    }

    fn session(&self, peer: PeerId) -> Option<SessionKey> {
        self.from.get(&peer)?.0
    }

    /// It has said something that can't be: it begins anew.
    fn break_off(&self, peer: PeerId, why: &str) {
        if let Some((_, line)) = self.from.get(&peer) {
            tracing::error!(
                peer = peer.0,
                "a link of another sidecar is broken off: {why}"
            );
            line.break_off();
        }
    }

    /// Whoever asks this sidecar begins anew.
    pub(super) fn break_off_all(&self) {
        self.from.values().for_each(|(_, line)| line.break_off());
    }

    /// Everything that was said to others is on its way.
    pub(super) fn are_empty(&self) -> bool {
        self.to.values().all(|line| line.is_empty())
    }
}

/// Others are told so long what is held here, by who stops.
const TELL_WITHIN: Duration = Duration::from_millis(200);
/// How often it is looked whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Driver {
    /// Returns when the links have taken what others are to be told, if they do so soon:
    /// whoever decides next needs it.
    pub async fn until_told(&self) {
        let told = async {
            loop {
                // Also what was taken is on its way a moment later.
                sleep(LOOK_EVERY).await;
                if self.state.lock().lines.are_empty() {
                    return;
                }
            }
        };
        // Whoever is not told has to wait longer.
        let _ = timeout(TELL_WITHIN, told).await;
    }

    /// Its first word. Without it nothing else counts.
    fn greeted(&self, peer: PeerId, held: mesh::Held) {
        self.act_on_state(None, |state, now| {
            let Some((session, line)) = state.lines.from.get_mut(&peer) else {
                return;
            };
            match state.mesh.peer_hello(peer, held, now) {
                Ok(key) => {
                    *session = Some(key);
                    let line = line.clone();
                    state.lines.answers.insert(key, line);
                }
                Err(error) => state.lines.break_off(peer, &error.to_string()),
            }
        });
    }
}

impl Peering for Driver {
    fn wanted(&self) -> Vec<Peer> {
        self.other_members()
    }

    async fn wanted_changed(&self) {
        self.members_changed().await;
    }

    fn link_up(&self, owner: PeerId, line: &Arc<Line<ToPeer>>) {
        self.act_on_state(None, |state, now| {
            state.lines.to.insert(owner, line.clone());
            state.mesh.peer_up(owner, now);
        });
    }

    fn answered(&self, owner: PeerId, answer: FarAnswer) {
        self.act(None, |mesh, now| mesh.peer_answer(owner, answer, now));
    }

    fn link_down(&self, owner: PeerId) {
        self.act_on_state(None, |state, now| {
            state.lines.to.remove(&owner);
            state.mesh.peer_down(owner, now);
        });
    }

    fn opened(&self, asking: PeerId, line: &Arc<Line<FarAnswer>>) {
        self.act_on_state(None, |state, _| {
            state.lines.from.insert(asking, (None, line.clone()));
        });
    }

    fn asked(&self, asking: PeerId, word: ToPeer) {
        if let ToPeer::Hello(held) = word {
            return self.greeted(asking, held);
        }
        self.act_on_state(None, |state, now| {
            let Some(session) = state.lines.session(asking) else {
                return state.lines.break_off(asking, "it did not say hello first");
            };
            let mesh = &mut state.mesh;
            match word {
                ToPeer::Hello(_) => {}
                ToPeer::Ask(ask) => {
                    let number = ask.id.0;
                    if !mesh.peer_ask(session, ask, now) {
                        let why = format!("ask {number} is asked already");
                        state.lines.break_off(asking, &why);
                    }
                }
                ToPeer::Cancel(ask) => mesh.cancel(session, ask, now),
                ToPeer::Checkin(ask, outcome) => mesh.checkin(session, ask, outcome, now),
                ToPeer::Report(held) => mesh.peer_report(session, held, now),
                ToPeer::Vouch(of, held) => {
                    if let Err(error) = mesh.peer_vouch(of, held, now) {
                        // Its leases count as unknown, as they would without a word.
                        tracing::error!("what another sidecar holds is not known: {error}");
                    }
                }
            }
        });
    }

    fn closed(&self, asking: PeerId) {
        self.act_on_state(None, |state, now| {
            if let Some((Some(session), _)) = state.lines.from.remove(&asking) {
                state.lines.answers.remove(&session);
                state.mesh.lose_session(session, now);
            }
        });
    }
}
