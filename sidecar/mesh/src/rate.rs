//! How many requests an app takes: of all its clients together, and of each one.
//!
//! There is a bucket for the app and one for each client. A request takes a token of both,
//! or is refused if one has none; tokens come evenly. Of a bucket it is known when it will
//! be full again, and no more: one that is full is like one that is not there. (GCRA:
//! ITU-T I.371, 1993.)

use std::{mem, ops::RangeInclusive, time::Duration};

use rand::RngExt;
use rustc_hash::FxHashMap;

use crate::{
    AppKey, ChangeError, Mesh, Refusal, Settings, Time, checkout::Decision, queue::Request,
    shard::mix,
};

/// What `requests` and `burst` of a [`Rate`] may be.
pub const RATES: RangeInclusive<u32> = 1..=1_000_000;
/// What `per` may be.
pub const RATE_SPANS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Clients that are known of all apps together, as far as each may have a few.
const MOST: usize = 2_097_152;
/// Clients that are known of one app. Where there are more, who came first is forgotten.
const MOST_OF_APP: RangeInclusive<usize> = 1_024..=65_536;
/// No bucket is forgotten sooner, unless there are too many.
const MEMORY: u64 = 1_000_000_000;

/// So many requests in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many ...
    pub requests: u32,
    /// ... in so long, evenly.
    pub per: Duration,
    /// How many at once, after there were none for a while. `None`: as many as in a
    /// second, and at least one.
    pub burst: Option<u32>,
}

impl Rate {
    pub(crate) fn check(self, name: &str) -> Result<(), ChangeError> {
        let numbers =
            RATES.contains(&self.requests) && self.burst.is_none_or(|burst| RATES.contains(&burst));
        match numbers && RATE_SPANS.contains(&self.per) {
            true => Ok(()),
            false => Err(ChangeError::Invalid(format!(
                "{name} is 1 to {} requests in a second to an hour, and as many at once",
                RATES.end()
            ))),
        }
    }
}

/// A rate as buckets are counted by, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Between two tokens.
    interval: u64,
    /// From an empty bucket to a full one.
    depth: u64,
}

impl Pace {
    fn of(rate: Rate) -> Self {
        let requests = u64::from(rate.requests.max(1));
        let per = u64::try_from(rate.per.as_nanos()).unwrap_or(u64::MAX);
        let interval = (per / requests).max(1);
        let second = requests.div_ceil(rate.per.as_secs().max(1));
        let burst = rate.burst.map_or(second, u64::from).max(1);
        Self {
            interval,
            depth: interval.saturating_mul(burst),
        }
    }

    /// Takes a token of a bucket that is full at a time: when it is full again, or in how
    /// long there is a token.
    fn take(self, full: u64, now: u64) -> Result<u64, u64> {
        let next = full.max(now).saturating_add(self.interval);
        match (next - now).checked_sub(self.depth) {
            None | Some(0) => Ok(next),
            Some(wait) => Err(wait),
        }
    }
}

/// The buckets of an app.
#[derive(Debug)]
pub(crate) struct Rates {
    /// And when it is full.
    all: Option<(Pace, u64)>,
    clients: Option<Clients>,
}

/// A bucket for each client that came lately: when it is full.
#[derive(Debug)]
struct Clients {
    pace: Pace,
    /// Addresses come from whoever has them, so their places are secret.
    secret: u64,
    young: FxHashMap<u64, u64>,
    /// Those who came before these, and not since.
    old: FxHashMap<u64, u64>,
    /// When there were no young ones.
    since: u64,
}

impl Rates {
    fn of(settings: &Settings, secret: u64) -> Option<Self> {
        let all = settings.max_rate.map(|rate| (Pace::of(rate), 0));
        let clients = settings.max_client_rate.map(|rate| Clients {
            pace: Pace::of(rate),
            secret,
            young: FxHashMap::default(),
            old: FxHashMap::default(),
            since: 0,
        });
        let some = all.is_some() || clients.is_some();
        some.then_some(Self { all, clients })
    }

    /// A request of this client comes; 0: it is not known whose. `most` clients may be
    /// known. If it is too soon, says by how much; then it has taken nothing.
    fn take(&mut self, client: u64, most: usize, now: u64) -> Result<(), u64> {
        let all = self.all.map(|(pace, full)| pace.take(full, now));
        let all = all.transpose()?;
        if client != 0
            && let Some(clients) = &mut self.clients
        {
            clients.take(client, most, now)?;
        }
        if let (Some((_, full)), Some(next)) = (&mut self.all, all) {
            *full = next;
        }
        Ok(())
    }
}

impl Clients {
    fn take(&mut self, client: u64, most: usize, now: u64) -> Result<(), u64> {
        // Who is old for so long has a full bucket again.
        let over = self.since.saturating_add(self.pace.depth.max(MEMORY));
        if now >= over || self.young.len() >= most / 2 {
            self.old = mem::take(&mut self.young);
            self.since = now;
        }
        let place = mix(client ^ self.secret);
        let young = self.young.get(&place);
        let full = young.or_else(|| self.old.get(&place)).copied().unwrap_or(0);
        let taken = self.pace.take(full, now);
        self.young.insert(place, taken.unwrap_or(full));
        taken.map(|_| ())
    }
}

impl Settings {
    pub(crate) fn check_rates(&self) -> Result<(), ChangeError> {
        let rates = [
            ("max_rate", self.max_rate),
            ("max_client_rate", self.max_client_rate),
        ];
        rates
            .into_iter()
            .filter_map(|(name, rate)| Some((name, rate?)))
            .try_for_each(|(name, rate)| rate.check(name))
    }
}

impl Mesh {
    /// After a change: buckets of other sizes begin full.
    pub(crate) fn review_rates(&mut self, key: AppKey, before: &Settings) {
        let app = &mut self.apps[key.0 as usize];
        let rates = |of: &Settings| (of.max_rate, of.max_client_rate);
        if rates(app.settings()) != rates(before) {
            self.by_client -= usize::from(before.max_client_rate.is_some());
            self.by_client += usize::from(app.settings().max_client_rate.is_some());
            app.rates = Rates::of(app.settings(), self.rng.random()).map(Box::new);
        }
    }

    /// An app is deleted.
    pub(crate) fn forget_rates(&mut self, key: AppKey) {
        let app = &mut self.apps[key.0 as usize];
        self.by_client -= usize::from(app.settings().max_client_rate.is_some());
        app.rates = None;
    }

    /// A request comes, for the first time: `Some` if it comes too soon.
    pub(crate) fn too_soon(&mut self, request: &Request, now: Time) -> Option<Decision> {
        let app = &mut self.apps[request.app.0 as usize];
        // What most apps don't have lies apart.
        let rates = match app.terms().rated {
            true => app.rates.as_deref_mut()?,
            false => return None,
        };
        let most = MOST / self.by_client.max(1);
        let most = most.clamp(*MOST_OF_APP.start(), *MOST_OF_APP.end());
        let now = now.as_micros().saturating_mul(1_000);
        let wait = rates.take(request.client, most, now).err()?;
        let seconds = u32::try_from(wait.div_ceil(1_000_000_000)).unwrap_or(u32::MAX);
        Some(Decision::Refuse(Refusal::RateLimited(seconds)))
    }
}

#[cfg(test)]
mod tests;
