//! The end of a chunked body (RFC 9112 section 7.1), from its beginning or from
//! somewhere in its middle.

/// Longest line that is taken for one: a chunk's size with its extensions, or a
/// field of the trailer.
const MAX_LINE: usize = 4 << 10;

/// What the bytes so far come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more to come.
    More,
    /// That was all of it.
    End,
    /// It is no chunked body.
    Broken,
}

/// A body that is read from its first byte on.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    place: Place,
    /// What came of the line.
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    /// In the line that says how long the next chunk is.
    #[default]
    Size,
    /// In a chunk, so many bytes before its end.
    Data(u64),
    /// Behind it, where its line ends.
    DataEnd,
    /// Behind the last chunk.
    Trailer,
}

impl Chunks {
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Progress {
        while !bytes.is_empty() {
            if let Place::Data(left) = self.place {
                let here = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                bytes = &bytes[here..];
                self.place = match left - here as u64 {
                    0 => Place::DataEnd,
                    left => Place::Data(left),
                };
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            self.line.extend_from_slice(line);
            bytes = rest;
            if self.line.len() > MAX_LINE {
                return Progress::Broken;
            }
            if end.is_none() {
                return Progress::More;
            }
            match self.end_line() {
                Progress::More => self.line.clear(),
                end => return end,
            }
        }
        Progress::More
    }

    fn end_line(&mut self) -> Progress {
        let line = self.line.trim_ascii_end();
        self.place = match self.place {
            Place::DataEnd if line.is_empty() => Place::Size,
            Place::Size => match size(line) {
                Some(0) => Place::Trailer,
                Some(size) => Place::Data(size),
                None => return Progress::Broken,
            },
            Place::Trailer if line.is_empty() => return Progress::End,
            Place::Trailer => Place::Trailer,
            Place::DataEnd | Place::Data(_) => return Progress::Broken,
        };
        Progress::More
    }
}

/// A chunk's size, from its line.
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    if digits.first() == Some(&b'+') {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// How a chunked body without trailers ends.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// The last bytes of a body that is read from somewhere in its middle.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    /// These are all the bytes that came.
    whole: bool,
}

impl Tail {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            whole: true,
        }
    }

    /// More came. Says whether it looks like the end: it may as well be data that
    /// looks so.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> bool {
        self.bytes.extend_from_slice(bytes);
        let surplus = self.bytes.len().saturating_sub(MAX_LINE);
        self.whole &= surplus == 0;
        self.bytes.drain(..surplus);
        self.looks_ended()
    }

    fn looks_ended(&self) -> bool {
        let bytes = &*self.bytes;
        // The beginning of the end may have come before.
        if self.whole && !bytes.is_empty() && LAST_CHUNK.ends_with(bytes) {
            return true;
        }
        let Some(lines) = bytes.strip_suffix(b"\r\n\r\n") else {
            return false;
        };
        // From the end: fields of a trailer, before them the size of the last chunk.
        let mut lines = lines.rsplit(|byte| *byte == b'\n');
        let last = lines
            .by_ref()
            .map(<[u8]>::trim_ascii_end)
            .find(|line| !is_field(line));
        let whole_line = self.whole || lines.next().is_some();
        whole_line && last.is_some_and(|line| size(line) == Some(0))
    }
}

fn is_field(line: &[u8]) -> bool {
    let colon = line.iter().position(|byte| *byte == b':');
    colon.is_some_and(|colon| colon > 0 && line[..colon].iter().all(|byte| byte.is_ascii_graphic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str, piece: usize) -> Progress {
        let mut chunks = Chunks::default();
        let mut last = Progress::More;
        for piece in body.as_bytes().chunks(piece) {
            assert_eq!(last, Progress::More, "{body:?}");
            last = chunks.feed(piece);
        }
        last
    }

    #[test]
    fn from_the_beginning() {
        for (body, progress) in [
            ("", Progress::More),
            ("0\r\n\r\n", Progress::End),
            ("3\r\nabc\r\n0\r\n\r\n", Progress::End),
            ("3;a=b\r\nabc\r\n00;last\r\nX-T: 1\r\n\r\n", Progress::End),
            ("a\r\n0\r\n\r\n0\r\n\r\n\r\n", Progress::More),
            ("A\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", Progress::End),
            ("0\r\nX-T: 1\r\n", Progress::More),
        ] {
            for piece in [1, 2, 3, 100] {
                assert_eq!(parsed(body, piece), progress, "{body:?} by {piece}");
            }
        }
        for body in ["zz\r\n", "3\r\nabcd\r\n", "\r\n", "+1\r\n", "-1\r\n"] {
            assert_eq!(parsed(body, 100), Progress::Broken, "{body:?}");
        }
        assert_eq!(parsed(&"1".repeat(MAX_LINE + 1), 100), Progress::Broken);
    }

    fn ended(pieces: &[&str]) -> Vec<bool> {
        let mut tail = Tail::new();
        pieces
            .iter()
            .map(|piece| tail.feed(piece.as_bytes()))
            .collect()
    }

    #[test]
    fn from_the_middle() {
        assert_eq!(ended(&["\n\r\n"]), [true]);
        assert_eq!(ended(&["xxxxxxxxxxx\r\n", "\r\n"]), [false, false]);
        assert_eq!(ended(&["abc\r\n0\r\n\r", "\n"]), [false, true]);
        assert_eq!(ended(&["abc\r\n0;x\r\nX-T: 1\r\nY: 2\r\n\r\n"]), [true]);
        assert_eq!(
            ended(&["abc\r\n10\r\n\r\n", "a\r\n0\r\n\r\n"]),
            [false, true]
        );
        let long = "x".repeat(3 * MAX_LINE);
        assert_eq!(ended(&[&long, "\r\n0\r\n", "\r\n"]), [false, false, true]);
    }
}
