//! Silent peers.

use std::time::Duration;

/// How a silent peer is noticed.
///
/// A worker that is silent is most likely blocked by its disk, or stopped for a
/// moment, and its dynos still work for it; giving them to somebody else would
/// put two requests on one dyno. The kernel closes the socket of a worker that
/// died, so pings only have to find one that hangs for good, or a host that is
/// gone: being late is cheap, being early is not.
#[derive(Clone, Copy, Debug)]
pub struct Pings {
    /// A ping is sent after so long without a word from the peer.
    pub every: Duration,
    /// The connection is broken off when the ping is not answered by then.
    pub within: Duration,
}
