//! Hashes of passwords: what they may cost, and whether a password fits.

use argon2::{Argon2, Params, PasswordHash, PasswordVerifier as _};

/// KiB that argon2 may take for one password.
const MAX_MEMORY: u32 = 65_536;
/// Its rounds, and those times the KiB: some 0.4 s.
const MAX_ROUNDS: u32 = 16;
const MAX_WORK: u32 = 4 * MAX_MEMORY;
const MAX_LANES: u32 = 4;
/// Of bcrypt: 12 takes some 0.25 s.
const MAX_COST: u32 = 12;
const MIN_COST: u32 = 4;

/// How a password is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Argon2,
    Bcrypt,
}

/// The hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    text: Box<str>,
    kind: Kind,
    cost: u32,
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

impl Hash {
    /// `$argon2id$…` or `$2b$…`, if looking at it does not take too much.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (kind, cost) = match text.starts_with("$argon2") {
            true => (Kind::Argon2, argon2_cost(text)?),
            false => (Kind::Bcrypt, bcrypt_cost(text)?),
        };
        let text = text.into();
        Ok(Self { text, kind, cost })
    }

    /// It is the hash of this password. Takes long, by design.
    pub(crate) fn fits(&self, password: &[u8]) -> bool {
        match self.kind {
            Kind::Bcrypt => bcrypt::verify(password, &self.text).unwrap_or(false),
            Kind::Argon2 => PasswordHash::new(&self.text).is_ok_and(|hash| {
                // By what the hash says of itself, not by defaults.
                Argon2::default().verify_password(password, &hash).is_ok()
            }),
        }
    }

    /// Milliseconds that it takes, about.
    pub(crate) fn cost(&self) -> u32 {
        self.cost
    }

    pub(crate) fn text(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

fn argon2_cost(text: &str) -> Result<u32, String> {
    let wrong = |what: String| format!("this is no hash of argon2: {what}");
    let hash = PasswordHash::new(text).map_err(|error| wrong(error.to_string()))?;
    if !["argon2id", "argon2i", "argon2d"].contains(&hash.algorithm.as_str()) {
        return Err(wrong(format!("{} is not known", hash.algorithm)));
    }
    if hash
        .version
        .is_some_and(|version| version != 0x13 && version != 0x10)
    {
        return Err(wrong("its version is not 19".into()));
    }
    let Some(output) = hash.hash.filter(|output| output.len() >= 16) else {
        return Err(wrong(
            "it ends before the hash itself, or that is short".into(),
        ));
    };
    if hash.salt.is_none() {
        return Err(wrong("it has no salt".into()));
    }
    let params = Params::try_from(&hash).map_err(|error| wrong(error.to_string()))?;
    let (memory, rounds) = (params.m_cost(), params.t_cost());
    let most = memory > MAX_MEMORY || rounds > MAX_ROUNDS || params.p_cost() > MAX_LANES;
    if most || memory.saturating_mul(rounds) > MAX_WORK {
        return Err(format!(
            "this hash takes too much: m is at most {MAX_MEMORY} (KiB), t {MAX_ROUNDS}, \
             p {MAX_LANES}, and m times t {MAX_WORK}"
        ));
    }
    // About a millisecond for a MiB, and what would not be there for less.
    let _ = output;
    Ok(memory.saturating_mul(rounds) / 1_024)
}

fn bcrypt_cost(text: &str) -> Result<u32, String> {
    let wrong = || {
        "expected the hash of a password: $argon2id$… or $2b$…, as `argon2` and `htpasswd -nbB` \
         write them"
            .to_owned()
    };
    let kinds = ["$2a$", "$2b$", "$2y$"];
    let rest = kinds.iter().find_map(|kind| text.strip_prefix(kind));
    let (cost, rest) = rest
        .and_then(|rest| rest.split_once('$'))
        .ok_or_else(wrong)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'/';
    if cost.len() != 2 || rest.len() != 53 || !rest.bytes().all(plain) {
        return Err(wrong());
    }
    let cost: u32 = cost.parse().map_err(|_| wrong())?;
    text.parse::<bcrypt::HashParts>().map_err(|_| wrong())?;
    match (MIN_COST..=MAX_COST).contains(&cost) {
        true => Ok((1 << cost) / 16),
        false => Err(format!(
            "this hash takes too much: the cost is {MIN_COST} to {MAX_COST}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ARGON, BCRYPT, PASSWORD};

    #[test]
    fn a_password_fits_its_hash() {
        for text in [ARGON, BCRYPT] {
            let hash = Hash::parse(text).expect("a hash");
            assert!(hash.fits(PASSWORD.as_bytes()), "{text}");
            assert!(!hash.fits(b"wrong"), "{text}");
            assert!(!hash.fits(b""), "{text}");
            assert!(!format!("{hash:?}").contains('$'));
        }
    }

    #[test]
    fn what_is_no_hash_or_too_much() {
        let (salt, out) = ("c29tZXNhbHRzYWx0", "Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFyYmF6");
        let argon = |params: &str| format!("$argon2id$v=19${params}${salt}${out}");
        assert!(Hash::parse(&argon("m=65536,t=4,p=1")).is_ok());
        for text in [
            argon("m=65537,t=1,p=1"),
            argon("m=4294967295,t=1,p=1"),
            argon("m=65536,t=5,p=1"),
            argon("m=1024,t=17,p=1"),
            argon("m=1024,t=1,p=5"),
            argon("m=0,t=1,p=1"),
            argon("m=x"),
            argon("m=1024,t=1,p=1").replace("argon2id", "argon2x"),
            argon("m=1024,t=1,p=1").replace("v=19", "v=20"),
            argon("m=1024,t=1,p=1").replace(out, ""),
            argon("m=1024,t=1,p=1").replace(out, "Zm9v"),
            format!("$argon2id$v=19$m=1024,t=1,p=1${salt}"),
            "secret".into(),
            String::new(),
            "$apr1$abcdefgh$0123456789012345678901".into(),
            BCRYPT[1..].into(),
            BCRYPT.replace("$04$", "$03$"),
            BCRYPT.replace("$04$", "$13$"),
            BCRYPT.replace("$04$", "$31$"),
            BCRYPT.replace("$04$", "$4$"),
            format!("{BCRYPT}x"),
            BCRYPT.replace("$2b$", "$2x$"),
            format!("{}é", &BCRYPT[..BCRYPT.len() - 2]),
        ] {
            assert!(Hash::parse(&text).is_err(), "{text}");
        }
    }
}
