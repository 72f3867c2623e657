//! The header `traceparent`, as W3C's Trace Context has it (level 1, and the flag of
//! level 2).

/// Bytes of version 00, which those of later versions begin with.
const LENGTH: usize = 55;
/// Somebody keeps what is told of the trace.
const SAMPLED: u8 = 1;
/// Flags that are passed on: that, and that the trace's name is random.
const KNOWN: u8 = SAMPLED | 2;

/// What a request says of the trace that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    pub(super) trace: [u8; 16],
    /// `None`: the request's own rules have begun it.
    pub(super) span: Option<[u8; 8]>,
    flags: u8,
}

impl Parent {
    /// `None`: it says nothing that can be understood.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let [version] = bytes(&known[..2])?;
        let goes_on = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        let apart = [2, 35, 52].iter().all(|at| known[*at] == b'-');
        let [flags] = bytes(&known[53..])?;
        let (trace, span) = (bytes(&known[3..35])?, bytes(&known[36..52])?);
        let named = trace != [0; 16] && span != [0; 8];
        (goes_on && apart && named).then_some(Self {
            trace,
            span: Some(span),
            flags: flags & KNOWN,
        })
    }

    /// The same for a request of this name. A rule calls a trace like its request
    /// (`$traceparent`), and makes up a parent that nobody ever hears of.
    #[must_use]
    pub fn of_request(self, name: &[u8]) -> Self {
        let begun_here = bytes(name) == Some(self.trace);
        Self {
            span: self.span.filter(|_| !begun_here),
            ..self
        }
    }

    /// Who asks keeps what is told of the trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// A request's place in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: [u8; 16],
    /// Whose part the request is; `None`: nobody's.
    pub parent: Option<[u8; 8]>,
    /// The request.
    pub span: [u8; 8],
    /// Its time with dynos.
    pub dyno_span: [u8; 8],
    /// As the header has them.
    pub flags: u8,
}

impl Context {
    /// That of a request that comes with this, with names that are made of chance.
    pub fn new(parent: Option<Parent>, chance: [u8; 32]) -> Self {
        let named = |from: usize| {
            let mut name = [0; 8];
            name.copy_from_slice(&chance[from..from + 8]);
            // No name is all zeros.
            name[7] |= u8::from(name == [0; 8]);
            name
        };
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&named(0));
        trace[8..].copy_from_slice(&named(8));
        Self {
            trace: parent.map_or(trace, |parent| parent.trace),
            parent: parent.and_then(|parent| parent.span),
            span: named(16),
            dyno_span: named(24),
            flags: parent.map_or(0, |parent| parent.flags) | SAMPLED,
        }
    }

    /// What dynos get to see.
    pub fn traceparent(&self) -> String {
        let (trace, span) = (self.trace_id(), hex(&self.dyno_span));
        format!("00-{trace}-{span}-{:02x}", self.flags)
    }

    /// The trace's name, for people.
    pub fn trace_id(&self) -> String {
        hex(&self.trace)
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|it| char::from(DIGITS[usize::from(it)]))
        .collect()
}

/// Bytes of lower-case hexadecimal digits.
fn bytes<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(bytes)
}

fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text - b'0'),
        b'a'..=b'f' => Some(text - b'a' + 10),
        _ => None,
    }
}
