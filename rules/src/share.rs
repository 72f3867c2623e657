//! A share of requests: by chance for each, or the same for all of one client.

use std::net::IpAddr;

use crate::{condition::cookie, problem::shown, request::Request};

/// A hundred percent.
const WHOLE: u32 = 10_000;

/// What decides whether a request is in the share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Chance,
    Client,
    /// Lower case.
    Header(Box<str>),
    Cookie(Box<str>),
}

/// So many of ten thousand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) parts: u32,
    pub(crate) by: By,
}

/// `5%`, `0.25%`.
pub(crate) fn parse_parts(text: &str) -> Result<u32, String> {
    let wrong = || {
        format!(
            "{} is not a share like 5% or 0.25%, of at most 100%",
            shown(text)
        )
    };
    let number = text.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str, most| {
        let fits = (1..=most).contains(&text.len());
        fits && text.bytes().all(|b| b.is_ascii_digit())
    };
    if !digits(whole, 3) || !digits(part, 2) {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let hundredths: u32 = format!("{part:0<2}").parse().map_err(|_| wrong())?;
    let parts = whole * 100 + hundredths;
    (parts <= WHOLE).then_some(parts).ok_or_else(wrong)
}

impl Share {
    /// Who has nothing to go by is not in it. Whoever is in a share is in every
    /// larger one too.
    pub(crate) fn has(&self, request: &impl Request) -> bool {
        let mut place = None;
        match &self.by {
            By::Chance => place = Some(u64::from(request.chance())),
            By::Client => {
                place = request.client().map(|client| match client.to_canonical() {
                    IpAddr::V4(v4) => hash(&v4.octets()),
                    IpAddr::V6(v6) => hash(&v6.octets()),
                });
            }
            By::Header(name) => _ = request.has_header(name, &mut |value| note(&mut place, value)),
            By::Cookie(name) => {
                request.has_header("cookie", &mut |line| {
                    cookie(line, name.as_bytes(), &mut |value| note(&mut place, value))
                });
            }
        }
        place.is_some_and(|place| place % u64::from(WHOLE) < u64::from(self.parts))
    }
}

/// The first value counts.
fn note(place: &mut Option<u64>, value: &[u8]) -> bool {
    *place = Some(hash(value));
    true
}

/// The same everywhere and always: FNV-1a, its bits mixed once more.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Sent;

    #[test]
    fn parts() {
        for (text, parts) in [
            ("5%", 500),
            ("0.25%", 25),
            ("0.5%", 50),
            ("100%", WHOLE),
            ("0%", 0),
        ] {
            assert_eq!(parse_parts(text), Ok(parts));
        }
        for text in [
            "5", "%", "101%", "100.01%", "0.123%", "-1%", ".5%", "5.%", "+5%",
        ] {
            assert!(parse_parts(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_is_that_large_and_stays() {
        let share = |parts| Share {
            parts,
            by: By::Header("x-user".into()),
        };
        let users: Vec<_> = (0..10_000)
            .map(|n| Sent::default().header("X-User", &format!("user-{n}")))
            .collect();
        let some = users.iter().filter(|user| share(1_000).has(*user)).count();
        assert!((850..1_150).contains(&some), "{some}");
        for user in &users {
            assert!(!share(1_000).has(user) || share(2_000).has(user));
        }
        assert!(!share(WHOLE).has(&Sent::default()), "nothing to go by");
    }

    #[test]
    fn by_chance() {
        let share = Share {
            parts: 500,
            by: By::Chance,
        };
        let mut sent = Sent::default();
        let mut some = 0;
        for chance in 0..WHOLE {
            sent.chance = chance;
            some += u32::from(share.has(&sent));
        }
        assert_eq!(some, 500);
    }
}
