//! Which of an app's requests come to the same dyno: what it says about that, what is
//! seen of it in a request, and what the client is told.
//!
//! A client keeps the mark of its dyno, sealed with a key that the app has for that:
//! marks are hashes of what somebody may guess.

use sha2::{Digest as _, Sha256};

/// The mesh's own cookie.
pub const COOKIE: &str = "mesh_dyno";

/// Which dyno a request would rather have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefer {
    /// The one with this mark.
    Dyno(u64),
    /// The one that all sidecars find for this number.
    Hash(u64),
}

/// What an app says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// Whoever has a cookie of the mesh's, sealed with this key, comes to the dyno that
    /// it was from.
    Own(u64),
    /// Those that have the same value in this cookie.
    Cookie(Box<str>),
    /// Those that have the same value in this header.
    Header(Box<str>),
}

impl Sticky {
    /// `None`: nothing, or nothing that is known here.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if let Some(key) = text.strip_prefix("cookie#") {
            return u64::from_str_radix(key, 16).ok().map(Self::Own);
        }
        let (kind, name) = text.split_once(':')?;
        match kind {
            "cookie" => Some(Self::Cookie(name.into())),
            "header" => Some(Self::Header(name.into())),
            _ => None,
        }
    }

    /// What a request with these headers prefers. The first that says something counts.
    pub fn prefer<'a>(
        &self,
        headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Option<Prefer> {
        let wanted = match self {
            Self::Own(_) | Self::Cookie(_) => "cookie",
            Self::Header(name) => name,
        };
        let mut values = headers
            .into_iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()))
            .map(|(_, value)| value);
        match self {
            Self::Own(key) => values.find_map(|value| {
                let sealed = read_sealed(cookie(value, COOKIE)?)?;
                Some(unseal(sealed, *key))
                    .filter(|mark| *mark > 0)
                    .map(Prefer::Dyno)
            }),
            Self::Cookie(name) => values.find_map(|value| cookie(value, name).map(hashed)),
            Self::Header(_) => values.find(|value| !value.is_empty()).map(hashed),
        }
    }

    /// What the client is told, if it is told anything: the dyno with this mark is its
    /// own from now on.
    pub fn set_cookie(&self, mark: u64, https: bool) -> Option<String> {
        let Self::Own(key) = self else { return None };
        let (sealed, secure) = (seal(mark, *key), if https { "; Secure" } else { "" });
        Some(format!(
            "{COOKIE}={sealed:016x}; Path=/; HttpOnly; SameSite=Lax{secure}"
        ))
    }
}

fn read_sealed(value: &[u8]) -> Option<u64> {
    let digits = |value: &&[u8]| value.len() == 16 && value.iter().all(u8::is_ascii_hexdigit);
    let text = str::from_utf8(Some(value).filter(digits)?).ok()?;
    u64::from_str_radix(text, 16).ok()
}

/// The first cookie of this name that has a value, in a header.
fn cookie<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    header.split(|byte| *byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        (!value.is_empty()).then_some(value)
    })
}

/// FNV-1a, the same in every version: every router has to come to the same dyno.
fn hashed(value: &[u8]) -> Prefer {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = value.iter().fold(0xcbf2_9ce4_8422_2325, step);
    Prefer::Hash(hash.max(1))
}

/// A cipher of 64 bits, of four rounds of a hash (Luby and Rackoff, 1988).
fn seal(mark: u64, key: u64) -> u64 {
    (0..4).fold(mark, |bits, round| {
        let (left, right) = ((bits >> 32) as u32, bits as u32);
        join(right, left ^ scramble(right, round, key))
    })
}

fn unseal(sealed: u64, key: u64) -> u64 {
    (0..4).rev().fold(sealed, |bits, round| {
        let (left, right) = ((bits >> 32) as u32, bits as u32);
        join(right ^ scramble(left, round, key), left)
    })
}

fn join(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

fn scramble(half: u32, round: u8, key: u64) -> u32 {
    let mut hash = Sha256::new_with_prefix(key.to_be_bytes());
    hash.update([round]);
    hash.update(half.to_be_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

#[cfg(test)]
mod tests;
