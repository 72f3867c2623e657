//! The rules of an app: *when* a request is like this, *then* do that with it.
//!
//! **What.** [`RuleSet::parse`] reads them as people write them, one a line;
//! [`RuleSet::judge`] says what they come to for a request: headers to change, on
//! its way to the dyno and on the way back, and perhaps an end: a redirect, a
//! denial, another app.
//!
//! **How.** All rules are looked at in their order, until one ends it. What they
//! look at is the request as the client sent it: no rule sees what another one
//! changed. A request is whatever has the trait [`Request`]; chance comes from
//! there too, so the same request always gets the same verdict.
//!
//! **What must hold**, whatever the text and the request: parsing and judging end
//! in time linear in their input, nothing panics, no value has a line break or
//! another control character in it, and headers that say where a message ends or
//! whom it is for are not touched.
#![forbid(unsafe_code)]

mod action;
mod condition;
mod digest;
mod glance;
mod limits;
mod name;
mod network;
mod parse;
mod pattern;
mod problem;
mod request;
mod set;
mod share;
mod template;
#[cfg(test)]
mod testing;
mod when;
mod words;

pub use action::{Edit, End, Op, Side};
pub use digest::Digest;
pub use limits::{
    MAX_ACTIONS, MAX_BYTES, MAX_CONDITIONS, MAX_EXPANDED, MAX_LINE, MAX_LINES, MAX_LIST, MAX_NAME,
    MAX_RULES,
};
pub use name::Name;
pub use network::Networks;
pub use problem::{Problem, shown};
pub use request::Request;
pub use set::{RuleSet, Verdict};
pub use template::Text;
pub use when::When;
pub use words::{Word, Words};
