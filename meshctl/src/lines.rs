//! JSON lines: one change each, read one at a time so that a file may be of
//! any length.

use std::{
    fmt,
    io::{self, BufRead, Read as _},
};

use dynomesh_proto::{MAX_MESSAGE, v1::Change};
use prost::Message as _;

/// Longest line, in bytes. JSON takes at most a few times the room of the
/// binary form, and that is limited to `MAX_MESSAGE`.
const MAX_LINE: usize = 4 * MAX_MESSAGE;

/// Why a line is no change. Lines and columns count from 1.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct BadLine {
    pub(crate) line: u64,
    column: usize,
    why: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.why
        )
    }
}

/// A line of the input: a change and where it stands, or what is wrong.
pub(crate) type Line = Result<(u64, Change), BadLine>;

/// The changes of an input. Empty lines are passed over.
pub(crate) struct Lines<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, line: 0 }
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        loop {
            text.clear();
            let limit = MAX_LINE as u64 + 1;
            if (&mut self.input).take(limit).read_until(b'\n', &mut text)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if text.len() > MAX_LINE && text.last() != Some(&b'\n') {
                self.input.skip_until(b'\n')?;
                return Ok(Some(Err(self.bad(1, "the line is too long"))));
            }
            if !text.trim_ascii().is_empty() {
                return Ok(Some(self.parse(&text)));
            }
        }
    }

    fn parse(&self, text: &[u8]) -> Line {
        let change: Change = serde_json::from_slice(text)
            .map_err(|error| self.bad(error.column(), reason(&error)))?;
        // The sidecar would end the stream, and the changes behind with it.
        if change.encoded_len() > MAX_MESSAGE {
            return Err(self.bad(1, "the change is too large; split it"));
        }
        Ok((self.line, change))
    }

    fn bad(&self, column: usize, why: impl Into<String>) -> BadLine {
        BadLine {
            line: self.line,
            column: column.max(1),
            why: why.into(),
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// What the parser says, without its own idea of the line.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let why = text.rsplit_once(" at line ").map_or(&*text, |(why, _)| why);
    if error.is_eof() {
        format!("{why}: a change must be on one line")
    } else {
        why.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        Lines::new(text.as_bytes()).map_while(Result::ok).collect()
    }

    #[test]
    fn each_line_is_a_change() {
        let text = "{\"app\":\"a\"}\n\n  \r\n{\"app\":\"b\",\"baseVersion\":\"7\"}";
        let read: Vec<_> = lines(text).into_iter().flatten().collect();
        let change = |app: &str, base_version| Change {
            app: app.into(),
            base_version,
            operations: vec![],
        };
        assert_eq!(read, [(1, change("a", 0)), (4, change("b", 7))]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let read = lines("{\"app\":\"a\"}\n{\"app\":1}\n{\"ap\":\"a\"}\n{\"app\":\n{}");
        let said: Vec<_> = read
            .iter()
            .map(|line| {
                line.as_ref()
                    .map_or_else(ToString::to_string, |(n, _)| format!("ok {n}"))
            })
            .collect();
        assert_eq!(said[0], "ok 1");
        assert!(
            said[1].starts_with("line 2, column 8: invalid type"),
            "{}",
            said[1]
        );
        assert!(
            said[2].starts_with("line 3, column 5: unknown field `ap`"),
            "{}",
            said[2]
        );
        assert!(
            said[3].ends_with("a change must be on one line"),
            "{}",
            said[3]
        );
        assert_eq!(said[4], "ok 5");
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let endless = io::repeat(b' ').take(3 * MAX_LINE as u64);
        let text = io::BufReader::new(endless.chain(&b"\n{\"app\":\"b\"}\n"[..]));
        let read: Vec<_> = Lines::new(text).map_while(Result::ok).collect();
        assert_eq!(read.len(), 2);
        assert!(matches!(&read[0], Err(bad) if bad.line == 1));
        assert!(matches!(&read[1], Ok((2, _))));
    }

    #[test]
    fn a_change_that_no_message_can_hold_is_refused_here() {
        let text = format!("{{\"app\":\"{}\"}}", "a".repeat(MAX_MESSAGE));
        assert!(matches!(&lines(&text)[..], [Err(bad)] if bad.why.contains("too large")));
    }

    const GOOD: &str = r#"{"app":"shop","baseVersion":"7","operations":[{"createApp":{"settings":{"policy":"POLICY_RANDOM","dynoLimit":3}}},{"addDomain":"a.test"},{"putDyno":{"dyno":{"name":"web.1","address":"127.0.0.1:1","state":"DYNO_STATE_UP"},"takeover":true}},{"setMaintenance":false}]}"#;

    /// Any bytes, or a good line with some of them cut out and some changed.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
        let cut = any::<(prop::sample::Index, prop::sample::Index)>();
        let nearly = (prop::option::of(cut), changes).prop_map(|(cut, changes)| {
            let mut bytes = GOOD.as_bytes().to_vec();
            for (at, with) in changes {
                let at = at.index(bytes.len());
                bytes[at] = with;
            }
            if let Some((from, to)) = cut {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                bytes.drain(from.min(to)..from.max(to));
            }
            bytes
        });
        prop_oneof![4 => nearly, 1 => any::<Vec<u8>>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn every_line_is_a_change_or_says_where_it_is_none(
            bytes in prop::collection::vec(line(), 0..5).prop_map(|lines| lines.join(&b'\n')),
        ) {
            let written = bytes.split(|byte| *byte == b'\n');
            let numbered = (1..).zip(written).filter(|(_, text)| !text.trim_ascii().is_empty());
            let read: Vec<Line> = Lines::new(&*bytes).map_while(Result::ok).collect();
            prop_assert_eq!(read.len(), numbered.clone().count());
            for (line, (number, text)) in read.into_iter().zip(numbered) {
                match line {
                    Ok((at, change)) => {
                        prop_assert_eq!(at, number);
                        let again = serde_json::to_vec(&change).expect("JSON");
                        let again: Change = serde_json::from_slice(&again).expect("a change");
                        prop_assert_eq!(again, change);
                    }
                    Err(bad) => {
                        prop_assert_eq!(bad.line, number);
                        prop_assert!((1..=text.len() + 1).contains(&bad.column), "{} of {:?}", bad, text);
                        prop_assert!(!bad.why.is_empty());
                    }
                }
            }
        }
    }
}
