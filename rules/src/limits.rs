//! The bounds. What is beyond one is a problem of the text, and said so when the
//! rules are set.

/// Rules of one app.
pub const MAX_RULES: usize = 64;
/// Lines, with comments and empty ones.
pub const MAX_LINES: usize = 256;
/// Bytes of all lines together.
pub const MAX_BYTES: usize = 32_768;
/// Bytes of one line.
pub const MAX_LINE: usize = 2_048;
/// Conditions of one rule.
pub const MAX_CONDITIONS: usize = 8;
/// Actions of one rule.
pub const MAX_ACTIONS: usize = 8;
/// Methods or networks in one condition.
pub const MAX_LIST: usize = 64;
/// Bytes of a header's name, or of an app's.
pub const MAX_NAME: usize = 128;
/// Bytes of a value when its variables are filled in. A header that would have
/// more stays as it is; a redirect becomes 414.
pub const MAX_EXPANDED: usize = 16_384;

/// Variables in one value.
pub(crate) const MAX_VARIABLES: usize = 8;
/// Bytes that one compiled pattern may take; about as much again when it is used.
pub(crate) const MAX_PATTERN: usize = 65_536;
/// How deep groups of a pattern may be in each other.
pub(crate) const MAX_NESTING: u32 = 32;
