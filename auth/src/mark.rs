//! What tells one document from another.

use sha2::{Digest as _, Sha256};

/// SHA-256 of a document.
pub type Mark = [u8; 32];

/// Of these lines, and no others.
pub fn mark<L: AsRef<str>>(lines: &[L]) -> Mark {
    let mut hash = Sha256::new();
    for line in lines {
        let line = line.as_ref().as_bytes();
        hash.update((line.len() as u64).to_be_bytes());
        hash.update(line);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_counts() {
        let marks = [
            mark::<&str>(&[]),
            mark(&[""]),
            mark(&["a", "b"]),
            mark(&["ab"]),
            mark(&["b", "a"]),
        ];
        for (n, one) in marks.iter().enumerate() {
            assert!(!marks[n + 1..].contains(one));
        }
        assert_eq!(mark(&["a"]), mark(&["a".to_owned()]));
    }
}
