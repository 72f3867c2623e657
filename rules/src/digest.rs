//! Values that a rule knows without saying them: keys, as their hashes.

use sha2::{Digest as _, Sha256};

use crate::problem::shown;

/// SHA-256 of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}

impl Digest {
    /// Of this value.
    pub fn of(value: &[u8]) -> Self {
        Self(Sha256::digest(value).into())
    }

    /// 64 hexadecimal digits, as `sha256sum` writes them.
    ///
    /// # Errors
    /// It is something else, which is shown.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown = shown(text);
            format!("{shown} is not a hash: 64 hexadecimal digits, as sha256sum writes them")
        };
        let mut bytes = [0; 32];
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(wrong());
        };
        if pairs.len() != bytes.len() {
            return Err(wrong());
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        for (to, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = (
                digit(*high).ok_or_else(wrong)?,
                digit(*low).ok_or_else(wrong)?,
            );
            *to = high * 16 + low;
        }
        Ok(Self(bytes))
    }

    /// How long it takes tells nothing of which one it is, or how close.
    pub(crate) fn is_one_of(value: &[u8], digests: &[Self]) -> bool {
        let given = Self::of(value);
        let mut found = false;
        for digest in digests {
            let pairs = digest.0.iter().zip(&given.0);
            found |= pairs.fold(0, |different, (a, b)| different | (a ^ b)) == 0;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of "abc", FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_value_is_known_by_its_hash() {
        let abc = Digest::parse(ABC).expect("a hash");
        let upper = Digest::parse(&ABC.to_uppercase()).expect("a hash");
        let other = Digest::parse(&"0".repeat(64)).expect("a hash");
        assert_eq!(abc, upper);
        assert!(Digest::is_one_of(b"abc", &[other, abc]));
        assert!(!Digest::is_one_of(b"abd", &[other, abc]));
        assert!(!Digest::is_one_of(b"abc", &[other]));
        assert!(!format!("{abc:?}").contains("ba"));
    }

    #[test]
    fn what_is_no_hash() {
        for text in [
            "",
            "ba78",
            &ABC[1..],
            &format!("{ABC}00"),
            &ABC.replace('b', "g"),
        ] {
            assert!(Digest::parse(text).is_err(), "{text}");
        }
    }
}
