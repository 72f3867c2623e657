//! The model: what the mesh is supposed to do, written without a thought of speed.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use mesh::{Answer, AppSpec, AskId, Event, Limits, Output, Prefer, Refusal, SessionKey, Time};

mod change;
mod checkin;
mod checkout;
mod look;
mod next;
mod nodes;
mod rate;
mod reserve;
mod session;
mod time;

use crate::hints::Hints;

pub(crate) struct Reference {
    pub(crate) limits: Limits,
    pub(crate) now: Time,
    pub(crate) apps: Vec<App>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) leases: Vec<Lease>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) recovery: Option<(BTreeSet<usize>, Time)>,
    pub(crate) nodes: BTreeMap<u64, nodes::Node>,
    /// What the mesh said and nobody has expected yet.
    pub(crate) outputs: VecDeque<Output>,
    serial: u64,
}

pub(crate) struct App {
    /// Another one when it is deleted and created again.
    pub(crate) id: u64,
    pub(crate) spec: AppSpec,
    pub(crate) dynos: Vec<Trust>,
    dyno_needed: bool,
    /// How long its queue grew by requests that nobody turns away.
    stretch: u32,
    pub(crate) hints: Hints,
    tokens: rate::Tokens,
}

/// What is known of a dyno beside its specification; in the same order.
#[derive(Clone, Default)]
pub(crate) struct Trust {
    pub(crate) quarantine: Option<Time>,
    strikes: u32,
}

pub(crate) struct Session {
    pub(crate) worker: usize,
    pub(crate) key: SessionKey,
    pub(crate) lost_until: Option<Time>,
    /// When the newest of those arrived that asked for the first time.
    newest: Time,
}

#[derive(Clone)]
pub(crate) struct Lease {
    pub(crate) session: SessionKey,
    pub(crate) ask: AskId,
    pub(crate) instance: Box<str>,
    app: u64,
    /// No request has it yet.
    pub(crate) reserved: bool,
    /// It can be recalled: no request has it, or one after the other.
    pub(crate) ahead: bool,
    /// It may be handed on.
    pub(crate) goes_on: bool,
}

#[derive(Clone)]
pub(crate) struct Waiter {
    pub(crate) session: SessionKey,
    pub(crate) ask: AskId,
    app: u64,
    arrived: Time,
    served: Duration,
    joined: u64,
    deadline: Time,
    tried: Vec<Box<str>>,
    prefer: Option<Prefer>,
    pub(crate) passes_on: bool,
}

#[derive(Debug)]
enum Decision {
    /// Any of these instances.
    Route(Vec<Box<str>>),
    WaitBusy,
    WaitBoot,
    NeedDyno,
    Refuse(Refusal),
}

impl Reference {
    pub(crate) fn new(limits: Limits, now: Time) -> Self {
        Self {
            limits,
            now,
            apps: vec![],
            sessions: vec![],
            leases: vec![],
            waiters: vec![],
            recovery: None,
            nodes: BTreeMap::new(),
            outputs: VecDeque::new(),
            serial: 0,
        }
    }

    fn answer(&mut self, session: SessionKey, ask: AskId) -> Answer {
        match self.outputs.pop_front() {
            Some(Output::Answer(answer)) => {
                assert_eq!(
                    (answer.session, answer.ask),
                    (session, ask),
                    "the wrong one is answered"
                );
                answer
            }
            other => panic!("{ask:?} shall be answered, not {other:?}"),
        }
    }

    pub(crate) fn event(&mut self, wanted: impl Fn(&Event) -> bool, what: &str) {
        match self.outputs.pop_front() {
            Some(Output::Event(event)) if wanted(&event) => {}
            other => panic!("{what} is expected, not {other:?}"),
        }
    }
}
