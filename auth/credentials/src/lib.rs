//! Whether credentials are right.
//!
//! **What.** [`Document::parse`] reads all that an app says of who may use it, secrets
//! too: hashes of passwords and keys, what tokens are signed with. It says whether one of
//! these is right, who that is then, and what the dyno is told of it.
//!
//! **How.** A token is looked at with the key that it names, and the key says how. A
//! password is looked at by whoever has the time: [`Login::is_right`]. What it may cost
//! was bounded when its hash was read.
//!
//! **What must hold**, whatever the text, the credentials and the claims: nothing
//! panics, no value has a line break in it, no claim can look like another one, and
//! what is not understood is refused.
#![forbid(unsafe_code)]

mod claims;
mod document;
mod jwks;
mod jwt;
mod password;
mod secrets;
#[cfg(test)]
mod testing;

pub use document::{Document, Login, Pass, Wrong};
pub use password::Hash;
