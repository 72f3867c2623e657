//! Values with variables in them.

use std::{fmt::Write as _, ops::Deref, sync::Arc};

use regex::bytes::Captures;

use crate::{
    limits::{MAX_EXPANDED, MAX_VARIABLES},
    problem::shown,
    request::Request,
};

/// A value as it is used: the rule's own, or made for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// The same for every request.
    Shared(Arc<str>),
    /// For this one.
    Made(Box<str>),
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Shared(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl From<Text> for Box<str> {
    fn from(text: Text) -> Self {
        match text {
            Text::Shared(text) => (*text).into(),
            Text::Made(text) => text,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    App,
    Args,
    ClientAddr,
    Host,
    Path,
    RequestId,
    Scheme,
    /// As W3C has it: the trace is named as the request is.
    Traceparent,
    /// Of the rule's pattern for the path, from 1.
    Capture(usize),
}

const VARIABLES: [(&str, Variable); 8] = [
    ("app", Variable::App),
    ("args", Variable::Args),
    ("client_addr", Variable::ClientAddr),
    ("host", Variable::Host),
    ("path", Variable::Path),
    ("request_id", Variable::RequestId),
    ("scheme", Variable::Scheme),
    ("traceparent", Variable::Traceparent),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Box<str>),
    Variable(Variable),
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Template {
    Constant(Arc<str>),
    Pieces(Vec<Piece>),
}

impl Template {
    /// `captures`: how many groups the rule's pattern for the path has.
    pub(crate) fn parse(text: &str, captures: usize) -> Result<Self, String> {
        if let Some(wrong) = text.chars().find(|c| c.is_control() || !c.is_ascii()) {
            return Err(format!(
                "a value is visible ASCII and blanks, not {wrong:?}"
            ));
        }
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            plain.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                plain.push('$');
                rest = after;
                continue;
            }
            let (variable, after) = variable(after, captures)?;
            pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
            pieces.push(Piece::Variable(variable));
            rest = after;
        }
        plain.push_str(rest);
        if pieces.is_empty() {
            return Ok(Self::Constant(plain.into()));
        }
        if pieces.len() > 2 * MAX_VARIABLES {
            return Err(format!("a value has at most {MAX_VARIABLES} variables"));
        }
        pieces.push(Piece::Text(plain.into()));
        Ok(Self::Pieces(pieces))
    }

    /// The same for every request.
    pub(crate) fn constant(&self) -> Option<&str> {
        match self {
            Self::Constant(text) => Some(text),
            Self::Pieces(_) => None,
        }
    }

    /// `None`: too long.
    pub(crate) fn fill(
        &self,
        request: &impl Request,
        captures: Option<&Captures<'_>>,
    ) -> Option<Text> {
        let pieces = match self {
            Self::Constant(text) => return Some(Text::Shared(text.clone())),
            Self::Pieces(pieces) => pieces,
        };
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(variable) => variable.fill(request, captures, &mut out),
            }
            if out.len() > MAX_EXPANDED {
                return None;
            }
        }
        Some(Text::Made(out.into()))
    }
}

/// The variable behind a `$`, and what follows it.
fn variable(text: &str, captures: usize) -> Result<(Variable, &str), String> {
    let end = match text.bytes().next() {
        Some(b'0'..=b'9') => 1,
        _ => text
            .bytes()
            .position(|b| !(b.is_ascii_alphanumeric() || b == b'_'))
            .unwrap_or(text.len()),
    };
    let (name, rest) = text.split_at(end);
    if let Ok(number) = name.parse::<usize>() {
        return match (1..=captures).contains(&number) {
            true => Ok((Variable::Capture(number), rest)),
            false => Err(format!(
                "there is no ${number}: the rule's \"path ~\" has {captures} groups"
            )),
        };
    }
    let known = VARIABLES.iter().find(|(known, _)| *known == name);
    let (_, variable) = known.ok_or_else(|| {
        let all: Vec<_> = VARIABLES
            .iter()
            .map(|(name, _)| format!("${name}"))
            .collect();
        format!(
            "there is no variable {}: there are {}, $1 to $9, and $$ is one $",
            shown(&format!("${name}")),
            all.join(", ")
        )
    })?;
    Ok((*variable, rest))
}

impl Variable {
    fn fill(self, request: &impl Request, captures: Option<&Captures<'_>>, out: &mut String) {
        match self {
            Self::App => visible(request.app().as_bytes(), out),
            Self::Args => visible(request.query(), out),
            Self::ClientAddr => visible(&request.client_text(), out),
            Self::Host => visible(request.host(), out),
            Self::Path => escaped(request.path(), out),
            Self::RequestId => visible(&request.id(), out),
            Self::Scheme => out.push_str(request.scheme()),
            Self::Traceparent => traceparent(request, out),
            Self::Capture(number) => {
                let found = captures.and_then(|captures| captures.get(number));
                escaped(found.map_or(b"", |found| found.as_bytes()), out);
            }
        }
    }
}

/// Nothing, where a request has no name that is one for a trace.
fn traceparent(request: &impl Request, out: &mut String) {
    let id = request.id();
    let hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if id.len() == 32 && id.iter().all(hex) && id.iter().any(|b| *b != b'0') {
        out.push_str("00-");
        visible(&id, out);
        // No parent is all zeros. Writing to a string does not fail.
        let _ = write!(
            out,
            "-{:08x}{:08x}-01",
            request.chance(),
            request.chance() | 1
        );
    }
}

/// What was never decoded. A byte that a header can't have is escaped.
fn visible(bytes: &[u8], out: &mut String) {
    push(bytes, |byte| byte.is_ascii_graphic(), out);
}

/// A path, or a part of one, as it is written in a URL.
fn escaped(bytes: &[u8], out: &mut String) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
    push(bytes, plain, out);
}

fn push(bytes: &[u8], plain: impl Fn(u8) -> bool, out: &mut String) {
    if bytes.len() <= MAX_EXPANDED && bytes.iter().all(|byte| plain(*byte)) {
        // What is plain is ASCII.
        return out.push_str(str::from_utf8(bytes).unwrap_or_default());
    }
    for byte in bytes {
        if out.len() > MAX_EXPANDED {
            return;
        }
        match plain(*byte) {
            true => out.push(char::from(*byte)),
            // Writing to a string does not fail.
            false => _ = write!(out, "%{byte:02X}"),
        }
    }
}

/// A target that began with one slash begins with one still: two would be another
/// host.
pub(crate) fn one_slash(target: Text) -> Text {
    match target
        .strip_prefix('/')
        .map(|rest| rest.trim_start_matches('/'))
    {
        Some(rest) if rest.len() + 1 < target.len() => Text::Made(format!("/{rest}").into()),
        _ => target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Sent;

    fn filled(text: &str, sent: &Sent) -> String {
        let template = Template::parse(text, 0).expect("a template");
        template.fill(sent, None).expect("short").to_string()
    }

    #[test]
    fn variables_are_filled_in() {
        let mut sent = Sent::to("/a b?c=d");
        assert_eq!(filled("x", &sent), "x");
        assert_eq!(filled("$$5", &sent), "$5");
        assert_eq!(
            filled(
                "$app|$args|$client_addr|$host|$path|$request_id|$scheme",
                &sent
            ),
            "shop|c=d|192.0.2.7|shop.example|/a%20b|5f2c|http"
        );
        sent.path = b"/\r\nX: y%\\\xff".into();
        assert_eq!(filled("$path", &sent), "/%0D%0AX:%20y%25%5C%FF");
        sent.client = None;
        assert_eq!(filled("<$client_addr>", &sent), "<unix:>");
        assert_eq!(filled("<$traceparent>", &sent), "<>", "it has no such name");
        sent.id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            filled("$traceparent", &sent),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000001-01"
        );
    }

    #[test]
    fn what_is_no_value() {
        for text in [
            "$",
            "$x",
            "$1",
            "a\r\nb",
            "ä",
            "$app$app$app$app$app$app$app$app$app",
        ] {
            assert!(Template::parse(text, 0).is_err(), "{text}");
        }
        assert!(Template::parse("$1$2", 2).is_ok());
        assert!(Template::parse("$3", 2).is_err());
    }

    #[test]
    fn a_long_one_is_none() {
        let template = Template::parse("$path$path", 0).expect("a template");
        let sent = Sent::to(&"/".repeat(MAX_EXPANDED / 2 + 1));
        assert_eq!(template.fill(&sent, None), None);
    }

    #[test]
    fn no_other_host_by_slashes() {
        let one = |text: &str| one_slash(Text::Shared(text.into())).to_string();
        assert_eq!(one("//evil.example/x"), "/evil.example/x");
        assert_eq!(one("/a//b"), "/a//b");
        assert_eq!(one("https://a/"), "https://a/");
    }
}
