//! Entries on their way into the log.
//!
//! What was not confirmed stays here, and is published again in the next
//! session under the same id, for as long as somebody waits for it.

mod report;
mod say;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use lapin::{Channel, Confirmation};
use tokio::{sync::mpsc, time::interval};

use say::{Confirm, Confirms, say};

use super::{
    dead_letter::DeadLetter,
    meaning::{MAX_ENTRY, change_key},
    problem::Problem,
    retry::{Again, Retries},
    topology::Names,
    waiting::Waiting,
};
use crate::{
    convert::said_to_bytes,
    driver::{ApplyError, Driver, Proposal, Proposals, Said, Wanted, What},
};

/// Entries that are not confirmed yet, at most.
const WINDOW: usize = 1_000;
/// A broker that takes longer to confirm one does not work.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the reading side wants of the publishing one.
#[derive(Debug)]
pub(super) enum Order {
    /// To say something in the log.
    Say(Said),
    /// The log is this one, and this sidecar is in step: changes may be published.
    InSync(u128),
    /// To keep a copy.
    Dead(Box<DeadLetter>),
}

/// What is not confirmed, over sessions.
pub(super) struct Publisher {
    node: Box<str>,
    names: Names,
    driver: Arc<Driver>,
    waiting: Arc<Waiting>,
    retries: Retries,
    /// In the order in which they were proposed.
    outstanding: BTreeMap<u64, Outgoing>,
    next: u64,
}

struct Outgoing {
    key: u128,
    said: Said,
    /// When it was published in this session.
    published: Option<Instant>,
}

/// One session's part.
pub(super) struct Outlet<'a> {
    pub(super) channel: &'a Channel,
    pub(super) orders: &'a mut mpsc::Receiver<Order>,
    pub(super) proposals: &'a mut Proposals,
    /// The broker takes nothing at the moment, and said so.
    pub(super) is_blocked: &'a std::cell::Cell<bool>,
}

impl Publisher {
    pub(super) fn new(
        node: &str,
        names: Names,
        driver: Arc<Driver>,
        waiting: Arc<Waiting>,
    ) -> Self {
        Self {
            node: node.into(),
            names,
            driver,
            waiting,
            retries: Retries::new(),
            outstanding: BTreeMap::new(),
            next: 0,
        }
    }

    /// Publishes until something goes wrong.
    pub(super) async fn run(&mut self, outlet: Outlet<'_>) -> Problem {
        for outgoing in self.outstanding.values_mut() {
            outgoing.published = None;
        }
        match self.publish(outlet).await {
            Ok(never) => match never {},
            Err(problem) => problem,
        }
    }

    async fn publish(&mut self, outlet: Outlet<'_>) -> Result<std::convert::Infallible, Problem> {
        let Outlet {
            channel,
            orders,
            proposals,
            is_blocked,
        } = outlet;
        let mut confirms = Confirms::new();
        let mut looks = interval(LOOK_EVERY);
        let mut log = None;
        loop {
            let is_free = log.is_some() && self.outstanding.len() < WINDOW;
            tokio::select! {
                Some(order) = orders.recv() => match order {
                    Order::Say(said) => {
                        confirms.push(say(channel, &self.names.route, None, &said).await?);
                    }
                    Order::InSync(synced) => {
                        log = Some(synced);
                        self.driver.tell_all();
                        self.again(channel, synced, &mut confirms).await?;
                    }
                    Order::Dead(letter) => {
                        letter.publish(channel, &self.names.dead_exchange).await?;
                    }
                },
                Some(confirm) = confirms.next() => self.confirmed(confirm)?,
                Some(again) = self.retries.next(), if is_free => {
                    if let Some(number) = self.take(again, log) {
                        self.send(channel, number, &mut confirms).await?;
                    }
                }
                Some(wanted) = proposals.next(), if is_free => match wanted {
                    Wanted::Report(word) => {
                        self.report(channel, word, log, &mut confirms).await?;
                    }
                    Wanted::Change(proposal) => {
                        let first = Again { proposal, tries: 0 };
                        if let Some(number) = self.take(first, log) {
                            self.send(channel, number, &mut confirms).await?;
                        }
                    }
                },
                _ = looks.tick() => {
                    self.forget_given_up();
                    proposals.set_under_way(self.waiting.len());
                    if !is_blocked.get() {
                        self.look()?;
                        self.report_due(channel, log, &mut confirms).await?;
                    }
                }
            }
        }
    }

    /// A change to be published. `None`: it can't be.
    fn take(&mut self, again: Again, log: Option<u128>) -> Option<u64> {
        let Again {
            mut proposal,
            tries,
        } = again;
        if let Err(error) = self.driver.admit(&proposal.change) {
            // An error means that the caller is gone.
            let _ = proposal.reply.send(Err(error.into()));
            return None;
        }
        let wanted = proposal.change.clone();
        // One that has an id comes under that alone.
        if proposal.id.is_none()
            && self.driver.recognise(&mut proposal.change)
            && wanted.base_version.is_none()
        {
            let change = std::mem::replace(&mut proposal.change, wanted);
            let tries = tries + 1;
            let reply = self.retries.guard(Again { proposal, tries });
            proposal = Proposal {
                change,
                reply,
                id: None,
                queue: None,
            };
        }
        let change_id = proposal.id.take();
        let change_id =
            change_id.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()).into());
        let key = change_key(&change_id, 0, 0);
        let said = Said {
            log,
            change_id,
            node: self.node.clone(),
            what: What::Change(proposal.change),
        };
        let size = said_to_bytes(&said).len();
        if size > MAX_ENTRY {
            let why = format!("a change has {MAX_ENTRY} bytes at most, this one has {size}");
            let refused = ApplyError::Refused(mesh::ChangeError::Invalid(why));
            // An error means that the caller is gone.
            let _ = proposal.reply.send(Err(refused));
            return None;
        }
        self.waiting.insert(key, proposal.reply);
        let number = self.next;
        self.next += 1;
        let outgoing = Outgoing {
            key,
            said,
            published: None,
        };
        self.outstanding.insert(number, outgoing);
        Some(number)
    }

    /// What the last session left, in order.
    async fn again(
        &mut self,
        channel: &Channel,
        log: u128,
        confirms: &mut Confirms,
    ) -> Result<(), Problem> {
        self.forget_given_up();
        let numbers: Vec<_> = self.outstanding.keys().copied().collect();
        for number in numbers {
            if let Some(outgoing) = self.outstanding.get_mut(&number) {
                outgoing.said.log = Some(log);
            }
            self.send(channel, number, confirms).await?;
        }
        Ok(())
    }

    async fn send(
        &mut self,
        channel: &Channel,
        number: u64,
        confirms: &mut Confirms,
    ) -> Result<(), Problem> {
        let Some(outgoing) = self.outstanding.get_mut(&number) else {
            return Ok(());
        };
        outgoing.published = Some(Instant::now());
        let said = outgoing.said.clone();
        confirms.push(say(channel, &self.names.route, Some(number), &said).await?);
        Ok(())
    }

    fn confirmed(&mut self, (number, confirmation): Confirm) -> Result<(), Problem> {
        match confirmation? {
            Confirmation::Ack(None) => {
                if let Some(number) = number {
                    self.outstanding.remove(&number);
                }
                Ok(())
            }
            Confirmation::Ack(Some(_)) => Err(Problem::new(
                "an entry came back: the exchange leads nowhere",
            )),
            Confirmation::Nack(_) => Err(Problem::new("the broker did not store an entry")),
            Confirmation::NotRequested => Err(Problem::new("the broker confirms nothing")),
        }
    }

    /// Nobody waits for it any more: whether it is in the log is not known, and
    /// its caller was told so.
    fn forget_given_up(&mut self) {
        let waiting = &self.waiting;
        self.outstanding
            .retain(|_, outgoing| waiting.contains(outgoing.key));
    }

    fn look(&self) -> Result<(), Problem> {
        let published = self.outstanding.values().filter_map(|out| out.published);
        match published.min() {
            Some(oldest) if oldest.elapsed() > CONFIRM_WITHIN => Err(Problem::new(format!(
                "the broker confirmed nothing within {CONFIRM_WITHIN:?}"
            ))),
            _ => Ok(()),
        }
    }
}
