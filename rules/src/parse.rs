//! A rule from its words.

use crate::{
    action::{Action, Side},
    condition::{Condition, Test, What},
    digest::Digest,
    limits::{MAX_ACTIONS, MAX_CONDITIONS, MAX_LIST, MAX_NAME},
    name::Name,
    network::Networks,
    pattern::Pattern,
    problem::{Problem, shown},
    set::{Rule, path_pattern},
    share::{By, Share, parse_parts},
    template::Template,
    words::{Word, Words},
};

/// `when … and … then …, …`, or `always …, …`.
pub(crate) fn rule(line: &str) -> Result<Rule, Problem> {
    let words = &mut Words::of(line)?;
    let conditions = match words.keyword(&["when", "always"])? {
        "when" => conditions(words)?,
        _ => Vec::new(),
    };
    let groups = path_pattern(&conditions).map_or(0, |pattern| pattern.captures_len() - 1);
    let mut actions: Vec<Action> = Vec::new();
    loop {
        let column = words.column();
        if actions.last().is_some_and(Action::is_final) {
            let what = "nothing can follow redirect, deny and app: they end it";
            return Err(Problem::at(column, what));
        }
        if actions.len() == MAX_ACTIONS {
            let what = format!("a rule has at most {MAX_ACTIONS} actions");
            return Err(Problem::at(column, what));
        }
        actions.push(action(words, groups)?);
        if !words.take(",") {
            break;
        }
    }
    words.end()?;
    Ok(Rule {
        line: 0,
        conditions,
        actions,
        captures: groups > 0,
    })
}

fn conditions(words: &mut Words) -> Result<Vec<Condition>, Problem> {
    let mut all = Vec::new();
    loop {
        if all.len() == MAX_CONDITIONS {
            let what = format!("a rule has at most {MAX_CONDITIONS} conditions");
            return Err(Problem::at(words.column(), what));
        }
        all.push(condition(words)?);
        if words.keyword(&["and", "then"])? == "then" {
            return Ok(all);
        }
    }
}

pub(crate) fn condition(words: &mut Words) -> Result<Condition, Problem> {
    let not = words.take("not");
    let kinds = [
        "method", "path", "header", "cookie", "query", "client", "share",
    ];
    let kind = words.keyword(&kinds)?;
    let what = match kind {
        "method" => What::Method(list(words, "a method", method)?),
        "client" => What::Client(Networks::parse(words)?),
        "share" => What::Share(share(words)?),
        "path" => What::Path(comparison(words, &["=", "^=", "~", "~*"])?),
        _ => {
            let wanted = format!("the name of the {kind}");
            let name = words.next(&wanted)?;
            let lower = header_name(&name)?;
            let test = comparison(words, &["present", "=", "^=", "~", "~*", "sha256"])?;
            match kind {
                "header" => What::Header(lower, test),
                "cookie" => What::Cookie(name.text.into(), test),
                _ => What::Query(name.text.into(), test),
            }
        }
    };
    Ok(Condition { not, what })
}

/// Checks a name as a header's; those of cookies and parameters are as plain.
fn header_name(word: &Word) -> Result<Box<str>, Problem> {
    let name = Name::parse(&word.text).map_err(|what| Problem::at(word.column, what))?;
    Ok((*name.lower).into())
}

/// One or more, up to the next `and` or `then`.
pub(crate) fn list<T>(
    words: &mut Words,
    wanted: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Problem> {
    let mut all = Vec::new();
    while all.is_empty() || !words.peek().is_none_or(|w| w.is("and") || w.is("then")) {
        let word = words.next(wanted)?;
        if all.len() == MAX_LIST {
            return Err(Problem::at(
                word.column,
                format!("at most {MAX_LIST} of these"),
            ));
        }
        all.push(parse(&word.text).map_err(|what| Problem::at(word.column, what))?);
    }
    Ok(all)
}

fn method(text: &str) -> Result<Box<str>, String> {
    let plain = |b: u8| b.is_ascii_uppercase() || b == b'-' || b == b'_';
    match text.len() <= 32 && text.bytes().all(plain) && !text.is_empty() {
        true => Ok(text.into()),
        false => Err(format!("{} is not a method like GET", shown(text))),
    }
}

fn comparison(words: &mut Words, tests: &[&str]) -> Result<Test, Problem> {
    let test = words.keyword(tests)?;
    if test == "present" {
        return Ok(Test::Present);
    }
    if test == "sha256" {
        return Ok(Test::Hashes(list(words, "a hash", Digest::parse)?));
    }
    let value = words.next("a value")?;
    Ok(match test {
        "=" => Test::Equals(value.text.into()),
        "^=" => Test::Begins(value.text.into()),
        _ => Test::Matches(pattern(&value, test == "~*")?),
    })
}

fn pattern(word: &Word, any_case: bool) -> Result<Pattern, Problem> {
    Pattern::parse(&word.text, any_case).map_err(|why| {
        let what = format!("{} is no pattern: {why}", shown(&word.text));
        Problem::at(word.column, what)
    })
}

fn share(words: &mut Words) -> Result<Share, Problem> {
    let word = words.next("a share like 5%")?;
    let parts = parse_parts(&word.text).map_err(|what| Problem::at(word.column, what))?;
    if !words.take("by") {
        return Ok(Share {
            parts,
            by: By::Chance,
        });
    }
    let by = match words.keyword(&["client", "header", "cookie"])? {
        "client" => By::Client,
        "header" => By::Header(header_name(&words.next("the name of the header")?)?),
        _ => {
            let name = words.next("the name of the cookie")?;
            header_name(&name)?;
            By::Cookie(name.text.into())
        }
    };
    Ok(Share { parts, by })
}

fn action(words: &mut Words, groups: usize) -> Result<Action, Problem> {
    let kinds = ["set", "add", "remove", "rename", "redirect", "deny", "app"];
    match words.keyword(&kinds)? {
        "redirect" => redirect(words, groups),
        "deny" => deny(words),
        "app" => app(words),
        edit => header_edit(words, edit, groups),
    }
}

fn header_edit(words: &mut Words, kind: &str, groups: usize) -> Result<Action, Problem> {
    let side = match words.keyword(&["request", "response"])? {
        "request" => Side::Request,
        _ => Side::Response,
    };
    words.keyword(&["header"])?;
    let name = changeable(words, "the header's name")?;
    Ok(match kind {
        "set" => Action::Set(side, name, value(words, groups)?),
        "add" => Action::Add(side, name, value(words, groups)?),
        "rename" => Action::Rename(side, name, changeable(words, "the header's new name")?),
        _ => Action::Remove(side, name),
    })
}

fn changeable(words: &mut Words, wanted: &str) -> Result<Name, Problem> {
    let word = words.next(wanted)?;
    Name::parse_changeable(&word.text).map_err(|what| Problem::at(word.column, what))
}

fn value(words: &mut Words, groups: usize) -> Result<Template, Problem> {
    let word = words.next("the header's value")?;
    Template::parse(&word.text, groups).map_err(|what| Problem::at(word.column, what))
}

fn redirect(words: &mut Words, groups: usize) -> Result<Action, Problem> {
    let statuses = ["301", "302", "303", "307", "308"];
    let status = words.keyword(&statuses)?;
    let word = words.next("a path or a URL")?;
    let starts = ["/", "http://", "https://", "$scheme://"];
    let problem = |what: String| Problem::at(word.column, what);
    if !starts.iter().any(|start| word.text.starts_with(start)) || word.text.contains(' ') {
        let starts = starts.join(", ");
        return Err(problem(format!(
            "{} is not where one can be sent: it begins with {starts} and has no blanks",
            shown(&word.text)
        )));
    }
    let to = Template::parse(&word.text, groups).map_err(problem)?;
    Ok(Action::Redirect(number(status), to))
}

fn deny(words: &mut Words) -> Result<Action, Problem> {
    match words.peek() {
        Some(word) if !word.is(",") => {}
        _ => return Ok(Action::Deny(403)),
    }
    let word = words.next("a status")?;
    let status = number(&word.text);
    match status == 503 || (400..=451).contains(&status) && status != 444 {
        true => Ok(Action::Deny(status)),
        false => Err(Problem::at(
            word.column,
            format!(
                "{} is not a status of 400 to 451, or 503",
                shown(&word.text)
            ),
        )),
    }
}

/// What is no number is no status either.
fn number(text: &str) -> u16 {
    text.parse().unwrap_or(0)
}

fn app(words: &mut Words) -> Result<Action, Problem> {
    let word = words.next("the name of an app")?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let name = &word.text;
    let ends = name.starts_with('-') || name.ends_with('-');
    if name.is_empty() || name.len() > MAX_NAME || ends || !name.bytes().all(plain) {
        let what = format!("{} is not an app's name: a-z, 0-9 and -", shown(name));
        return Err(Problem::at(word.column, what));
    }
    Ok(Action::App(name.as_str().into()))
}
