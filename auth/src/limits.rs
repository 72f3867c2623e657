//! The bounds. What is beyond one is a problem of the text, and said so when it is
//! set.

/// Lines, with comments and empty ones.
pub const MAX_LINES: usize = 256;
/// Bytes of all lines together.
pub const MAX_BYTES: usize = 65_536;
/// Bytes of one line: all keys are in one.
pub const MAX_LINE: usize = 32_768;
/// Users of one app.
pub const MAX_USERS: usize = 200;
/// Programs that have a key of one app.
pub const MAX_HOLDERS: usize = 200;
/// Keys that tokens of one app are signed with.
pub const MAX_KEYS: usize = 32;
/// Bytes of what a client sends to say who it is; more is refused.
pub const MAX_CREDENTIAL: usize = 8_192;
/// Bytes of a request that an authorizer is shown; more is refused.
pub const MAX_SHOWN: usize = 32_768;
/// Bytes of a header that a claim becomes; who has more is refused.
pub const MAX_HEADER: usize = 4_096;

/// Audiences of one app.
pub(crate) const MAX_AUDIENCES: usize = 8;
/// Claims that become headers, and headers that an authorizer may set.
pub(crate) const MAX_CLAIMS: usize = 16;
/// Networks that clients of one app may be in.
pub(crate) const MAX_NETWORKS: usize = 1_024;
/// Exceptions.
pub(crate) const MAX_EXCEPTIONS: usize = 16;
/// Bytes of a name, a realm, an issuer, an audience.
pub const MAX_TEXT: usize = 256;
