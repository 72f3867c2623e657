//! A router: one worker with its requests.

use std::collections::{BTreeMap, VecDeque};

use mesh::{Answer, AskId, SessionKey};

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) app: usize,
    pub(crate) arrived: u64,
    /// The dyno that has it, and until when.
    pub(crate) at: Option<(Box<str>, u64)>,
    /// Somebody who came later was served then.
    pub(crate) overtaken_at: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Router {
    pub(crate) worker: u64,
    pub(crate) session: Option<SessionKey>,
    /// Comes to its sidecar then.
    pub(crate) connects_at: u64,
    /// It has been there before, so what it asks was held.
    pub(crate) again: bool,
    pub(crate) last: u64,
    pub(crate) requests: BTreeMap<AskId, Request>,
    /// Answers on their way, of this session.
    pub(crate) answers: VecDeque<(u64, Answer)>,
}
