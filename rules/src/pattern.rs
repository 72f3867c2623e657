//! Regular expressions, and what their matches begin with.

use std::ops::Deref;

use regex::bytes::{Regex, RegexBuilder};

use crate::limits::{MAX_NESTING, MAX_PATTERN};

/// One, with the text that every value begins with that it matches.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    begins: Box<str>,
}

impl Pattern {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str, any_case: bool) -> Result<Self, String> {
        let built = RegexBuilder::new(text)
            .unicode(false)
            .case_insensitive(any_case)
            .size_limit(MAX_PATTERN)
            .dfa_size_limit(MAX_PATTERN)
            .nest_limit(MAX_NESTING)
            .build();
        let regex = built.map_err(|error| {
            // The last of several lines says what is wrong.
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default();
            why.trim_start_matches("error: ").to_owned()
        })?;
        let begins = match any_case {
            true => "",
            false => literal(text),
        };
        Ok(Self {
            regex,
            begins: begins.into(),
        })
    }

    pub(crate) fn begins(&self) -> &[u8] {
        self.begins.as_bytes()
    }
}

impl Deref for Pattern {
    type Target = Regex;

    fn deref(&self) -> &Regex {
        &self.regex
    }
}

/// What follows a `^` and means only itself: as far as that is plain to see.
fn literal(pattern: &str) -> &str {
    let Some(text) = pattern.strip_prefix('^').filter(|text| !text.contains('|')) else {
        return "";
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_".contains(&b);
    let end = text.bytes().position(|b| !plain(b)).unwrap_or(text.len());
    match text.as_bytes().get(end) {
        // There may be none of the last one.
        Some(b'?' | b'*' | b'{') => &text[..end.saturating_sub(1)],
        _ => &text[..end],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matches_begin_with() {
        for (pattern, begins) in [
            ("^/api/v[0-9]+/", "/api/v"),
            ("^/a", "/a"),
            ("^/ab?c", "/a"),
            ("^/ab*", "/a"),
            ("^/ab{0,2}", "/a"),
            ("^/ab+", "/ab"),
            ("^/a.b", "/a"),
            ("^a|b", ""),
            ("^(a|b)", ""),
            ("^", ""),
            ("^?a", ""),
            ("a", ""),
            ("(?i)^a", ""),
            ("^(?i)a", ""),
        ] {
            assert_eq!(literal(pattern), begins, "{pattern}");
        }
        let any_case = Pattern::parse("^/a", true).expect("a pattern");
        assert_eq!(any_case.begins(), b"");
    }
}
