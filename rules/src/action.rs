//! What a rule does.

use std::sync::Arc;

use regex::bytes::Captures;

use crate::{
    name::Name,
    request::Request,
    template::{Template, Text, one_slash},
};

/// Which way a header goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// To the dyno.
    Request,
    /// To the client.
    Response,
}

/// A header to be changed: how is in the rules ([`RuleSet::op`](crate::RuleSet::op)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Of which message.
    pub side: Side,
    pub(crate) rule: u32,
    pub(crate) action: u32,
    /// The value, where it was made for this request.
    pub(crate) made: Option<Box<str>>,
}

/// How a header is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// There is this one of the name, and no other.
    Set(&'a Name, &'a str),
    /// There is one more.
    Add(&'a Name, &'a str),
    /// There is none.
    Remove(&'a Name),
    /// All of the first name have the second.
    Rename(&'a Name, &'a Name),
}

/// What becomes of a request instead of what would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It is sent elsewhere.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Where: a path, or a URL.
        to: Text,
    },
    /// It is refused.
    Deny {
        /// 400 to 499, 503.
        status: u16,
    },
    /// Another app serves it.
    App(Arc<str>),
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Set(Side, Name, Template),
    Add(Side, Name, Template),
    Remove(Side, Name),
    Rename(Side, Name, Name),
    Redirect(u16, Template),
    Deny(u16),
    App(Arc<str>),
}

/// What an action comes to for a request.
pub(crate) enum Effect {
    Edit(Side, Option<Box<str>>),
    End(End),
    /// It would be too long.
    Nothing,
}

/// The target of a redirect is too long.
const URI_TOO_LONG: u16 = 414;

impl Action {
    /// Nothing follows it.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Redirect(..) | Self::Deny(_) | Self::App(_))
    }

    pub(crate) fn effect(&self, request: &impl Request, captures: Option<&Captures<'_>>) -> Effect {
        match self {
            Self::Set(side, _, value) | Self::Add(side, _, value) => {
                match value.constant().is_some() {
                    true => Effect::Edit(*side, None),
                    false => match value.fill(request, captures) {
                        Some(value) => Effect::Edit(*side, Some(value.into())),
                        None => Effect::Nothing,
                    },
                }
            }
            Self::Remove(side, _) | Self::Rename(side, ..) => Effect::Edit(*side, None),
            Self::Redirect(status, to) => Effect::End(match to.fill(request, captures) {
                Some(to) => End::Redirect {
                    status: *status,
                    to: one_slash(to),
                },
                None => End::Deny {
                    status: URI_TOO_LONG,
                },
            }),
            Self::Deny(status) => Effect::End(End::Deny { status: *status }),
            Self::App(app) => Effect::End(End::App(app.clone())),
        }
    }

    /// How this one changes a header, with the value that was made for a request.
    pub(crate) fn op<'a>(&'a self, edit: &'a Edit) -> Option<Op<'a>> {
        let made = edit.made.as_deref();
        Some(match self {
            Self::Set(_, name, value) => Op::Set(name, made.or(value.constant())?),
            Self::Add(_, name, value) => Op::Add(name, made.or(value.constant())?),
            Self::Remove(_, name) => Op::Remove(name),
            Self::Rename(_, old, new) => Op::Rename(old, new),
            Self::Redirect(..) | Self::Deny(_) | Self::App(_) => return None,
        })
    }
}
