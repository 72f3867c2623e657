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

/// A header to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Of which message.
    pub side: Side,
    /// How.
    pub op: Op,
}

/// How a header is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// There is this one of the name, and no other.
    Set(Name, Text),
    /// There is one more.
    Add(Name, Text),
    /// There is none.
    Remove(Name),
    /// All of the first name have the second.
    Rename(Name, Name),
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
    Edit(Edit),
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
        let (side, op) = match self {
            Self::Set(side, name, value) => match value.fill(request, captures) {
                Some(value) => (*side, Op::Set(name.clone(), value)),
                None => return Effect::Nothing,
            },
            Self::Add(side, name, value) => match value.fill(request, captures) {
                Some(value) => (*side, Op::Add(name.clone(), value)),
                None => return Effect::Nothing,
            },
            Self::Remove(side, name) => (*side, Op::Remove(name.clone())),
            Self::Rename(side, old, new) => (*side, Op::Rename(old.clone(), new.clone())),
            Self::Redirect(status, to) => {
                return Effect::End(match to.fill(request, captures) {
                    Some(to) => End::Redirect {
                        status: *status,
                        to: one_slash(to),
                    },
                    None => End::Deny {
                        status: URI_TOO_LONG,
                    },
                });
            }
            Self::Deny(status) => return Effect::End(End::Deny { status: *status }),
            Self::App(app) => return Effect::End(End::App(app.clone())),
        };
        Effect::Edit(Edit { side, op })
    }
}
