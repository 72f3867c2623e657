//! Links between sidecars, and what they carry.

use mesh::{PeerId, ToPeer};

use super::{World, name};

impl World {
    pub(super) fn can_reach(&self, from: usize, to: usize) -> bool {
        let open = |at: usize| self.nodes[at].cut_until <= self.now;
        open(from) && open(to)
    }

    pub(super) fn keep_links(&mut self) {
        let all: Vec<_> = self.links.keys().copied().collect();
        for (from, to) in all {
            let link = &self.links[&(from, to)];
            let wanted = self.nodes[from].others.contains(&*name(to));
            let answers = self.can_reach(from, to) && self.works(to) && self.works(from);
            let (up, dead_at, due) = (link.up, link.dead_at, link.next_try <= self.now);
            let now = self.now;
            match (up, answers, dead_at) {
                (false, true, _) if wanted && due => self.open_link(from, to),
                (true, _, _) if !wanted && self.works(from) => {
                    self.break_link(from, to, now + 20_000);
                }
                (true, false, None) => {
                    self.links.get_mut(&(from, to)).unwrap().dead_at = Some(now + 1_000_000);
                }
                (true, true, Some(_)) => self.links.get_mut(&(from, to)).unwrap().dead_at = None,
                (true, false, Some(dead)) if dead <= now => {
                    self.break_link(from, to, now + 100_000);
                }
                _ => {}
            }
        }
    }

    pub(super) fn open_link(&mut self, from: usize, to: usize) {
        self.say(|| format!("{from} can ask {to}"));
        let time = self.time(from);
        self.links.get_mut(&(from, to)).unwrap().up = true;
        if let Some(core) = &mut self.nodes[from].core {
            core.peer_up(PeerId::of(&name(to)), time);
        }
        self.pass_on(from);
    }

    pub(super) fn break_link(&mut self, from: usize, to: usize, next_try: u64) {
        let link = self.links.get_mut(&(from, to)).unwrap();
        if !link.up {
            return;
        }
        let session = link.end(next_try);
        self.say(|| format!("{from} can't ask {to} any more"));
        let time = self.time(from);
        if let Some(core) = &mut self.nodes[from].core {
            core.peer_down(PeerId::of(&name(to)), time);
        }
        let time = self.time(to);
        if let Some(core) = &mut self.nodes[to].core
            && let Some(session) = session
        {
            core.lose_session(session, time);
        }
        // Whoever stands still says this when it goes on.
    }

    pub(super) fn hear_peers(&mut self, at: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != at) {
            if !self.can_reach(at, other) {
                continue;
            }
            while let Some(link) = self.links.get_mut(&(other, at))
                && let Some((due, _)) = link.down.front()
                && *due <= self.now
                && let Some((_, word)) = link.down.pop_front()
            {
                self.hear_peer(at, other, word);
                self.pass_on(at);
            }
            while let Some(link) = self.links.get_mut(&(at, other))
                && let Some((due, _)) = link.back.front()
                && *due <= self.now
                && let Some((_, answer)) = link.back.pop_front()
            {
                let (time, peer) = (self.time(at), PeerId::of(&name(other)));
                self.say(|| format!("{other} answers {at} {answer:?}"));
                if let Some(core) = &mut self.nodes[at].core {
                    core.peer_answer(peer, answer, time);
                }
                self.pass_on(at);
            }
        }
    }

    pub(super) fn hear_peer(&mut self, at: usize, from: usize, word: ToPeer) {
        let time = self.time(at);
        self.say(|| format!("{from} tells {at} {word:?}"));
        let link = self.links.get_mut(&(from, at)).unwrap();
        let Some(core) = &mut self.nodes[at].core else {
            return;
        };
        if let ToPeer::Hello(held) = word {
            let session = core.peer_hello(PeerId::of(&name(from)), held, time);
            link.session = Some(session.unwrap());
            return;
        }
        let Some(session) = link.session else { return };
        match word {
            ToPeer::Hello(_) => {}
            ToPeer::Ask(ask) => assert!(core.peer_ask(session, ask, time)),
            ToPeer::Cancel(ask) => core.cancel(session, ask, time),
            ToPeer::Checkin(ask, outcome) => core.checkin(session, ask, outcome, time),
            ToPeer::Report(held) => core.peer_report(session, held, time),
            ToPeer::Vouch(of, held) => core.peer_vouch(of, held, time).unwrap(),
        }
    }
}
