//! Who may use an app.
//!
//! **What.** An app may have a text, lines in the language of its rules, that says how
//! its requests are authenticated: by passwords, by tokens, by keys, by where they come
//! from, by whom the operator named. [`Policy::parse`] reads what a router needs of it:
//! what a request must bring, what is taken away from it and given to it. What is secret,
//! hashes and keys, is for the crate `credentials`, in the sidecar.
//!
//! **How.** A router looks at the request with a [`Policy`] and, where that does not
//! say enough, asks its sidecar, which has the time for it: a password takes a tenth
//! of a second by design. Whether a text is well formed depends on the text alone.
//!
//! **What must hold**, whatever the text and the request: nothing panics, and what is
//! not understood is refused.
#![forbid(unsafe_code)]

mod limits;
mod look;
mod mark;
mod parse;
mod policy;

pub use limits::{
    MAX_BYTES, MAX_CREDENTIAL, MAX_HEADER, MAX_HOLDERS, MAX_KEYS, MAX_LINE, MAX_LINES, MAX_SHOWN,
    MAX_TEXT, MAX_USERS,
};
pub use look::{Look, Scheme};
pub use mark::{Mark, mark};
pub use policy::{ApiKey, Authorizer, Basic, Grant, Jwt, Policy};
