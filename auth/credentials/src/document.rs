//! A whole document, and whether credentials are right by it.

use auth::{MAX_CREDENTIAL, MAX_HEADER, Policy, Scheme};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use rules::{Name, Problem};
use serde_json::Value;

use crate::{
    claims::{self, header_value},
    jwt,
    password::Hash,
    secrets::Secrets,
};

/// As most write it, and as some do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The document of an app.
#[derive(Clone, Debug)]
pub struct Document {
    /// All of it that is no secret.
    pub policy: Policy,
    secrets: Secrets,
}

/// Who it is, and what the dyno is told of that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// As in logs: the user, a token's `sub`, or who has the key.
    pub user: String,
    /// What the dyno is told.
    pub headers: Vec<(Name, String)>,
    /// A token is good until then, in seconds since 1970.
    pub until: Option<u64>,
    /// What the token says, or who it is.
    pub claims: Value,
}

/// Why credentials are not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Wrong {
    #[error("it is neither a user with a password nor a token, nor a key")]
    Malformed,
    #[error("the user or the password is wrong")]
    Password,
    #[error("nobody has this key")]
    Nobody,
    #[error("the token's algorithm is not one for its key")]
    Algorithm,
    #[error("the token names no key that is known")]
    Key,
    #[error("the token has critical extensions, and none is known here")]
    Critical,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token has no usable exp, nbf, iss or aud")]
    Claims,
    #[error("the token is from somebody else")]
    Issuer,
    #[error("the token is for somebody else")]
    Audience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    Early,
    #[error("a claim is too long for a header")]
    Long,
}

impl Wrong {
    /// Somebody tries what may be right. A token that was right once is no such trial.
    pub fn is_suspicious(self) -> bool {
        !matches!(self, Self::Expired | Self::Early | Self::Long)
    }
}

/// A user who says a password, which nobody has looked at.
pub struct Login<'a> {
    /// Who it is, if the password is right.
    pub user: String,
    /// What it has to be. Of a user who does not exist it is another one's, so that
    /// it takes as long.
    pub hash: &'a Hash,
    password: Vec<u8>,
    exists: bool,
}

impl Login<'_> {
    /// Takes long, by design.
    pub fn is_right(&self) -> bool {
        self.hash.fits(&self.password) & self.exists
    }

    /// What is asked, whole: for whoever remembers that it was right, hashed.
    pub fn parts(&self) -> [&[u8]; 2] {
        [self.hash.text(), &self.password]
    }

    /// Nobody need look at the password twice.
    pub fn may_be_remembered(&self) -> bool {
        self.exists
    }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn parse<L: AsRef<str>>(lines: &[L]) -> Result<Self, Problem> {
        let mut secrets = Secrets::default();
        let policy = Policy::read(lines, |line| secrets.read(line))?;
        secrets.check(&policy)?;
        Ok(Self { policy, secrets })
    }

    /// Without its exceptions, for whoever only looks at what is none.
    #[must_use]
    pub fn without_exceptions(self) -> Self {
        let policy = self.policy.without_exceptions();
        Self { policy, ..self }
    }

    /// A user and a password, from an `Authorization`.
    ///
    /// # Errors
    /// It is none.
    pub fn login(&self, credential: &[u8]) -> Result<Login<'_>, Wrong> {
        if self.policy.basic.is_none() || Scheme::of(credential) != Some(Scheme::Basic) {
            return Err(Wrong::Malformed);
        }
        let given = argument(credential).ok_or(Wrong::Malformed)?;
        let mut user = BASE64.decode(given).map_err(|_| Wrong::Malformed)?;
        let colon = user.iter().position(|b| *b == b':');
        let password = user.split_off(colon.ok_or(Wrong::Malformed)? + 1);
        user.pop();
        let user = String::from_utf8(user).map_err(|_| Wrong::Malformed)?;
        let found = self.secrets.users.get(&*user);
        let hash = match found {
            Some(hash) => hash,
            // Whoever takes the longest.
            None => {
                let all = self.secrets.users.values();
                all.max_by_key(|hash| hash.cost()).ok_or(Wrong::Password)?
            }
        };
        Ok(Login {
            user,
            hash,
            password,
            exists: found.is_some(),
        })
    }

    /// What it means that a login is right, or a key.
    ///
    /// # Errors
    /// The name is too long for a header.
    pub fn admit(&self, user: String) -> Result<Pass, Wrong> {
        let claims = serde_json::json!({ "sub": user });
        self.pass(claims, None)
    }

    /// Whether a token is right, at a time in seconds since 1970.
    ///
    /// # Errors
    /// Why not.
    pub fn token(&self, credential: &[u8], now: u64) -> Result<Pass, Wrong> {
        let jwt = self.policy.jwt.as_ref().ok_or(Wrong::Malformed)?;
        if Scheme::of(credential) != Some(Scheme::Bearer) || credential.len() > MAX_CREDENTIAL {
            return Err(Wrong::Malformed);
        }
        let token = argument(credential).ok_or(Wrong::Malformed)?;
        let keys = self.secrets.keys.as_deref().unwrap_or_default();
        let claims = jwt::open(token, keys)?;
        let until = claims::check(&claims, jwt, now)?;
        self.pass(claims, Some(until))
    }

    /// Whether somebody has this key, which is written as [`auth::Look::Ask`] has it.
    ///
    /// # Errors
    /// Why not.
    pub fn key(&self, credential: &[u8]) -> Result<Pass, Wrong> {
        let is_key = Scheme::of(credential) == Some(Scheme::Key);
        if self.policy.key.is_none() || !is_key || credential.len() > MAX_CREDENTIAL {
            return Err(Wrong::Malformed);
        }
        let key = argument(credential).ok_or(Wrong::Malformed)?;
        let holder = self.secrets.holder_of(key).ok_or(Wrong::Nobody)?;
        self.admit(holder.to_owned())
    }

    fn pass(&self, claims: Value, until: Option<u64>) -> Result<Pass, Wrong> {
        let mut headers = Vec::new();
        for grant in &self.policy.grants {
            let found = claims::find(&claims, &grant.claim);
            let Some(value) = found.and_then(header_value) else {
                continue;
            };
            if value.len() > MAX_HEADER {
                return Err(Wrong::Long);
            }
            headers.push((grant.header.clone(), value));
        }
        let user = claims::find(&claims, "sub").and_then(header_value);
        Ok(Pass {
            user: user.unwrap_or_default(),
            headers,
            until,
            claims,
        })
    }
}

/// What follows the scheme.
fn argument(credential: &[u8]) -> Option<&[u8]> {
    let at = credential.iter().position(|b| *b == b' ')?;
    Some(credential[at..].trim_ascii())
}

#[cfg(test)]
mod tests;
