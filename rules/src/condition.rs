//! When a rule holds.

use std::borrow::Cow;

use crate::{digest::Digest, network::Networks, pattern::Pattern, request::Request, share::Share};

/// One thing that a request has to be like, or must not.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) not: bool,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// One of these.
    Method(Vec<Box<str>>),
    Path(Test),
    /// Lower case.
    Header(Box<str>, Test),
    Cookie(Box<str>, Test),
    Query(Box<str>, Test),
    Client(Networks),
    Share(Share),
}

/// What a value has to be. Of several values one suffices.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Present,
    Equals(Box<str>),
    Begins(Box<str>),
    Matches(Pattern),
    /// It has one of these.
    Hashes(Vec<Digest>),
}

impl Test {
    pub(crate) fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Equals(wanted) => value == wanted.as_bytes(),
            Self::Begins(wanted) => value.starts_with(wanted.as_bytes()),
            Self::Matches(pattern) => pattern.is_match(value),
            Self::Hashes(digests) => Digest::is_one_of(value, digests),
        }
    }
}

impl Test {
    /// Every value for which it holds begins with this.
    pub(crate) fn begins(&self) -> &[u8] {
        match self {
            Self::Equals(text) | Self::Begins(text) => text.as_bytes(),
            Self::Matches(pattern) => pattern.begins(),
            Self::Present | Self::Hashes(_) => b"",
        }
    }
}

impl Condition {
    pub(crate) fn holds(&self, request: &impl Request) -> bool {
        let holds = match &self.what {
            What::Method(methods) => {
                let given = request.method();
                methods.iter().any(|method| method.as_bytes() == given)
            }
            What::Path(test) => test.holds(request.path()),
            What::Header(name, test) => request.has_header(name, &mut |value| test.holds(value)),
            What::Cookie(name, test) => request.has_header("cookie", &mut |line| {
                cookie(line, name.as_bytes(), &mut |value| test.holds(value))
            }),
            What::Query(name, test) => query(request.query(), name.as_bytes(), test),
            What::Client(networks) => networks.have(request.client()),
            What::Share(share) => share.has(request),
        };
        holds != self.not
    }
}

/// Whether a Cookie header has one of this name and a value like that.
pub(crate) fn cookie(line: &[u8], name: &[u8], like: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    line.split(|b| *b == b';').any(|pair| {
        let (key, value) = split_pair(pair.trim_ascii());
        key == name && like(value)
    })
}

fn query(query: &[u8], name: &[u8], test: &Test) -> bool {
    query.split(|b| *b == b'&').any(|pair| {
        let (key, value) = split_pair(pair);
        *decoded(key) == *name && test.holds(&decoded(value))
    })
}

fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|b| *b == b'=') {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, b""),
    }
}

/// `%41` and `+` as forms write them; what is not like that stays.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|b| matches!(b, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let byte = match (first, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = &tail[2..];
                    high * 16 + low
                }
                _ => b'%',
            },
            _ => *first,
        };
        out.push(byte);
    }
    Cow::Owned(out)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_decoded() {
        let equals = |value: &str| Test::Equals(value.into());
        for (given, name, wanted) in [
            ("a=1&b=2", "b", "2"),
            ("a=x%20y", "a", "x y"),
            ("a=x+y", "a", "x y"),
            ("%61=1", "a", "1"),
            ("a", "a", ""),
            ("a=1&a=2", "a", "2"),
            ("a=%zz%4", "a", "%zz%4"),
            ("a==", "a", "="),
        ] {
            assert!(
                query(given.as_bytes(), name.as_bytes(), &equals(wanted)),
                "{given}"
            );
        }
        assert!(!query(b"ab=1", b"a", &Test::Present));
        assert!(!query(b"", b"a", &Test::Present));
    }

    #[test]
    fn cookies_are_told_apart() {
        let line = b"a=1; beta=yes;c=\"d\"";
        for (name, value) in [("a", "1"), ("beta", "yes"), ("c", "\"d\"")] {
            let like = &mut |given: &[u8]| given == value.as_bytes();
            assert!(cookie(line, name.as_bytes(), like), "{name}");
        }
        assert!(!cookie(line, b"eta", &mut |_| true));
    }
}
