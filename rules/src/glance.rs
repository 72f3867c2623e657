//! What of a request is seen at a glance, and rules that can't hold because of it.
//!
//! Most rules do not hold for most requests. Of each there is a [`Sign`], so that for these
//! nothing else of the rule is looked at.

use crate::{
    condition::{Condition, What},
    request::Request,
    share::By,
};

/// The beginning of a path, and what there is else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance {
    path: u64,
    headers: u64,
    query: bool,
}

/// What a request has to have at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sign {
    /// The first bytes of the path, and how many.
    path: u64,
    length: u8,
    query: bool,
    /// A bit for each header.
    headers: u64,
}

impl Glance {
    pub(crate) fn of(request: &impl Request) -> Self {
        let mut headers = 0;
        request.header_names(&mut |name| headers |= bit(name));
        Self {
            path: word(request.path()),
            headers,
            query: !request.query().is_empty(),
        }
    }

    /// `false`: the rule does not hold.
    pub(crate) fn has(&self, sign: &Sign) -> bool {
        self.path & first(sign.length) == sign.path
            && self.headers & sign.headers == sign.headers
            && (self.query || !sign.query)
    }
}

impl Sign {
    /// Of all these conditions together.
    pub(crate) fn of(conditions: &[Condition]) -> Self {
        let mut sign = Self::default();
        for condition in conditions.iter().filter(|condition| !condition.not) {
            match &condition.what {
                What::Path(test) => sign.begins(test.begins()),
                What::Header(name, _) => sign.headers |= bit(name.as_bytes()),
                What::Cookie(..) => sign.headers |= bit(b"cookie"),
                What::Query(name, _) => sign.query |= !name.is_empty(),
                What::Share(share) => match &share.by {
                    By::Header(name) => sign.headers |= bit(name.as_bytes()),
                    By::Cookie(_) => sign.headers |= bit(b"cookie"),
                    By::Chance | By::Client => {}
                },
                What::Method(_) | What::Client(_) => {}
            }
        }
        sign
    }

    /// The longest one says most.
    fn begins(&mut self, path: &[u8]) {
        let length = path.len().min(8) as u8;
        if length > self.length {
            (self.length, self.path) = (length, word(path));
        }
    }
}

/// The bits of so many bytes, 8 at most.
fn first(bytes: u8) -> u64 {
    u64::MAX.checked_shr(64 - 8 * u32::from(bytes)).unwrap_or(0)
}

/// The first bytes, the first one lowest.
fn word(path: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = path.len().min(8);
    bytes[..length].copy_from_slice(&path[..length]);
    u64::from_le_bytes(bytes)
}

/// Of a header's name, in any case.
fn bit(name: &[u8]) -> u64 {
    let first = name.first().map_or(0, u8::to_ascii_lowercase);
    let last = name.last().map_or(0, u8::to_ascii_lowercase);
    1 << ((name.len() * 7 + usize::from(first) + 3 * usize::from(last)) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parse, testing::Sent};

    fn sign(conditions: &str) -> Sign {
        let rule = parse::rule(&format!("when {conditions} then deny"));
        Sign::of(&rule.expect("a rule").conditions)
    }

    fn has(conditions: &str, sent: &Sent) -> bool {
        Glance::of(sent).has(&sign(conditions))
    }

    #[test]
    fn what_is_not_there_is_seen() {
        let sent = Sent::to("/api/v1").header("Accept", "*/*");
        for conditions in [
            "path = /admin",
            "path ^= /api/v2",
            "path ^= /api/v1/longer",
            "path ~ ^/app",
            "header x-known present",
            "cookie a present",
            "query a = b",
            "share 5% by cookie session",
            "share 5% by header x-user",
            "method GET and path ^= /old",
        ] {
            assert!(!has(conditions, &sent), "{conditions}");
        }
    }

    #[test]
    fn what_may_hold_is_looked_at() {
        let sent = Sent::to("/api/v1/users?a=b")
            .header("COOKIE", "a=1")
            .header("X-User", "me");
        for conditions in [
            "path ^= /api/v1/users",
            "path = /api/v1/other",
            "path ~ ^/api/v[0-9]+/",
            "path ~ ^/apix*/v",
            "path ~ ^/x|^/y",
            "path ~ users",
            "path ~* ^/API",
            "not path = /admin",
            "not header x-known present",
            "header x-user present and cookie a = 1 and query a = b",
            "share 5% by header x-user",
            "share 5%",
            "method POST",
            "client 10.0.0.0/8",
        ] {
            assert!(has(conditions, &sent), "{conditions}");
        }
        assert_eq!(sign("path ~ (?i)^/a"), Sign::default());
        assert!(has("path ^= /", &Sent::to("/")));
    }
}
