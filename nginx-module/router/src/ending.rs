//! When has a dyno finished a response that nobody reads any more?
//!
//! A client that leaves does not stop the dyno. To keep its lease until the
//! dyno is really free, the router reads the rest of the response and throws it
//! away. This says when the end has come.

use crate::chunks::{Chunks, Progress, Tail};

/// What to do next with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read on.
    Read,
    /// The response may be over: tell the dyno that no request will follow
    /// (shut down the sending side) and read until it closes.
    ShutDown,
    /// The dyno has finished.
    Finished,
}

/// Where the response is.
#[derive(Debug)]
pub enum Ending {
    /// In the header: what came so far.
    Header {
        /// Bytes of the header.
        seen: Vec<u8>,
        /// The request was a HEAD: there is no body.
        head: bool,
    },
    /// In a body with so many bytes to come.
    Length(u64),
    /// In a chunked body.
    Chunked(Chunked),
    /// Only the dyno's closing tells.
    Close,
}

/// A header longer than this is not waited for.
const MAX_HEADER: usize = 64 << 10;
const MAX_FIELDS: usize = 256;
/// How much is known of a chunked body.
#[derive(Debug)]
pub struct Chunked(Known);

#[derive(Debug)]
enum Known {
    All(Chunks),
    /// Its last bytes.
    Last(Tail),
}

impl Ending {
    /// The response's header has not come yet, or not whole.
    pub fn of_header(seen: &[u8], head: bool) -> Self {
        Self::Header {
            seen: seen.to_vec(),
            head,
        }
    }

    /// In the middle of a chunked body.
    pub fn of_chunked() -> Self {
        Self::Chunked(Chunked(Known::Last(Tail::new())))
    }

    /// What is to be done before the first byte is read.
    pub fn begin(&mut self) -> Next {
        match self {
            Self::Header { seen, .. } if !seen.is_empty() => self.feed(&[]),
            Self::Header { .. } | Self::Chunked(_) => Next::Read,
            Self::Length(0) => Next::Finished,
            Self::Length(_) => Next::Read,
            Self::Close => Next::ShutDown,
        }
    }

    /// More of the response came.
    pub fn feed(&mut self, bytes: &[u8]) -> Next {
        match self {
            Self::Header { seen, head } => {
                seen.extend_from_slice(bytes);
                match after_header(seen, *head) {
                    None if seen.len() > MAX_HEADER => self.give_up(),
                    None => Next::Read,
                    Some((mut body, rest)) => {
                        let next = match body.begin() {
                            Next::Read => body.feed(&rest),
                            next => next,
                        };
                        *self = body;
                        next
                    }
                }
            }
            Self::Length(left) => {
                *left = left.saturating_sub(bytes.len() as u64);
                if *left == 0 {
                    Next::Finished
                } else {
                    Next::Read
                }
            }
            Self::Chunked(Chunked(Known::All(chunks))) => match chunks.feed(bytes) {
                Progress::More => Next::Read,
                Progress::End => Next::Finished,
                Progress::Broken => self.give_up(),
            },
            // If the dyno goes on, so do we.
            Self::Chunked(Chunked(Known::Last(tail))) => match tail.feed(bytes) {
                true => Next::ShutDown,
                false => Next::Read,
            },
            Self::Close => Next::Read,
        }
    }

    fn give_up(&mut self) -> Next {
        *self = Self::Close;
        Next::ShutDown
    }
}

/// The body's ending and what of the body came already, once the header is
/// whole. A header that is not understood ends when the dyno closes.
fn after_header(seen: &[u8], head: bool) -> Option<(Ending, Vec<u8>)> {
    let mut rest = seen;
    loop {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(rest) {
            Ok(httparse::Status::Partial) => return None,
            Ok(httparse::Status::Complete(length)) => length,
            Err(_) => return Some((Ending::Close, Vec::new())),
        };
        let status = response.code.unwrap_or(0);
        let ending = body_ending(status, response.headers, head);
        rest = &rest[length..];
        // 100-continue and 103-early-hints precede the response itself.
        if !(100..200).contains(&status) || status == 101 {
            return Some((ending, rest.to_vec()));
        }
    }
}

/// RFC 9112 section 6.3.
fn body_ending(status: u16, fields: &[httparse::Header<'_>], head: bool) -> Ending {
    let value = |name: &str| {
        fields
            .iter()
            .find(|f| f.name.eq_ignore_ascii_case(name))
            .map(|f| f.value)
    };
    if status == 101 {
        return Ending::Close;
    }
    if head || status == 204 || status == 304 {
        return Ending::Length(0);
    }
    if let Some(coding) = value("transfer-encoding") {
        let chunked = coding.to_ascii_lowercase().ends_with(b"chunked");
        return if chunked {
            Ending::Chunked(Chunked(Known::All(Chunks::default())))
        } else {
            Ending::Close
        };
    }
    let length = value("content-length").map(|v| std::str::from_utf8(v).ok()?.trim().parse().ok());
    match length {
        Some(Some(length)) => Ending::Length(length),
        _ => Ending::Close,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(head: bool, parts: &[&str]) -> Next {
        let mut ending = Ending::of_header(b"", head);
        let mut next = ending.begin();
        for part in parts {
            assert_eq!(next, Next::Read, "before {part:?}");
            next = ending.feed(part.as_bytes());
        }
        next
    }

    #[test]
    fn by_length() {
        assert_eq!(
            run(
                false,
                &["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", "\r\na", "bc"]
            ),
            Next::Finished
        );
        assert_eq!(
            run(false, &["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"]),
            Next::Read
        );
        assert_eq!(
            run(true, &["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"]),
            Next::Finished
        );
        assert_eq!(run(false, &["HTTP/1.1 204 No\r\n\r\n"]), Next::Finished);
        assert_eq!(
            run(
                false,
                &["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n"]
            ),
            Next::Finished
        );
    }

    #[test]
    fn by_chunks() {
        let header = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(
            run(false, &[header, "1\r\na\r\n", "0\r\n\r", "\n"]),
            Next::Finished
        );
        assert_eq!(run(false, &[header, "0\r\n\r\n"]), Next::Finished);
        assert_eq!(run(false, &[header, "0\r\nX-T: 1\r\n\r\n"]), Next::Finished);
        assert_eq!(run(false, &[header, "1\r\na\r\n"]), Next::Read);
        assert_eq!(run(false, &[header, "zz\r\n"]), Next::ShutDown);
        let mut midway = Ending::of_chunked();
        assert_eq!(midway.begin(), Next::Read);
        assert_eq!(midway.feed(b"xxxxxxxxxxx\r\n"), Next::Read);
        assert_eq!(midway.feed(b"a\r\n0\r\n\r\n"), Next::ShutDown);
    }

    #[test]
    fn by_closing() {
        assert_eq!(run(false, &["HTTP/1.1 200 OK\r\n\r\n"]), Next::ShutDown);
        assert_eq!(run(false, &["nonsense\r\n\r\n"]), Next::ShutDown);
        assert_eq!(run(false, &["HTTP/1.1 101 Up\r\n\r\n"]), Next::ShutDown);
        let long = "a: b\r\n".repeat(20_000);
        assert_eq!(run(false, &["HTTP/1.1 200 OK\r\n", &long]), Next::ShutDown);
    }
}
