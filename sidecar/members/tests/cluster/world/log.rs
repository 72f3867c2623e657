//! The log: what is written comes to all, late.

use members::Output as Write;

use super::World;

impl World {
    pub(super) fn append(&mut self, at: usize) {
        while self.stalled_until <= self.now
            && self.nodes[at].deaf_until <= self.now
            && let Some((due, _)) = self.nodes[at].leaving.front()
            && *due <= self.now
            && let Some((_, entry)) = self.nodes[at].leaving.pop_front()
        {
            if !self.chance(500) {
                self.log.push(entry);
            }
        }
    }

    pub(super) fn deliver(&mut self, at: usize) {
        let away = self.nodes[at].deaf_until > self.now || self.stalled_until > self.now;
        if away || self.nodes[at].core.is_none() {
            return;
        }
        while self.nodes[at].next < self.log.len() {
            let delay = self.latency();
            let node = &mut self.nodes[at];
            node.heard_at = node.heard_at.max(self.now + delay);
            node.next += 1;
            node.arriving.push_back((node.heard_at, node.next as u64));
        }
    }

    pub(super) fn read_log(&mut self, at: usize) {
        let time = self.time(at);
        while let Some((due, place)) = self.nodes[at].arriving.front().copied()
            && due <= self.now
        {
            self.nodes[at].arriving.pop_front();
            let entry = self.log[place as usize - 1].clone();
            if let Some(membership) = &mut self.nodes[at].membership {
                membership.entry(place, &entry, time);
            }
            self.seat(at);
        }
        if let Some(membership) = &mut self.nodes[at].membership
            && membership.poll_timeout().is_some_and(|due| due <= time)
        {
            membership.handle_timeout(time);
            self.seat(at);
        }
    }

    /// It has another connection to the log, and does not know what it has missed.
    pub(crate) fn join_anew(&mut self, at: usize) {
        if !self.works(at) || self.nodes[at].stops_at.is_some() {
            return;
        }
        let time = self.time(at);
        let next = self.log.len();
        let node = &mut self.nodes[at];
        if let Some(membership) = &mut node.membership {
            membership.begin_anew(time);
        }
        node.next = next;
        node.arriving.clear();
        self.report.anew += 1;
        self.say(|| format!("{at} joins anew"));
        self.seat(at);
    }

    /// What the log says is told to the core.
    pub(crate) fn seat(&mut self, at: usize) {
        let time = self.time(at);
        let mut words = Vec::new();
        let node = &mut self.nodes[at];
        let (Some(membership), Some(core)) = (&mut node.membership, &mut node.core) else {
            return;
        };
        while let Some(output) = membership.poll_output() {
            if let Write::Write(entry) = output {
                words.push(entry);
            }
        }
        let epoch = membership.epoch();
        let mut begin_anew = false;
        if epoch.is_none() && node.epoch.take().is_some() {
            begin_anew = core.disown(time);
        }
        if epoch.is_some() && epoch != node.epoch {
            node.epoch = epoch;
            self.report.moved += 1;
            if let Some(ownership) = membership.ownership() {
                core.own(ownership, time);
            }
        }
        core.serve_term(membership.term(), time);
        if epoch.is_some() {
            let members = membership.members().map(|it| it.node.name.clone());
            node.others = members.collect();
            node.known = membership.known();
        }
        if begin_anew {
            for other in (0..self.nodes.len()).filter(|other| *other != at) {
                self.break_link(other, at, self.now + 20_000);
            }
        }
        for entry in words {
            self.say(|| format!("{at} writes {:?}", entry.kind));
            let delay = self.latency();
            let node = &mut self.nodes[at];
            node.wrote_at = node.wrote_at.max(self.now + delay);
            node.leaving.push_back((node.wrote_at, entry));
        }
        self.pass_on(at);
    }
}
