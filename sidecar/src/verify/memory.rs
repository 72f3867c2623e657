//! Passwords that were right, as hashes with a secret that is this process's alone.

use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

use sha2::{Digest as _, Sha256};

/// So many; the one that was learnt first goes first.
const MOST: usize = 65_536;

type Key = [u8; 32];

#[derive(Debug)]
pub(super) struct Memory {
    secret: Secret,
    known: HashMap<Key, Instant>,
    order: VecDeque<(Key, Instant)>,
}

struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Memory {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self {
            secret: Secret(secret),
            known: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn knows(&self, parts: &[&[u8]], now: Instant) -> bool {
        let until = self.known.get(&self.key(parts));
        until.is_some_and(|until| now < *until)
    }

    pub(super) fn learn(&mut self, parts: &[&[u8]], until: Instant) {
        let key = self.key(parts);
        self.known.insert(key, until);
        self.order.push_back((key, until));
        while self.order.len() > MOST {
            let Some((key, until)) = self.order.pop_front() else {
                return;
            };
            // It may have been learnt anew.
            if self.known.get(&key) == Some(&until) {
                self.known.remove(&key);
            }
        }
    }

    /// No part can look like another one's beginning.
    fn key(&self, parts: &[&[u8]]) -> Key {
        let mut hash = Sha256::new_with_prefix(self.secret.0);
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_known_ends() {
        let (mut memory, now) = (Memory::new([7; 32]), Instant::now());
        let later = now + Duration::from_secs(1);
        memory.learn(&[b"ab", b"c"], later);
        assert!(memory.knows(&[b"ab", b"c"], now));
        assert!(!memory.knows(&[b"a", b"bc"], now));
        assert!(!memory.knows(&[b"ab", b"c"], later));
        assert!(!Memory::new([8; 32]).knows(&[b"ab", b"c"], now));
    }

    #[test]
    fn there_is_an_end_to_it() {
        let (mut memory, now) = (Memory::new([7; 32]), Instant::now());
        let later = now + Duration::from_secs(1);
        memory.learn(&[b"first"], later);
        for n in 0..MOST {
            memory.learn(&[&n.to_be_bytes()], later);
        }
        assert!(!memory.knows(&[b"first"], now));
        assert_eq!((memory.known.len(), memory.order.len()), (MOST, MOST));
    }
}
