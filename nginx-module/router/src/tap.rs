//! Operators look at requests of an app as they end. Nothing is done for it unless
//! somebody looks.

use std::collections::VecDeque;

use dynomesh_proto::v1::{self, Tapped, TappedRequest};

/// Taps at once.
const MOST: usize = 16;
/// Requests that may wait to be told of; those beyond are counted.
const WAITING: usize = 1_024;
/// Requests in a message.
const AT_ONCE: usize = 64;
/// Bytes of a path.
const PATH: usize = 200;
/// What a sample is a part of.
const WHOLE: u64 = 1_000_000;

/// What is told of a request that is tapped is worked out by the caller; this is what
/// the taps are looked through by.
#[derive(Clone, Copy, Debug)]
pub struct Traits<'a> {
    /// Whose it was.
    pub app: &'a str,
    /// What the client was told.
    pub status: u16,
    /// The code of what went wrong; empty: nothing did.
    pub error: &'a str,
    /// From its arrival to its end.
    pub total_ms: u64,
}

#[derive(Debug)]
struct Tap {
    number: u64,
    filter: v1::TapFilter,
}

impl Tap {
    fn wants(&self, traits: &Traits<'_>) -> bool {
        let v1::TapFilter {
            app,
            status,
            error,
            slow_ms,
            ..
        } = &self.filter;
        let by_status = match *status {
            0 => true,
            class @ 1..10 => u32::from(traits.status) / 100 == class,
            status => u32::from(traits.status) == status,
        };
        app == traits.app
            && by_status
            && (error.is_empty() || error == traits.error)
            && traits.total_ms >= u64::from(*slow_ms)
    }
}

/// The taps that there are, and what they got.
#[derive(Debug)]
pub(crate) struct Taps {
    taps: Vec<Tap>,
    requests: VecDeque<TappedRequest>,
    lost: u64,
    /// Of a generator that need not be good (xorshift); never zero.
    random: u64,
}

impl Taps {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            taps: Vec::new(),
            requests: VecDeque::new(),
            lost: 0,
            random: seed | 1,
        }
    }

    /// Somebody looks.
    pub(crate) fn is_on(&self) -> bool {
        !self.taps.is_empty()
    }

    /// The sidecar says that there is a tap, or is none any more.
    pub(crate) fn set(&mut self, tap: v1::Tap) {
        self.taps.retain(|old| old.number != tap.tap);
        if let Some(filter) = tap.filter.filter(|_| !tap.over)
            && self.taps.len() < MOST
        {
            let number = tap.tap;
            self.taps.push(Tap { number, filter });
        }
    }

    /// Who wants to know of this request; most often nobody.
    pub(crate) fn who(&mut self, traits: &Traits<'_>) -> Vec<u64> {
        let mut who = Vec::new();
        for at in 0..self.taps.len() {
            let sample = u64::from(self.taps[at].filter.sample);
            let wants = self.taps[at].wants(traits);
            if wants && (sample == 0 || self.random() < sample) {
                who.push(self.taps[at].number);
            }
        }
        who
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % WHOLE
    }

    /// This one is told of, if there is room.
    pub(crate) fn add(&mut self, request: TappedRequest) {
        if self.requests.len() < WAITING {
            self.requests.push_back(request);
        } else {
            self.lost += 1;
        }
    }

    /// The next message, if there is something to tell.
    pub(crate) fn take(&mut self) -> Option<Tapped> {
        if !self.has_more() {
            return None;
        }
        let count = self.requests.len().min(AT_ONCE);
        Some(Tapped {
            requests: self.requests.drain(..count).collect(),
            lost: std::mem::take(&mut self.lost),
        })
    }

    /// Something waits to be told.
    pub(crate) fn has_more(&self) -> bool {
        !self.requests.is_empty() || self.lost > 0
    }

    /// The link broke: the next one says anew who looks.
    pub(crate) fn clear(&mut self) {
        self.taps.clear();
        self.requests.clear();
        self.lost = 0;
    }
}

/// A path as it may be shown: without what follows a question mark, and not too long.
pub fn path(target: &[u8]) -> String {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let path = &target[..end.unwrap_or(target.len())];
    // An absolute target may have a user and a password in it.
    let path = match memchr_scheme(path) {
        Some(after) => {
            let rest = &path[after..];
            &rest[rest
                .iter()
                .position(|byte| *byte == b'/')
                .unwrap_or(rest.len())..]
        }
        None => path,
    };
    let text = String::from_utf8_lossy(&path[..path.len().min(PATH)]);
    text.chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Where the authority of an absolute target begins.
fn memchr_scheme(target: &[u8]) -> Option<usize> {
    let at = target.windows(3).position(|part| part == b"://")?;
    let scheme = &target[..at];
    (!scheme.is_empty() && scheme.iter().all(u8::is_ascii_alphanumeric)).then_some(at + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tap(number: u64, filter: v1::TapFilter) -> v1::Tap {
        v1::Tap {
            tap: number,
            over: false,
            filter: Some(filter),
        }
    }

    fn of(app: &str) -> v1::TapFilter {
        v1::TapFilter {
            app: app.into(),
            ..v1::TapFilter::default()
        }
    }

    const ENDED: Traits<'_> = Traits {
        app: "shop",
        status: 503,
        error: "H12",
        total_ms: 40,
    };

    #[test]
    fn who_is_told_is_up_to_the_filter() {
        let mut taps = Taps::new(7);
        assert!(!taps.is_on());
        let all = [
            of("shop"),
            of("blog"),
            v1::TapFilter {
                status: 5,
                ..of("shop")
            },
            v1::TapFilter {
                status: 502,
                ..of("shop")
            },
            v1::TapFilter {
                error: "H12".into(),
                ..of("shop")
            },
            v1::TapFilter {
                error: "H13".into(),
                ..of("shop")
            },
            v1::TapFilter {
                slow_ms: 40,
                ..of("shop")
            },
            v1::TapFilter {
                slow_ms: 41,
                ..of("shop")
            },
        ];
        for (number, filter) in (1..).zip(all) {
            taps.set(tap(number, filter));
        }
        assert_eq!(taps.who(&ENDED), [1, 3, 5, 7]);
        taps.set(v1::Tap {
            tap: 1,
            over: true,
            filter: None,
        });
        assert_eq!(taps.who(&ENDED), [3, 5, 7]);
        taps.clear();
        assert!(!taps.is_on());
    }

    #[test]
    fn a_sample_is_about_as_large_as_it_shall_be() {
        let mut taps = Taps::new(0x1234_5678_9abc_def0);
        taps.set(tap(
            1,
            v1::TapFilter {
                sample: 100_000,
                ..of("shop")
            },
        ));
        let told = (0..10_000).filter(|_| !taps.who(&ENDED).is_empty()).count();
        assert!((800..1_200).contains(&told), "{told}");
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let mut taps = Taps::new(1);
        assert_eq!(taps.take(), None);
        for _ in 0..WAITING + 5 {
            taps.add(TappedRequest::default());
        }
        let first = taps.take().expect("there is something");
        assert_eq!((first.requests.len(), first.lost), (AT_ONCE, 5));
        let rest: usize = std::iter::from_fn(|| taps.take())
            .map(|t| t.requests.len())
            .sum();
        assert_eq!(rest, WAITING - AT_ONCE);
    }

    #[test]
    fn a_path_tells_no_secrets() {
        for (target, shown) in [
            ("/a/b?token=x", "/a/b"),
            ("/a#b", "/a"),
            ("http://me:secret@shop.test/a?b", "/a"),
            ("http://me:secret@shop.test", ""),
            ("/x://y/z", "/x://y/z"),
            ("*", "*"),
            ("/\u{1b}[31m", "/\u{fffd}[31m"),
        ] {
            assert_eq!(path(target.as_bytes()), shown, "{target}");
        }
        assert_eq!(path("/é".repeat(300).as_bytes()).len(), PATH);
        assert!(path(&[0xff; 300]).len() <= PATH * 3);
    }
}
