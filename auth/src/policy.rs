//! What a router needs to know of a document.

use std::sync::Arc;

use rules::{Name, Networks, Problem, When, Words};

use crate::{
    limits::{MAX_BYTES, MAX_CLAIMS, MAX_EXCEPTIONS, MAX_LINE, MAX_LINES, MAX_NETWORKS},
    parse::{self, Statement},
};

/// Passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basic {
    /// What the user is asked a password for; the app's name unless it is said.
    pub realm: Option<Arc<str>>,
    /// The dyno gets to see them.
    pub pass: bool,
}

/// Tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// Who they have to be from.
    pub issuer: Box<str>,
    /// One of these they have to be for.
    pub audiences: Vec<Box<str>>,
}

/// Keys that programs have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Where they are.
    pub header: Name,
    /// The dyno gets to see them.
    pub pass: bool,
}

/// Somebody whom the operator named decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// As the operator calls it.
    pub name: Box<str>,
    /// While it can't be reached, requests go on.
    pub open: bool,
    /// Headers that it is shown.
    pub shown: Vec<Name>,
    /// Headers that it may set.
    pub sets: Vec<Name>,
}

/// A claim that becomes a header for the dyno.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The member of the token, or a JSON pointer to it. Of a password or a key there is
    /// `sub`.
    pub claim: Box<str>,
    /// The header.
    pub header: Name,
}

/// How the requests of an app are authenticated, without what is secret.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// By passwords.
    pub basic: Option<Basic>,
    /// By tokens, ...
    pub jwt: Option<Jwt>,
    /// ... or by keys; who has one of the three is in.
    pub key: Option<ApiKey>,
    /// And only from there.
    pub clients: Option<Networks>,
    /// And by whom the operator named.
    pub authorizer: Option<Authorizer>,
    /// What the dyno is told of it.
    pub grants: Vec<Grant>,
    pub(crate) exceptions: Vec<When>,
}

impl Policy {
    /// Reads a document, whole or without its secret lines.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn parse<L: AsRef<str>>(lines: &[L]) -> Result<Self, Problem> {
        Self::read(lines, |_| Ok(()))
    }

    /// Reads a whole document; the lines that are secret are for somebody else.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn read<L: AsRef<str>>(
        lines: &[L],
        secret: impl FnMut(&str) -> Result<(), Problem>,
    ) -> Result<Self, Problem> {
        let policy = read(lines, secret)?;
        policy.check()?;
        Ok(policy)
    }

    /// The lines of a document that a router has to know.
    pub fn public<L: AsRef<str>>(lines: &[L]) -> impl Iterator<Item = &str> {
        let lines = lines.iter().map(AsRef::as_ref);
        lines.filter(|line| !parse::is_silent(line) && !parse::is_secret(line))
    }

    /// How much memory it takes, in conditions of rules, more or less.
    pub fn weight(&self) -> usize {
        let networks = self.clients.as_ref().map_or(0, Networks::count);
        self.exceptions.len() + networks / 8
    }

    /// Without them, for whoever only looks at what is no exception.
    #[must_use]
    pub fn without_exceptions(self) -> Self {
        let exceptions = Vec::new();
        Self { exceptions, ..self }
    }

    /// A client has to say who it is.
    pub fn wants_credentials(&self) -> bool {
        self.basic.is_some() || self.jwt.is_some() || self.key.is_some()
    }

    /// Headers for the dyno that nobody but this may set.
    pub fn own_headers(&self) -> impl Iterator<Item = &Name> {
        let claimed = self.grants.iter().map(|grant| &grant.header);
        claimed.chain(self.authorizer.iter().flat_map(|one| &one.sets))
    }

    fn take(&mut self, statement: Statement, column: usize) -> Result<(), Problem> {
        let once = |there: bool, what: &str| match there {
            true => Err(Problem::at(column, format!("{what} is said twice"))),
            false => Ok(()),
        };
        let full = |there: usize, most: usize, what: &str| match there < most {
            true => Ok(()),
            false => Err(Problem::at(
                column,
                format!("an app has at most {most} {what}"),
            )),
        };
        match statement {
            Statement::Basic(basic) => {
                once(self.basic.is_some(), "basic")?;
                self.basic = Some(basic);
            }
            Statement::Jwt(jwt) => {
                once(self.jwt.is_some(), "jwt")?;
                self.jwt = Some(jwt);
            }
            Statement::Key(key) => {
                once(self.key.is_some(), "key")?;
                self.key = Some(key);
            }
            Statement::Client(networks) => {
                let clients = self.clients.get_or_insert_default();
                clients.add(networks);
                full(clients.count() - 1, MAX_NETWORKS, "networks of clients")?;
            }
            Statement::Authorizer(authorizer) => {
                once(self.authorizer.is_some(), "authorizer")?;
                self.authorizer = Some(authorizer);
            }
            Statement::Claim(grant) => {
                full(self.grants.len(), MAX_CLAIMS, "claims")?;
                let twice = self
                    .own_headers()
                    .any(|name| *name.lower == *grant.header.lower);
                once(twice, &grant.header.spelled)?;
                self.grants.push(grant);
            }
            Statement::Except(when) => {
                full(self.exceptions.len(), MAX_EXCEPTIONS, "exceptions")?;
                self.exceptions.push(when);
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Problem> {
        let problem = |what: &str| Err(Problem::at(1, what).on(1));
        if !self.wants_credentials() && self.authorizer.is_none() && self.clients.is_none() {
            return problem(
                "nothing says who may come: a line with basic, jwt, key, client or authorizer",
            );
        }
        if let Some(key) = &self.key
            && self
                .own_headers()
                .any(|own| own.lower.replace('_', "-") == *key.header.lower)
        {
            let header = &key.header.spelled;
            return problem(&format!(
                "{header} is where the key is: it can't be something else for the dyno"
            ));
        }
        match self.jwt.is_none() && self.grants.iter().any(|grant| &*grant.claim != "sub") {
            true => problem("passwords and keys have no claim but sub: jwt is needed for others"),
            false => Ok(()),
        }
    }
}

fn read<L: AsRef<str>>(
    lines: &[L],
    mut secret: impl FnMut(&str) -> Result<(), Problem>,
) -> Result<Policy, Problem> {
    let mut policy = Policy::default();
    let mut bytes = 0;
    for (number, line) in (1..).zip(lines) {
        let line = line.as_ref();
        bytes += line.len() + 1;
        let problem = |what: String| Err(Problem::at(1, what).on(number));
        if number > MAX_LINES {
            return problem(format!("there are more than {MAX_LINES} lines"));
        }
        if line.len() > MAX_LINE {
            return problem(format!("a line has at most {MAX_LINE} bytes"));
        }
        if bytes > MAX_BYTES {
            return problem(format!("all lines have at most {MAX_BYTES} bytes"));
        }
        if let Some(column) = line.chars().position(|c| c.is_control() && c != '\t') {
            return Err(Problem::at(column + 1, "a control character").on(number));
        }
        if parse::is_silent(line) {
            continue;
        }
        let taken = match parse::is_secret(line) {
            true => secret(line),
            false => Words::of(line).and_then(|mut words| {
                let column = words.column();
                let statement = parse::statement(&mut words)?;
                policy.take(statement, column)
            }),
        };
        taken.map_err(|problem| problem.on(number))?;
    }
    Ok(policy)
}
