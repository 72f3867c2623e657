//! A statement from its words.

use std::sync::Arc;

use rules::{Name, Networks, Problem, When, Word, Words, shown};

use crate::{
    limits::{MAX_AUDIENCES, MAX_CLAIMS, MAX_TEXT},
    policy::{ApiKey, Authorizer, Basic, Grant, Jwt},
};

/// What a line says, if that is no secret.
pub(crate) enum Statement {
    Basic(Basic),
    Jwt(Jwt),
    Key(ApiKey),
    Client(Networks),
    Authorizer(Authorizer),
    Claim(Grant),
    Except(When),
}

/// A line that says nothing.
pub(crate) fn is_silent(line: &str) -> bool {
    let line = line.trim_ascii_start();
    line.is_empty() || line.starts_with('#')
}

/// A line that routers need not know.
pub(crate) fn is_secret(line: &str) -> bool {
    let first = line.split_ascii_whitespace().next();
    matches!(first, Some("user" | "keys" | "holder"))
}

pub(crate) fn statement(words: &mut Words) -> Result<Statement, Problem> {
    let all = [
        "basic",
        "user",
        "jwt",
        "keys",
        "key",
        "holder",
        "client",
        "claim",
        "authorizer",
        "except",
    ];
    let statement = match words.keyword(&all)? {
        "basic" => Statement::Basic(basic(words)?),
        "jwt" => Statement::Jwt(jwt(words)?),
        "key" => Statement::Key(key(words)?),
        "client" => Statement::Client(Networks::parse(words)?),
        "claim" => Statement::Claim(claim(words)?),
        "authorizer" => Statement::Authorizer(authorizer(words)?),
        // What begins like a secret is none of these.
        _ => Statement::Except(When::parse(words)?),
    };
    match words.peek() {
        None => Ok(statement),
        Some(word) => Err(Problem::at(
            word.column,
            format!("expected the end of the line, not {}", shown(&word.text)),
        )),
    }
}

/// `[realm TEXT] [pass]`
fn basic(words: &mut Words) -> Result<Basic, Problem> {
    let realm = match words.take("realm") {
        true => {
            let word = text(words, "what the password is for")?;
            let visible = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
            if !word.text.chars().all(visible) {
                let what = "a realm is visible ASCII and blanks, without \" and \\";
                return Err(Problem::at(word.column, what));
            }
            Some(Arc::from(word.text))
        }
        false => None,
    };
    let pass = words.take("pass");
    Ok(Basic { realm, pass })
}

/// `issuer TEXT audience TEXT…`
fn jwt(words: &mut Words) -> Result<Jwt, Problem> {
    words.keyword(&["issuer"])?;
    let issuer = text(words, "who issues the tokens")?.text.into();
    words.keyword(&["audience"])?;
    let mut audiences = Vec::new();
    while audiences.is_empty() || words.peek().is_some() {
        let word = text(words, "whom the tokens are for")?;
        if audiences.len() == MAX_AUDIENCES {
            let what = format!("at most {MAX_AUDIENCES} audiences");
            return Err(Problem::at(word.column, what));
        }
        audiences.push(word.text.into());
    }
    Ok(Jwt { issuer, audiences })
}

/// `header NAME [pass]`
fn key(words: &mut Words) -> Result<ApiKey, Problem> {
    words.keyword(&["header"])?;
    let column = words.column();
    let header = header(words)?;
    // Nginx takes others for no headers, and logs them as they are.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if !header.lower.bytes().all(plain) {
        let what = "the name of a header for keys is letters, digits and -";
        return Err(Problem::at(column, what));
    }
    let pass = words.take("pass");
    Ok(ApiKey { header, pass })
}

/// `NAME to HEADER`
fn claim(words: &mut Words) -> Result<Grant, Problem> {
    let claim = text(words, "the name of a claim")?.text.into();
    words.keyword(&["to"])?;
    let header = header(words)?;
    Ok(Grant { claim, header })
}

/// `NAME [open] [shown HEADER…] [sets HEADER…]`
fn authorizer(words: &mut Words) -> Result<Authorizer, Problem> {
    let word = text(words, "the name of an authorizer")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !word.text.bytes().all(plain) {
        let what = format!("{} is not a name: a-z, 0-9 and -", shown(&word.text));
        return Err(Problem::at(word.column, what));
    }
    let open = words.take("open");
    let shown = match words.take("shown") {
        true => headers(words)?,
        false => Vec::new(),
    };
    let sets = match words.take("sets") {
        true => headers(words)?,
        false => Vec::new(),
    };
    let name = word.text.into();
    Ok(Authorizer {
        name,
        open,
        shown,
        sets,
    })
}

/// One or more, up to `sets`.
fn headers(words: &mut Words) -> Result<Vec<Name>, Problem> {
    let mut all: Vec<Name> = Vec::new();
    while all.is_empty() || words.peek().is_some_and(|word| !word.is("sets")) {
        let column = words.column();
        let name = header(words)?;
        if all.len() == MAX_CLAIMS {
            let what = format!("at most {MAX_CLAIMS} headers");
            return Err(Problem::at(column, what));
        }
        if all.iter().any(|other| other.lower == name.lower) {
            let what = format!("{} is said twice", name.spelled);
            return Err(Problem::at(column, what));
        }
        all.push(name);
    }
    Ok(all)
}

fn header(words: &mut Words) -> Result<Name, Problem> {
    let word = words.next("a header's name")?;
    let problem = |what| Problem::at(word.column, what);
    let name = Name::parse_changeable(&word.text).map_err(problem)?;
    match &*name.lower {
        "authorization" => Err(problem("that is what the client is known by".into())),
        _ => Ok(name),
    }
}

/// A word that is not too long, nor empty.
fn text(words: &mut Words, wanted: &str) -> Result<Word, Problem> {
    let word = words.next(wanted)?;
    match (1..=MAX_TEXT).contains(&word.text.len()) {
        true => Ok(word),
        false => Err(Problem::at(
            word.column,
            format!("{wanted} has 1 to {MAX_TEXT} bytes"),
        )),
    }
}
