//! The lines of a document that are for nobody else: who has a password, what tokens are
//! signed with, who has a key.

use std::collections::HashMap;

use auth::{MAX_HOLDERS, MAX_TEXT, MAX_USERS, Policy};
use rules::{Digest, Problem, Words};

use crate::{
    jwks::{self, Key},
    password::Hash,
};

/// All of them.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    pub(crate) users: HashMap<Box<str>, Hash>,
    pub(crate) keys: Option<Vec<Key>>,
    /// By the hash of their key, from which that can't be known.
    holders: HashMap<Digest, Box<str>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Reads a line.
    pub(crate) fn read(&mut self, line: &str) -> Result<(), Problem> {
        if let Some((json, column)) = after_keys(line) {
            let read = jwks::parse(json).map_err(|what| Problem::at(column, what))?;
            return match self.keys.replace(read) {
                None => Ok(()),
                Some(_) => Err(Problem::at(1, "keys are said twice")),
            };
        }
        let words = &mut Words::of(line)?;
        match words.keyword(&["user", "holder"])? {
            "user" => self.user(words),
            _ => self.holder(words),
        }
    }

    /// What the other lines say has its secrets, and there are no others.
    pub(crate) fn check(&self, policy: &Policy) -> Result<(), Problem> {
        let problem = |what: &str| Err(Problem::at(1, what).on(1));
        match (&policy.basic, self.users.is_empty()) {
            (Some(_), true) => return problem("basic needs users: lines like user NAME HASH"),
            (None, false) => return problem("users need a line with basic"),
            _ => {}
        }
        match (&policy.jwt, &self.keys) {
            (Some(_), None) => return problem("jwt needs a line with keys"),
            (None, Some(_)) => return problem("keys need a line with jwt"),
            _ => {}
        }
        match (&policy.key, self.holders.is_empty()) {
            (Some(_), true) => problem("key needs holders: lines like holder NAME SHA256"),
            (None, false) => problem("holders need a line with key"),
            _ => Ok(()),
        }
    }

    /// Who has this key. Looked for by its hash: how long that takes says nothing of it.
    pub(crate) fn holder_of(&self, key: &[u8]) -> Option<&str> {
        let holder = self.holders.get(&Digest::of(key));
        holder.map(|name| &**name)
    }

    /// `NAME HASH`, or as `htpasswd` writes it: `NAME:HASH`.
    fn user(&mut self, words: &mut Words) -> Result<(), Problem> {
        let first = words.next("a user's name")?;
        let (name, hash, column) = match first.text.split_once(':') {
            Some((name, hash)) => (name, hash.to_owned(), first.column),
            None => {
                let hash = words.next("the hash of a password")?;
                (&*first.text, hash.text, hash.column)
            }
        };
        end_behind_hash(words)?;
        let name = name_of("a user", name, first.column)?;
        let hash = Hash::parse(&hash).map_err(|what| Problem::at(column, what))?;
        if self.users.len() == MAX_USERS {
            let what = format!("an app has at most {MAX_USERS} users");
            return Err(Problem::at(1, what));
        }
        match self.users.insert(name, hash) {
            None => Ok(()),
            Some(_) => Err(Problem::at(1, "this user is said twice")),
        }
    }

    /// `NAME SHA256`. One may have several, while one takes the place of another.
    fn holder(&mut self, words: &mut Words) -> Result<(), Problem> {
        let first = words.next("the name of who has a key")?;
        let hash = words.next("the SHA-256 of a key")?;
        end_behind_hash(words)?;
        let name = name_of("a holder", &first.text, first.column)?;
        let Ok(digest) = Digest::parse(&hash.text) else {
            // It may be the key itself, so it is not shown.
            let what = "expected the SHA-256 of a key, 64 hexadecimal digits: \
                        printf %s KEY | sha256sum";
            return Err(Problem::at(hash.column, what));
        };
        if self.holders.len() == MAX_HOLDERS {
            let what = format!("an app has at most {MAX_HOLDERS} keys");
            return Err(Problem::at(1, what));
        }
        match self.holders.insert(digest, name) {
            None => Ok(()),
            Some(_) => Err(Problem::at(hash.column, "this key is said twice")),
        }
    }
}

fn name_of(whose: &str, name: &str, column: usize) -> Result<Box<str>, Problem> {
    match (1..=MAX_TEXT).contains(&name.len()) {
        true => Ok(name.into()),
        false => {
            let what = format!("{whose}'s name has 1 to {MAX_TEXT} bytes");
            Err(Problem::at(column, what))
        }
    }
}

fn end_behind_hash(words: &Words) -> Result<(), Problem> {
    match words.peek() {
        None => Ok(()),
        // It may be a secret itself, so it is not shown.
        Some(word) => {
            let what = "expected the end of the line behind the hash";
            Err(Problem::at(word.column, what))
        }
    }
}

/// The keys of a line, and where they begin.
fn after_keys(line: &str) -> Option<(&str, usize)> {
    let rest = line.trim_ascii_start().strip_prefix("keys")?;
    let json = rest.trim_ascii();
    let before = line.len() - rest.trim_ascii_start().len();
    Some((json, before + 1))
}
