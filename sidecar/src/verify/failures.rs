//! Clients that were wrong, by app and network: ten times at once, then once a second.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::Asked;

/// How often a client may be wrong at once ...
const BURST: f64 = 10.0;
/// ... and then in a second.
const RATE: f64 = 1.0;
/// Clients that are told apart; the one that was wrong first is forgotten first.
const MOST: usize = 65_536;

/// An address, or as much of it as one customer of a provider has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    Four(u32),
    Six(u64),
    /// A client without an address.
    None,
}

impl Network {
    fn of(client: Option<IpAddr>) -> Self {
        match client.map(|client| client.to_canonical()) {
            Some(IpAddr::V4(four)) => Self::Four(four.into()),
            Some(IpAddr::V6(six)) => Self::Six((u128::from(six) >> 64) as u64),
            None => Self::None,
        }
    }
}

type Who = (Arc<str>, Network);

/// How often somebody may be wrong yet, at that time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn left(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + since * RATE).min(BURST)
    }
}

#[derive(Debug, Default)]
pub(super) struct Failures {
    buckets: HashMap<Who, Bucket>,
    order: VecDeque<Who>,
}

impl Failures {
    /// How long this client has to wait before it may try again.
    pub(super) fn limited(&self, asked: &Asked, now: Instant) -> Option<Duration> {
        let left = self.buckets.get(&who(asked))?.left(now);
        (left < 1.0).then(|| Duration::from_secs_f64((1.0 - left) / RATE))
    }

    /// This client was wrong.
    pub(super) fn note(&mut self, asked: &Asked, now: Instant) {
        let who = who(asked);
        if let Some(bucket) = self.buckets.get_mut(&who) {
            let left = (bucket.left(now) - 1.0).max(0.0);
            *bucket = Bucket { left, at: now };
            return;
        }
        self.tidy(now);
        let left = BURST - 1.0;
        self.buckets.insert(who.clone(), Bucket { left, at: now });
        self.order.push_back(who);
    }

    /// Looks at two for each that comes, so that there are never many of no use.
    fn tidy(&mut self, now: Instant) {
        for _ in 0..2 {
            let Some(first) = self.order.pop_front() else {
                return;
            };
            let left = self.buckets.get(&first).map_or(BURST, |b| b.left(now));
            if left >= BURST || self.order.len() + 1 >= MOST {
                self.buckets.remove(&first);
            } else {
                self.order.push_back(first);
            }
        }
    }
}

fn who(asked: &Asked) -> Who {
    (asked.app.clone(), Network::of(asked.client))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(app: &str, client: &str) -> Asked {
        Asked {
            app: app.into(),
            credential: Box::default(),
            client: client.parse().ok(),
            shown: Default::default(),
        }
    }

    #[test]
    fn ten_at_once_then_one_a_second() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        let client = from("shop", "192.0.2.1");
        for _ in 0..10 {
            assert_eq!(failures.limited(&client, start), None);
            failures.note(&client, start);
        }
        let after = failures.limited(&client, start).expect("a limit");
        assert!(after > Duration::ZERO && after <= Duration::from_secs(1));
        // Others are others.
        for other in [
            from("shop", "192.0.2.2"),
            from("blog", "192.0.2.1"),
            from("shop", ""),
        ] {
            assert_eq!(failures.limited(&other, start), None);
        }
        let later = start + Duration::from_secs(1);
        assert_eq!(failures.limited(&client, later), None);
        failures.note(&client, later);
        assert!(failures.limited(&client, later).is_some());
        let much_later = start + Duration::from_secs(60);
        for _ in 0..10 {
            assert_eq!(failures.limited(&client, much_later), None);
            failures.note(&client, much_later);
        }
        assert!(failures.limited(&client, much_later).is_some());
    }

    #[test]
    fn a_network_is_one_client() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for n in 0..10 {
            failures.note(&from("shop", &format!("2001:db8:0:1::{n}")), now);
        }
        assert!(
            failures
                .limited(&from("shop", "2001:db8:0:1:f::"), now)
                .is_some()
        );
        assert!(
            failures
                .limited(&from("shop", "2001:db8:0:2::"), now)
                .is_none()
        );
        for _ in 0..10 {
            failures.note(&from("shop", "::ffff:192.0.2.1"), now);
        }
        assert!(failures.limited(&from("shop", "192.0.2.1"), now).is_some());
    }

    #[test]
    fn there_is_an_end_to_it() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for n in 0..=MOST as u32 {
            let client = IpAddr::from(n.to_be_bytes());
            failures.note(&from("shop", &client.to_string()), now);
        }
        assert!(failures.buckets.len() <= MOST);
        assert_eq!(failures.buckets.len(), failures.order.len());
        let later = now + Duration::from_secs(60);
        for n in 0..MOST as u32 {
            let client = IpAddr::from((n | 0x8000_0000).to_be_bytes());
            failures.note(&from("shop", &client.to_string()), later);
        }
        assert!(failures.buckets.len() <= MOST);
    }
}
