//! Names of headers, and which of them are no rule's business.

use std::sync::Arc;

use crate::{limits::MAX_NAME, problem::shown};

/// A header's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// As it was written.
    pub spelled: Arc<str>,
    /// Lower case.
    pub lower: Arc<str>,
}

/// They say where a message ends and for whom it is, or belong to one connection.
const FIXED: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

impl Name {
    /// A name that may be looked at.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(token) {
            return Err(format!(
                "{} is not a header's name: 1 to {MAX_NAME} of A-Z, a-z, 0-9 and -",
                shown(text)
            ));
        }
        Ok(Self {
            spelled: text.into(),
            lower: text.to_ascii_lowercase().into(),
        })
    }

    /// A name that may be changed.
    ///
    /// # Errors
    /// Why it may not be.
    pub fn parse_changeable(text: &str) -> Result<Self, String> {
        let name = Self::parse(text)?;
        if FIXED.contains(&&*name.lower) {
            return Err(format!("no rule may change {}", shown(text)));
        }
        match name.lower.starts_with("x-mesh-") {
            true => Err(format!("{} is the mesh's own", shown(text))),
            false => Ok(name),
        }
    }
}
