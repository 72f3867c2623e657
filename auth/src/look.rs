//! A request, as far as it can be judged without its secrets.

use rules::Request;

use crate::{limits::MAX_CREDENTIAL, policy::Policy};

/// How a client says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// User and password.
    Basic,
    /// A token.
    Bearer,
}

/// What has to be known of a request before it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Exempt,
    /// It says nothing of who it is from, or nothing that is asked for.
    Missing,
    /// What it says can't be right.
    Malformed,
    /// Whether this is right; empty: it need not say anything.
    Ask(Box<[u8]>),
}

impl Scheme {
    /// Of an `Authorization`.
    pub fn of(credential: &[u8]) -> Option<Self> {
        let scheme = credential.split(|b| *b == b' ').next()?;
        if scheme.eq_ignore_ascii_case(b"basic") {
            return Some(Self::Basic);
        }
        scheme
            .eq_ignore_ascii_case(b"bearer")
            .then_some(Self::Bearer)
    }
}

impl Policy {
    /// Looks at a request, as its client sent it.
    pub fn look(&self, request: &impl Request) -> Look {
        if self.exceptions.iter().any(|when| when.holds(request)) {
            return Look::Exempt;
        }
        if self.basic.is_none() && self.jwt.is_none() {
            return Look::Ask(Box::default());
        }
        let mut given: Option<Box<[u8]>> = None;
        let twice = request.has_header("authorization", &mut |value| {
            let value = &value[..value.len().min(MAX_CREDENTIAL + 1)];
            given.replace(value.trim_ascii().into()).is_some()
        });
        match given {
            _ if twice => Look::Malformed,
            Some(given) if given.len() > MAX_CREDENTIAL => Look::Malformed,
            Some(given) if self.wants(Scheme::of(&given)) => Look::Ask(given),
            _ => Look::Missing,
        }
    }

    fn wants(&self, scheme: Option<Scheme>) -> bool {
        match scheme {
            Some(Scheme::Basic) => self.basic.is_some(),
            Some(Scheme::Bearer) => self.jwt.is_some(),
            None => false,
        }
    }

    /// The dyno does not get to see this `Authorization`.
    pub fn hides(&self, credential: &[u8]) -> bool {
        let hidden = self.basic.as_ref().is_some_and(|basic| !basic.pass);
        hidden && Scheme::of(credential.trim_ascii()) == Some(Scheme::Basic)
    }

    /// What a client is told to say who it is, each a `WWW-Authenticate`. `wrong`: what
    /// it said was not right.
    pub fn challenges(&self, app: &str, wrong: bool) -> Vec<String> {
        let realm = self.basic.as_ref().and_then(|basic| basic.realm.as_deref());
        let realm = realm.unwrap_or(app);
        let mut all = Vec::new();
        if self.basic.is_some() {
            all.push(format!("Basic realm=\"{realm}\", charset=\"UTF-8\""));
        }
        if self.jwt.is_some() {
            let error = if wrong {
                ", error=\"invalid_token\""
            } else {
                ""
            };
            all.push(format!("Bearer realm=\"{realm}\"{error}"));
        }
        all
    }
}
