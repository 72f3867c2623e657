//! A request, as far as it can be judged without its secrets.

use rules::{Name, Request};

use crate::{limits::MAX_CREDENTIAL, policy::Policy};

/// How a client says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// User and password.
    Basic,
    /// A token.
    Bearer,
    /// A key, which is in no `Authorization`; see [`Look::Ask`].
    Key,
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
    /// It is from where nobody may come from.
    Elsewhere,
    /// Whether this is right: an `Authorization`, or as if a key were in one, of the scheme
    /// `Key`. Empty: it need not say anything.
    Ask(Box<[u8]>),
}

impl Scheme {
    /// Of an `Authorization`.
    pub fn of(credential: &[u8]) -> Option<Self> {
        let scheme = credential.split(|b| *b == b' ').next()?;
        if scheme.eq_ignore_ascii_case(b"basic") {
            return Some(Self::Basic);
        }
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return Some(Self::Bearer);
        }
        (scheme == KEY).then_some(Self::Key)
    }
}

/// What a key is told apart by, ...
const KEY: &[u8] = b"Key";
/// ... and what is before it. Both together are a credential.
const BEFORE_KEY: &[u8] = b"Key ";

impl Policy {
    /// Looks at a request, as its client sent it.
    pub fn look(&self, request: &impl Request) -> Look {
        if self.exceptions.iter().any(|when| when.holds(request)) {
            return Look::Exempt;
        }
        let from = self.clients.as_ref();
        if from.is_some_and(|networks| !networks.have(request.client())) {
            return Look::Elsewhere;
        }
        if !self.wants_credentials() {
            return match self.authorizer {
                Some(_) => Look::Ask(Box::default()),
                None => Look::Exempt,
            };
        }
        match self.given_key(request) {
            Given::Nothing => {}
            Given::Malformed => return Look::Malformed,
            Given::This(key) => return Look::Ask([BEFORE_KEY, &key].concat().into()),
        }
        match given(request, "authorization", MAX_CREDENTIAL) {
            Given::Malformed => Look::Malformed,
            Given::This(given) if self.wants(Scheme::of(&given)) => Look::Ask(given),
            Given::This(_) | Given::Nothing => Look::Missing,
        }
    }

    fn given_key(&self, request: &impl Request) -> Given {
        match &self.key {
            Some(key) => {
                let most = MAX_CREDENTIAL - BEFORE_KEY.len();
                given(request, &key.header.lower, most)
            }
            None => Given::Nothing,
        }
    }

    fn wants(&self, scheme: Option<Scheme>) -> bool {
        match scheme {
            Some(Scheme::Basic) => self.basic.is_some(),
            Some(Scheme::Bearer) => self.jwt.is_some(),
            Some(Scheme::Key) | None => false,
        }
    }

    /// The dyno does not get to see this `Authorization`. `key`: the request has a key, so
    /// nobody has looked at it.
    pub fn hides(&self, credential: &[u8], key: bool) -> bool {
        let scheme = Scheme::of(credential.trim_ascii());
        let hidden = self.basic.as_ref().is_some_and(|basic| !basic.pass);
        hidden && scheme == Some(Scheme::Basic) || key && self.wants(scheme)
    }

    /// Nor this header, where a key is.
    pub fn hidden_header(&self) -> Option<&Name> {
        let key = self.key.as_ref().filter(|key| !key.pass)?;
        Some(&key.header)
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
        if let Some(key) = &self.key {
            let header = &key.header.spelled;
            all.push(format!("Key realm=\"{realm}\", header=\"{header}\""));
        }
        all
    }
}

/// What a header says of who it is.
enum Given {
    Nothing,
    Malformed,
    This(Box<[u8]>),
}

/// Of a header that may be there once, with so many bytes.
fn given(request: &impl Request, header: &str, most: usize) -> Given {
    let mut given: Option<Box<[u8]>> = None;
    let twice = request.has_header(header, &mut |value| {
        let value = value.trim_ascii();
        given
            .replace(value[..value.len().min(most + 1)].into())
            .is_some()
    });
    match given {
        None => Given::Nothing,
        Some(given) if given.is_empty() && !twice => Given::Nothing,
        Some(given) if twice || given.len() > most => Given::Malformed,
        Some(given) => Given::This(given),
    }
}
